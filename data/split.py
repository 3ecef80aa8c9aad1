"""The images of one split and where their bytes lie: in files, or in the tars of shards."""

import errno
import io
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from data.interface import DataError


@dataclass(frozen=True)
class Split:
    """The images of train/ or val/, in torchvision's ImageFolder order.

    Attributes:
        folder: the split's own; of shards the folder that holds them.
        paths: (n,) file-system bytes, <class>/<file>.
        labels: (n,) int64 class of each image.
        sizes: (n, 2) int32 height and width in pixels.
        places: shards only: (n, 3) int64 number of the tar, offset and length in bytes.
        tars: shards only: names of the tars.
    """

    folder: Path
    paths: np.ndarray
    labels: np.ndarray
    sizes: np.ndarray
    places: np.ndarray | None = None
    tars: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, keep: np.ndarray) -> "Split":
        """Return the split of the images where the (n,) bool `keep` is true."""
        places = None if self.places is None else self.places[keep]
        # As narrow as the longest path that is left, like the index of a set without the others.
        paths = np.array(self.paths[keep].tolist(), dtype=bytes)
        return Split(self.folder, paths, self.labels[keep], self.sizes[keep], places, self.tars)

    def name(self, sample: int) -> str:
        """Return what a user finds the image by."""
        path = os.fsdecode(bytes(self.paths[sample]))
        if self.places is None:
            return os.path.join(self.folder, path)
        return f"{os.path.join(self.folder, self.tars[self.places[sample, 0]])}: {path}"

    def read(self, sample: int) -> bytes:
        """Return the encoded image.

        Raises:
            DataError: it cannot be read.
        """
        try:
            return self.content(sample)
        except OSError as error:
            raise DataError(self.complaint(sample, f"cannot be read ({error.strerror})")) from None

    def content(self, sample: int) -> bytes:
        """Return the encoded image.

        Raises:
            OSError: the file is gone, may not be read, or is shorter than it was.
        """
        if self.places is None:
            with open(self.name(sample), "rb", buffering=0) as file:
                return file.readall()
        tar, offset, length = self.places[sample].tolist()
        shard = _opened(self.folder / self.tars[tar])
        content = os.pread(shard.fileno(), length, offset)
        if len(content) < length:
            raise OSError(errno.EIO, "the tar has been cut off")
        return content

    def complaint(self, sample: int, reason: str) -> str:
        """Return the message about an image that cannot be used."""
        return (
            f"{self.name(sample)}: {reason}; mend it, or run `python -m data.check "
            f"{self.root}` and train with the list of bad files that it writes (data.exclude)"
        )

    def check_size(self, sample: int, height: int, width: int) -> None:
        """Compare an image's size with the one in the index, which its crops were planned for.

        Raises:
            DataError: it is another.
        """
        known = tuple(self.sizes[sample].tolist())
        if (height, width) != known:
            raise DataError(
                f"{self.name(sample)}: is {width} x {height} px, was {known[1]} x {known[0]} when "
                f"it was indexed; run `python -m data.index --again {self.root}`"
            )

    @property
    def root(self) -> Path:
        """The data set's folder, as data.root names it."""
        return self.folder.parent if self.places is None else self.folder


class _Shard(io.FileIO):
    def __del__(self) -> None:
        self.close()  # when no thread reads it any more


# Kept open: on a network file system an open is what costs. Read by position, so that threads and
# forked workers may share it. A process may usually open 1,024 files.
@lru_cache(512)
def _opened(tar: Path) -> _Shard:
    return _Shard(tar)
