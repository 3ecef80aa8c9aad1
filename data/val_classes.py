"""The classes of ImageNet's validation images, from the devkit or from a text file."""

import tarfile
from pathlib import Path

from data.interface import DataError

_TRUTH = "ILSVRC2012_validation_ground_truth.txt"


def read_val_classes(file: Path) -> dict[str, str] | list[str]:
    """Return the class (WordNet id) of each file name, or those of all names in order.

    Args:
        file: the devkit's archive (ILSVRC2012_devkit_t12.tar.gz), or a text file with a line for
            each image: file name and class, or the class alone, in the order of the names.

    Raises:
        DataError: it is neither.
    """
    try:
        if tarfile.is_tarfile(file):
            return _of_devkit(file)
        rows = [line.split() for line in file.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({error})") from None
    columns = {len(row) for row in rows}
    if columns == {1} and not rows[0][0].isdecimal():
        return [name for (name,) in rows]
    if columns == {2}:
        return {name: class_ for name, class_ in rows}
    raise DataError(
        f"{file}: give the devkit's archive, or a line for each image: file name and class, or the "
        f"class (n01440764) alone"
    )


def _of_devkit(archive: Path) -> list[str]:
    try:
        from scipy.io import loadmat  # an extra: the devkit names its classes in a Matlab file
    except ImportError:
        raise DataError("scipy is missing, which reads the devkit; pip install scipy") from None
    with tarfile.open(archive) as devkit:
        files = {Path(member.name).name: member for member in devkit}
        if not {"meta.mat", _TRUTH} <= files.keys():
            raise DataError(f"{archive}: holds no meta.mat and {_TRUTH}; is it the devkit?")
        synsets = loadmat(devkit.extractfile(files["meta.mat"]), squeeze_me=True)["synsets"]
        names = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets}
        lines = devkit.extractfile(files[_TRUTH]).read().split()
    return [names[int(number)] for number in lines]
