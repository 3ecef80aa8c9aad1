"""Sort ImageNet's official files into train/<class>/ and val/<class>/.

python -m data.imagenet OUT --train ILSVRC2012_img_train.tar --val ILSVRC2012_img_val.tar \\
    --val-classes ILSVRC2012_devkit_t12.tar.gz
"""

import argparse
import glob
import os
import shutil
import sys
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from data.store.dataset import CLASSES, IMAGENET, DataError
from data.store.paths import is_folder_name, printable
from data.store.val_classes import read_val_classes
from foundation.errors import run_command
from foundation.files import replacing
from foundation.homes import expanded
from foundation.words import counted


def unpack_train(tar: Path, out: Path) -> None:
    """Unpack the tar of the classes' tars into OUT/<class>/; whole classes are kept.

    Raises:
        DataError: it is not that tar, or is damaged.
    """
    try:
        with tarfile.open(tar, "r:") as outer:
            classes = _members(tar, [member for member in outer if member.name.endswith(".tar")])
            for name in classes:
                if not is_folder_name(name.removesuffix(".tar")):
                    raise DataError(f"{tar}: {printable(name)} names no class")
            for name, member in tqdm(classes.items(), "train/", unit="class", disable=None):
                folder = out / name.removesuffix(".tar")
                if not folder.exists():
                    _unpack_class(outer.extractfile(member), folder, f"{tar}: {member.name}")
    except (OSError, tarfile.TarError, EOFError) as error:
        raise DataError(f"{tar}: cannot be unpacked ({error}); is the download whole?") from None
    if not classes:
        raise DataError(f"{tar}: holds no <class>.tar; give ILSVRC2012_img_train.tar")


def _members(tar: Path | str, members: list[tarfile.TarInfo]) -> dict[str, tarfile.TarInfo]:
    """Return members by their file names, all of them or none.

    Raises:
        DataError: one leads out of the folder it is unpacked into, is no file, or has the name of
            another.
    """
    found: dict[str, tarfile.TarInfo] = {}
    for member in members:
        path, shown = PurePosixPath(member.name), printable(member.name)
        if path.is_absolute() or ".." in path.parts or not path.name:
            raise DataError(f"{tar}: {shown} leads out of its folder; this is not ImageNet's tar")
        if not member.isfile():
            raise DataError(f"{tar}: {shown} is a link or device; this is not ImageNet's tar")
        if path.name in found:
            raise DataError(f"{tar}: holds {path.name} twice; this is not ImageNet's tar")
        found[path.name] = member
    return found


def _unpack_class(file: IO[bytes], folder: Path, shown: str) -> None:
    for left in _left_by_killed_calls(folder):
        shutil.rmtree(left, ignore_errors=True)
    with tarfile.open(fileobj=file, mode="r:") as inner, replacing(folder) as temporary:
        members = _members(shown, [member for member in inner if not member.isdir()])
        temporary.mkdir(parents=True)
        for name, member in members.items():
            with (temporary / name).open("wb") as opened:
                shutil.copyfileobj(inner.extractfile(member), opened)


def sort_val(source: Path, classes: dict[str, str] | list[str], out: Path) -> None:
    """Put the flat validation images into OUT/<class>/; what is there already is kept.

    Args:
        source: tar or folder of the images; a folder's files are linked, or copied where they
            cannot be, and stay.
        classes: of each file name, or of the names in order.
        out: folder of the split.

    Raises:
        DataError: images and classes do not match.
    """
    try:
        if source.is_dir():
            nested = source / "images"  # Tiny-ImageNet's val/ holds them and val_annotations.txt
            source = nested if nested.is_dir() else source
            files = {file.name: file for file in source.iterdir() if file.is_file()}
            targets = _targets(source, sorted(files), classes, out)
            for name, target in tqdm(targets.items(), "val/", unit="img", disable=None):
                _link_or_copy(files[name], target)
            return
        with tarfile.open(source, "r:") as tar:
            members = _members(source, [member for member in tar if not member.isdir()])
            targets = _targets(source, sorted(members), classes, out)
            for name, target in tqdm(targets.items(), "val/", unit="img", disable=None):
                _write(tar.extractfile(members[name]), target)
    except (OSError, tarfile.TarError, EOFError) as error:
        raise DataError(f"{source}: cannot be sorted ({error})") from None


