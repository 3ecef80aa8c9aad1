"""The paper's printed numbers (results/paper/) and its names for networks and paddings."""

import csv
from pathlib import Path

_FOLDER = Path(__file__).parent / "paper"

_ARCH = {
    "vgg16_bn": "vgg16BN",
    "vgg19_bn": "vgg19BN",
    "resnet50": "resnet50",
    "resnet101": "resnet101",
    "resnet152": "resnet152",
}
_PADDING = {"zero": "zero", "partial": "partial", "reflect": "ref", "replicate": "rep"}

# The order of the paper's rows.
ARCHITECTURES = tuple(_ARCH)
PADDINGS = tuple(_PADDING)


def network(arch: str, padding: str) -> str:
    """Return the paper's name of a network, for example 'vgg16BN_ref'.

    A network or padding that is not the paper's keeps its own name.
    """
    return f"{_ARCH.get(arch, arch)}_{_PADDING.get(padding, padding)}"


def place(arch: str, padding: str) -> tuple[int, str, int, str]:
    """Return what sorts networks: the paper's in the order of its rows, then others by name."""
    return (*_place(arch, ARCHITECTURES), *_place(padding, PADDINGS))


def _place(name: str, known: tuple[str, ...]) -> tuple[int, str]:
    return (known.index(name), "") if name in known else (len(known), name)


def table(number: int) -> list[dict[str, str]]:
    """Return the rows of Table 1 to 7 as {column: cell as printed}."""
    with open(_FOLDER / f"table_{number}.csv", newline="") as file:
        return list(csv.DictReader(file))
