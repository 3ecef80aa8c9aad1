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

    A padding that is not the paper's, as benchmarks have, keeps its own name.
    """
    return f"{_ARCH[arch]}_{_PADDING.get(padding, padding)}"


def table(number: int) -> list[dict[str, str]]:
    """Return the rows of Table 1 to 7 as {column: cell as printed}."""
    with open(_FOLDER / f"table_{number}.csv", newline="") as file:
        return list(csv.DictReader(file))
