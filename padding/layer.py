"""What the layers of all schemes have in common: nn.Conv2d's arguments, checked."""

from typing import Any, ClassVar

from torch import nn

from .errors import PaddingError


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


def check_padding(conv: nn.Conv2d, name: str) -> None:
    """Raise PaddingError where `conv`, known to its user as `name`, has an impossible padding."""
    if isinstance(conv.padding, str):
        if any(step != 1 for step in conv.stride) and conv.padding == "same":
            raise PaddingError(
                f"{name}: padding='same' needs stride 1, not {conv.stride}; give numbers", conv
            )
    elif min(conv.padding) < 0:
        raise PaddingError(f"{name}: padding {conv.padding} is negative; crop the input", conv)
