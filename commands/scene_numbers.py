"""What eval/<padding>.json says of a segmentation run: IoUs, and the integers behind them."""

from typing import Any

from torch import Tensor

from records.iou import miou, percents
from tasks.regions import RINGS

_TOLD = {"regular": "regular", "tile 0": "tile", "tile 1/3": "tile 1/3"}


def scene_numbers(matrices: dict[str, dict[str, Tensor]]) -> dict[str, Any]:
    """Return `modes`, `leave_out` and `border` of an evaluation.

    Args:
        matrices: of tasks.modes.matrices, on the CPU.
    """
    left_out = {place: _each(matrices[place]) for place in ("image", "tile")}
    border = {mode: _rings(matrix) for mode, matrix in matrices["rings"].items()}
    return {"modes": _each(matrices["modes"]), "leave_out": left_out, "border": border}


def told(numbers: dict[str, Any]) -> str:
    """Return the mean IoUs as evaluate.py prints them."""
    each = (f"{name} {numbers['modes'][mode]['miou']:.3f}" for mode, name in _TOLD.items())
    return f"mIoU {', '.join(each)}"


def _each(matrices: dict[str, Tensor]) -> dict[str, Any]:
    return {name: _numbers(matrix) for name, matrix in matrices.items()}


def _rings(matrices: Tensor) -> list[dict[str, Any]]:
    """Return the rings that hold labelled pixels, from the border inwards."""
    ends = (*RINGS[1:], None)
    return [
        {"from": start, "to": end} | _numbers(matrix)
        for start, end, matrix in zip(RINGS, ends, matrices, strict=True)
        if matrix.any()
    ]


def _numbers(matrix: Tensor) -> dict[str, Any]:
    confusion = matrix.tolist()
    return {"miou": miou(confusion), "iou": percents(confusion), "confusion": confusion}
