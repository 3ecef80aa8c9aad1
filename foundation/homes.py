"""`~` in paths that no shell has replaced, because it stood in a file or after `key=`."""

import argparse
from pathlib import Path

from foundation.errors import UserError


class HomeError(UserError, argparse.ArgumentTypeError):  # argparse shows its text, too
    """Nobody knows the home folder that a path begins with."""


def expanded(path: str | Path, key: str = "") -> Path:
    """Return a path with `~` and `~user` replaced, as a shell does only before a word.

    Args:
        path: given by a user.
        key: the setting that it comes from, if any.

    Raises:
        HomeError: nobody knows that home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no HOME, and the user has no entry in the machine's list
        where = f"{key}={path}" if key else f"{path}"
        raise HomeError(f"{where}: this home folder is unknown; give the whole path") from None