def _targets(
    source: Path, names: list[str], classes: dict[str, str] | list[str], out: Path
) -> dict[str, Path]:
    """Return where each image goes that is not there yet."""
    if isinstance(classes, list):
        if len(classes) != len(names):
            raise DataError(f"{source}: {len(names)} images, but {len(classes)} classes listed")
        classes = dict(zip(names, classes, strict=True))
    unknown, missing = sorted(set(names) - set(classes)), sorted(set(classes) - set(names))
    if unknown or missing:
        raise DataError(
            f"{source}: does not match the list: {counted(len(unknown), 'image')} without a class "
            f"{unknown[:1]}, {counted(len(missing), 'image')} missing {missing[:1]}"
        )
    targets = {name: out / classes[name] / name for name in names}
    for folder in {target.parent for target in targets.values()}:
        folder.mkdir(parents=True, exist_ok=True)
    return {name: target for name, target in targets.items() if not target.exists()}


def _link_or_copy(file: Path, target: Path) -> None:
    try:
        os.link(file.resolve(), target)  # of a link the file, or a relative one would dangle
    except OSError:  # another file system, or one without links
        with file.open("rb") as opened:
            _write(opened, target)


def _write(file: IO[bytes], target: Path) -> None:
    for left in _left_by_killed_calls(target):
        left.unlink()
    with replacing(target) as temporary, temporary.open("wb") as opened:
        shutil.copyfileobj(file, opened)


def _left_by_killed_calls(path: Path) -> list[Path]:
    """Return what was on its way to become `path`; older versions gave it no process's number."""
    before = path.with_name(f".{path.name}")
    return [
        *path.parent.glob(f".{glob.escape(path.name)}.*"),
        *([before] if before.exists() else []),
    ]


def _check_counts(split: str, folder: Path) -> bool:
    """Say how many images there are; return whether they are ImageNet's."""
    counts = [sum(1 for _ in class_.iterdir()) for class_ in folder.iterdir() if class_.is_dir()]
    print(
        f"{folder}: {sum(counts):,} images in {len(counts):,} classes "
        f"(ImageNet: {IMAGENET[split]:,} in {CLASSES:,})"
    )
    return (sum(counts), len(counts)) == (IMAGENET[split], CLASSES)


def main() -> None:
    """Unpack and sort what the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m data.imagenet",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Stopped, the same command goes on. Exits with 1 if the counts are not ImageNet's.",
    )
    parser.add_argument("out", type=expanded, help="folder that will hold train/ and val/")
    parser.add_argument("--train", type=expanded, help="ILSVRC2012_img_train.tar")
    parser.add_argument(
        "--val", type=expanded, help="ILSVRC2012_img_val.tar, or its images' folder"
    )
    parser.add_argument(
        "--val-classes",
        type=expanded,
        help="the devkit's archive, Kaggle's LOC_val_solution.csv, Tiny-ImageNet's "
        "val_annotations.txt, or lines of file name and class",
    )
    arguments = parser.parse_args()
    if bool(arguments.val) != bool(arguments.val_classes):
        parser.error("--val and --val-classes belong together")
    if not arguments.train and not arguments.val:
        parser.error("nothing to do: give --train, or --val and --val-classes, or all three")
    complete = True
    if arguments.train:
        unpack_train(arguments.train, arguments.out / "train")
        complete &= _check_counts("train", arguments.out / "train")
    if arguments.val:
        classes = read_val_classes(arguments.val_classes)
        sort_val(arguments.val, classes, arguments.out / "val")
        complete &= _check_counts("val", arguments.out / "val")
    sys.exit(0 if complete else 1)


if __name__ == "__main__":
    run_command(main)
