"""What a step takes of its images, in numbers that every backend carries out alike."""

from dataclasses import dataclass

import numpy as np

from data.plan import draws


@dataclass(frozen=True)
class Views:
    """One row an image: cut out a window, resize it, cut out the square, mirror it.

    Attributes:
        windows: (n, 4) int64 top, left, height and width, in pixels of the image.
        resized: (n, 2) int64 height and width that the window is resized to.
        starts: (n, 2) int64 top and left of the square in the resized window.
        mirrored: (n,) bool, left to right.
    """

    windows: np.ndarray
    resized: np.ndarray
    starts: np.ndarray
    mirrored: np.ndarray


@dataclass(frozen=True)
class TrainView:
    """RandomResizedCrop to a square and a horizontal flip, by the plan (Section 4.1)."""

    seed: int
    image_size: int  # px
    crop_area: tuple[float, float]
    crop_aspect: tuple[float, float]
    flip: float

    def __call__(self, epoch: int, samples: np.ndarray, sizes: np.ndarray) -> Views:
        """Return the views of the (n,) `samples` of (n, 2) `sizes` in an epoch."""
        windows = draws.crop_windows(
            self.seed, epoch, samples, sizes, self.crop_area, self.crop_aspect
        )
        mirrored = draws.flips(self.seed, epoch, samples, self.flip)
        squares = np.full((len(samples), 2), self.image_size)
        return Views(windows, squares, np.zeros_like(squares), mirrored)


@dataclass(frozen=True)
class EvalView:
    """Resize of the shorter side and centre crop (Section 4.1, "single center crop")."""

    resize: int  # px
    image_size: int  # px

    def __call__(self, epoch: int, samples: np.ndarray, sizes: np.ndarray) -> Views:
        """Return the views of the (n,) `samples` of (n, 2) `sizes`; the same in every epoch."""
        sizes = sizes.astype(np.int64)
        shorter = sizes.min(axis=1, keepdims=True)
        resized = self.resize * sizes // shorter  # torchvision truncates the longer side
        starts = np.rint((resized - self.image_size) / 2).astype(np.int64)  # half to even, as round
        nothing = np.zeros_like(sizes)
        return Views(np.hstack([nothing, sizes]), resized, starts, np.zeros(len(samples), bool))
