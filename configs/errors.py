"""Mistakes of the user's: the exception that stands for them, and how a command shows them."""

import sys
from collections.abc import Callable


class UserError(ValueError):
    """Bad input; its text says what is wrong and what to do."""


def run_command(main: Callable[[], None]) -> None:
    """Run a command; show a UserError as its text alone and exit with code 2."""
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
