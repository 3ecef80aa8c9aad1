"""What the layers of all schemes have in common: nn.Conv2d's arguments, checked."""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import nn

from .errors import PaddingError
from .ratio import Pair, padding_on_each_side


class PaddedConv2d(nn.Conv2d):
    """nn.Conv2d with a padding scheme of its own in place of `padding_mode`.

    Raises:
        PaddingError: a negative padding, a string padding that is unknown or meets a stride, or a
            `padding_mode`, which the class stands for already.
    """

    mode: ClassVar[str]  # what `padding_mode` is called here, and nn.Conv2d's nearest

    def __init__(self, *args: Any, **kwargs: Any):
        name = type(self).__name__
        try:
            super().__init__(*args, **kwargs)
        except ValueError as error:
            raise PaddingError(f"{name}: {error}") from None
        if self.padding_mode not in ("zeros", self.mode):
            raise PaddingError(
                f"{name} is a padding mode of its own; leave out padding_mode='{self.padding_mode}'"
            )
        self.padding_mode = self.mode
        check_padding(self, name)


def as_pair(value: int | Sequence[int]) -> Pair:
    """Return the pair that torch takes such an argument for: an int and (int,) count for both."""
    if isinstance(value, tuple) and len(value) == 2:  # nearly always, and in every forward
        return value
    if not isinstance(value, Sequence):
        return (value, value)
    return tuple(value) if len(value) == 2 else (value[0], value[0])


def described(conv: nn.Conv2d) -> str:
    """Return the layer with its settings in one line; repr has more where it is parametrized."""
    return f"{type(conv).__name__}({conv.extra_repr()})"


def padding_sides(conv: nn.Conv2d) -> tuple[int, int, int, int]:
    """Return the columns and rows added left, right, top and bottom, as F.pad takes them.

    From what the layer has now: its own record of them is as old as its construction.
    """
    if not isinstance(conv.padding, str):
        rows, columns = as_pair(conv.padding)
        return columns, columns, rows, rows
    before, after = padding_on_each_side(conv.padding, conv.kernel_size, as_pair(conv.dilation))
    return before[1], after[1], before[0], after[0]


def check_padding(conv: nn.Conv2d, name: str) -> None:
    """Raise PaddingError where `conv`, known to its user as `name`, has an impossible padding."""
    if isinstance(conv.padding, str):
        if any(step != 1 for step in as_pair(conv.stride)) and conv.padding == "same":
            raise PaddingError(
                f"{name}: padding='same' needs stride 1, not {conv.stride}; give numbers", conv
            )
    elif min(as_pair(conv.padding)) < 0:
        raise PaddingError(f"{name}: padding {conv.padding} is negative; crop the input", conv)
