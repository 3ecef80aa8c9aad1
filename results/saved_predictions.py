"""What evaluate.py --save-predictions wrote: which images changed at the border."""

from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
from PIL import Image

from data.store.labels import IDS, TO_TRAIN_IDS
from records.errors import RunError
from results.mode_scores import ModeScores

FOLDERS = {"regular": "regular", "tile 0": "tile_0", "tile 1/3": "tile_1_3"}
BAND = 16  # near the border: within 1/16 of an image's height
_CLASSES = len(IDS)
_THREADS = 4  # Pillow decodes without Python's lock; more would hold more images


@dataclass(frozen=True)
class Scene:
    """One validation image.

    Attributes:
        name: '<city>_<sequence>_<frame>'.
        image, label: its files in the data set.
        zero, partial: files of the two runs' predictions.
        before, after: pixel accuracy near the border of the zero and of the partial run, percent.
    """

    name: str
    image: Path
    label: Path
    zero: Path
    partial: Path
    before: float = 0.0
    after: float = 0.0

    @property
    def change(self) -> float:
        """By how many points the partial run is better."""
        return self.after - self.before


def has_scenes(one: ModeScores, mode: str) -> bool:
    """Tell whether a run's predictions of a mode were saved."""
    return any(_folder(one, mode).glob("*.png"))


def changed(pair: tuple[ModeScores, ModeScores], mode: str, root: Path) -> list[Scene]:
    """Return all images with something labelled near the border, the largest gain first.

    Args:
        pair: a zero and a partial run's evaluation, of one network and split.
        mode: of FOLDERS.
        root: the data set's folder.

    Raises:
        RunError: predictions or the data set's files are missing, or the predictions are not those
            that eval/<padding>.json counts.
    """
    scenes = _scenes(pair, mode, root)
    tile = pair[0].tile if mode == "tile 0" else None
    with ThreadPool(_THREADS) as pool:
        read = pool.imap(lambda scene: _compared(scene, tile), scenes, chunksize=4)
        found, totals = [], np.zeros((2, _CLASSES, _CLASSES), dtype=np.int64)
        for scene, tables in read:
            totals += tables
            found += [scene] if scene else []
    for one, total in zip(pair, totals, strict=True):
        counted = one.run.evaluations[one.padding]["modes"][mode]["confusion"]
        if total.tolist() != counted:
            raise RunError(
                f"{_folder(one, mode)}: not the predictions that eval/{one.padding}.json counts, "
                f"or not of the labels in {root}; {_again(one)}"
            )
    return sorted(found, key=lambda scene: (-scene.change, scene.name))


def extremes(scenes: list[Scene], count: int) -> tuple[list[Scene], list[Scene]]:
    """Return the `count` largest gains, then as many of the largest losses, none in both.

    Args:
        scenes: as `changed` returns them.
        count: of each; fewer where there are not so many images.
    """
    gains = scenes[: min(count, -(-len(scenes) // 2))]
    return gains, scenes[len(gains) :][-count:][::-1]


@lru_cache(maxsize=2)  # the images of a data set have one size
def border_distance(height: int, width: int, tile: int | None) -> np.ndarray:
    """Return each pixel's distance to the nearest border, (height, width), 0 in the outermost line.

    Args:
        height, width: of the image, px.
        tile: px: of the tile that the pixel is in, without overlap; None: of the image.
    """
    (rows, high), (columns, wide) = (in_tile(length, tile) for length in (height, width))
    from_sides = np.minimum(rows, high - 1 - rows), np.minimum(columns, wide - 1 - columns)
    return np.minimum(from_sides[0][:, None], from_sides[1])


def in_tile(length: int, tile: int | None) -> tuple[np.ndarray, int]:
    """Return each place's position in its tile, (length,), and the tile's length.

    Tiles without overlap, but for the last one, which is moved in: as evaluate.py counts them, a
    place that two of them hold belongs to the first. None: the image is the tile.
    """
    side, places = min(tile or length, length), np.arange(length)
    return places - np.minimum(places // side * side, length - side), side


def read_ids(file: Path) -> np.ndarray:
    """Return a file of label ids, (H, W) uint8.

    Raises:
        RunError: it cannot be read.
    """
    try:
        with Image.open(file) as image:
            if image.mode != "L":
                raise RunError(f"{file}: holds no label ids (mode {image.mode} instead of L)")
            return np.array(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise RunError(f"{file}: cannot be read ({error})") from None


def _scenes(pair: tuple[ModeScores, ModeScores], mode: str, root: Path) -> list[Scene]:
    zero, partial = pair
    folders = [_folder(one, mode) for one in pair]
    names = [sorted(file.stem for file in folder.glob("*.png")) for folder in folders]
    for one, folder, saved in zip(pair, folders, names, strict=True):
        if len(saved) != one.run.val_count:
            raise RunError(
                f"{folder}: has {len(saved)} of {one.run.val_count} images; {_again(one)}"
            )
    if names[0] != names[1]:
        raise RunError(f"{folders[0]} and {folders[1]}: of other images; {_again(partial)}")
    return [
        Scene(name, *_files(root, name), *(folder / f"{name}.png" for folder in folders))
        for name in names[0]
    ]


def _files(root: Path, name: str) -> tuple[Path, Path]:
    city = name.partition("_")[0]
    for part in ("val", "train"):
        label = root / "gtFine" / part / city / f"{name}_gtFine_labelIds.png"
        image = root / "leftImg8bit" / part / city / f"{name}_leftImg8bit.png"
        if label.is_file() and image.is_file():
            return image, label
    raise RunError(
        f"no image and label of {name} in {root}; name the folder of leftImg8bit/ and gtFine/ with "
        f"--data"
    )


def _compared(scene: Scene, tile: int | None) -> tuple[Scene | None, np.ndarray]:
    """Return the scene with its accuracies, None without labels there, and both confusions."""
    truth = TO_TRAIN_IDS[read_ids(scene.label)]
    labelled = truth < _CLASSES
    near = labelled & (border_distance(*truth.shape, tile) < max(1, truth.shape[0] // BAND))
    accuracies, tables = [], []
    for file in (scene.zero, scene.partial):
        predicted = TO_TRAIN_IDS[read_ids(file)]
        if predicted.shape != truth.shape or (predicted[labelled] >= _CLASSES).any():
            raise RunError(f"{file}: not a prediction for {scene.label}; remove it")
        pairs = truth[labelled].astype(np.int64) * _CLASSES + predicted[labelled]
        counts = np.bincount(pairs, minlength=_CLASSES**2)
        tables.append(counts.reshape(_CLASSES, _CLASSES))
        accuracies.append(100 * float((predicted == truth)[near].mean()) if near.any() else 0.0)
    files = (scene.name, scene.image, scene.label, scene.zero, scene.partial)
    return Scene(*files, *accuracies) if near.any() else None, np.array(tables)


def _folder(one: ModeScores, mode: str) -> Path:
    return one.run.path / "eval" / "predictions" / one.padding / FOLDERS[mode]


def _again(one: ModeScores) -> str:
    return f"run evaluate.py {one.run.path} --padding {one.padding} --save-predictions"
