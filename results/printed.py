"""The paper's printed numbers (results/paper/) and its names for networks and paddings."""

import csv
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "paper"

_ARCH = {
    "vgg16_bn": "vgg16BN",
    "vgg19_bn": "vgg19BN",
    "resnet50": "resnet50",
    "resnet101": "resnet101",
    "resnet152": "resnet152",
}
_SCENE_ARCH = {"deeplabv3plus_resnet50": "RN50", "deeplabv3plus_wrn38": "WN38"}
_SPLIT = {"cv0": "default", "cv2": "additional"}
_PADDING = {"zero": "zero", "partial": "partial", "reflect": "ref", "replicate": "rep"}

# The order of the paper's rows.
ARCHITECTURES = tuple(_ARCH)
SCENE_ARCHITECTURES = tuple(_SCENE_ARCH)
PADDINGS = tuple(_PADDING)

# Percentage points below which paddings are called similar: about the smallest gain that the paper
# reports for partial padding.
MARGIN = 0.25


def network(arch: str, padding: str) -> str:
    """Return the paper's name of a network, for example 'vgg16BN_ref'.

    A network or padding that is not the paper's keeps its own name.
    """
    return f"{(_ARCH | _SCENE_ARCH).get(arch, arch)}_{_PADDING.get(padding, padding)}"


def split(name: str) -> str:
    """Return a split's name with the paper's word for it, for example 'cv2 (additional)'."""
    return f"{name} ({_SPLIT[name]})" if name in _SPLIT else name


def place(arch: str, padding: str) -> tuple[int, str, int, str]:
    """Return what sorts networks: the paper's in the order of its rows, then others by name."""
    known = (*ARCHITECTURES, *SCENE_ARCHITECTURES)
    return (*_place(arch, known), *_place(padding, PADDINGS))


def _place(name: str, known: tuple[str, ...]) -> tuple[int, str]:
    return (known.index(name), "") if name in known else (len(known), name)


def table(number: int) -> list[dict[str, str]]:
    """Return the rows of Table 1 to 7 as {column: cell as printed}."""
    with open(_FOLDER / f"table_{number}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def miou_runs() -> dict[str, dict[tuple[str, str], dict[int, float]]]:
    """Return Table 5's runs: {split: {(network, padding): {column: mIoU in percent}}}."""
    rows = {row["Network"]: row for row in table(5)}
    return {
        name: {
            (arch, padding): {
                run: float(rows[network(arch, padding)][f"{word} {run}_best"]) for run in (1, 2, 3)
            }
            for arch in SCENE_ARCHITECTURES
            for padding in ("zero", "partial")
        }
        for name, word in _SPLIT.items()
    }


def miou_row(arch: str, padding: str, split: str) -> dict[str, str]:
    """Return Table 5's cells of a network and split as printed, {} where it has none."""
    for row in table(5):
        if row["Network"] == network(arch, padding) and split in _SPLIT:
            word = f"{_SPLIT[split]} "
            return {k.removeprefix(word): v for k, v in row.items() if k.startswith(word)}
    return {}
