"""What is wrong with a run directory."""

from foundation.errors import UserError


class RunError(UserError):
    """A run directory cannot be used for what was asked."""
