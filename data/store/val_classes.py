"""The classes of validation images, from ImageNet's devkit, Kaggle, Tiny-ImageNet or a list."""

import tarfile
from collections import Counter
from io import BytesIO
from pathlib import Path

from data.store.dataset import DataError
from data.store.paths import is_folder_name, printable

_KAGGLE = "imageid,predictionstring"  # first line of LOC_val_solution.csv
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"


def read_val_classes(file: Path) -> dict[str, str] | list[str]:
    """Return the class (WordNet id) of each file name, or those of all names in order.

    Args:
        file: the devkit's archive (ILSVRC2012_devkit_t12.tar.gz); Kaggle's LOC_val_solution.csv;
            Tiny-ImageNet's val_annotations.txt; or a text file with a line for each image: file
            name and class, or the class alone, in the order of the names.

    Raises:
        DataError: it is none of them, names an image twice, or a class that is no folder's name.
    """
    try:
        if tarfile.is_tarfile(file):
            return _checked(file, _of_devkit(file))
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError, EOFError, tarfile.TarError) as error:
        raise DataError(f"{file}: cannot be read ({error})") from None
    kaggle = bool(lines) and lines[0].strip().lower() == _KAGGLE
    lines = [line.replace(",", " ", 1) for line in lines[1:]] if kaggle else lines
    rows = [line.split() for line in lines if line.strip()]
    columns = {len(row) for row in rows}
    if columns == {1} and not rows[0][0].isdecimal():
        return _checked(file, [name for (name,) in rows])
    # Kaggle's lines name the image without ending, and a class and four numbers for each object;
    # Tiny-ImageNet's name an image, a class and the four numbers of one.
    if columns == {2} or (kaggle and min(columns, default=0) >= 2) or columns == {6}:
        names = [row[0] + ".JPEG" * kaggle for row in rows]
        if len(set(names)) < len(names):
            twice = next(name for name, count in Counter(names).items() if count > 1)
            raise DataError(f"{file}: names {printable(twice)} twice; correct it")
        return _checked(file, {name: row[1] for name, row in zip(names, rows, strict=True)})
    raise DataError(
        f"{file}: give the devkit's archive, or a line for each image: file name and class, or the "
        f"class (n01440764) alone, or Kaggle's LOC_val_solution.csv, or Tiny-ImageNet's "
        f"val_annotations.txt"
    )


def _checked(file: Path, classes: dict[str, str] | list[str]) -> dict[str, str] | list[str]:
    for name in classes.values() if isinstance(classes, dict) else classes:
        if not is_folder_name(name):
            raise DataError(f"{file}: {printable(name)!r} can be no class; correct it")
    return classes


def _of_devkit(archive: Path) -> list[str]:
    try:
        from scipy.io import loadmat  # an extra: the devkit names its classes in a Matlab file
    except ImportError:
        raise DataError("scipy is missing, which reads the devkit; pip install scipy") from None
    with tarfile.open(archive) as devkit:
        files = {Path(member.name).name: member for member in devkit if member.isfile()}
        if not {"meta.mat", _TRUTH} <= files.keys():
            raise DataError(f"{archive}: holds no meta.mat and {_TRUTH}; is it the devkit?")
        meta, truth = (devkit.extractfile(files[name]).read() for name in ("meta.mat", _TRUTH))
    try:
        synsets = loadmat(BytesIO(meta), squeeze_me=True)["synsets"]
        names = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets}
        return [names[int(number)] for number in truth.split()]
    # scipy, too, stumbles over a damaged file in many ways.
    except Exception as error:
        raise DataError(f"{archive}: cannot be read ({error}); is the download whole?") from None
