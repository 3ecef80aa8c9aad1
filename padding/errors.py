"""What a padding scheme cannot do."""

from torch import nn


class PaddingError(ValueError):
    """A padding scheme cannot be applied; `module` is the layer at fault, where there is one."""

    def __init__(self, message: str, module: nn.Module | None = None):
        super().__init__(message)
        self.module = module


class PaddingWarning(UserWarning):
    """Padded convolutions stay as they are."""
