"""Mistakes of the user's: the exception that stands for them, and how a command shows them."""

import codecs
import io
import os
import sys
from collections.abc import Callable


class UserError(ValueError):
    """Bad input; its text says what is wrong and what to do."""


_SHOWN = "shown"


def _shown(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write the bytes of a file name as they are, and any other character as \\u1234."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


codecs.register_error(_SHOWN, _shown)


def run_command(main: Callable[[], None]) -> None:
    """Run a command; show a UserError as its text alone and exit with code 2.

    It ends quietly when nobody reads its output any more (`| head`), and shows a character that the
    locale has none for by its number.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_SHOWN)
    code: int | str | None = None
    try:
        main()
    except UserError as error:
        # torchrun starts one command several times on a machine; there it is told once.
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(f"error: {error}", file=sys.stderr)
        code = 2
    except SystemExit as end:
        code = end.code
    except BrokenPipeError:
        pass
    flush_output()
    if code:
        sys.exit(code)


def flush_output() -> None:
    """Write out what was printed; where nobody reads it, the interpreter need not say so."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
