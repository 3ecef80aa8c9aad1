"""How a command shows what its locale has no characters for."""

import os
import subprocess
import sys

from tests.conftest import ROOT


def test_a_file_names_bytes_are_printed_as_they_are():
    program = (
        "import os; from foundation.errors import run_command;"
        r"run_command(lambda: print(os.fsdecode(b'/a\xc3\xa9\xff'), '\u00b1'))"
    )
    for locale, plus_minus in (("C", rb"\xb1"), ("C.UTF-8", "±".encode())):
        done = subprocess.run(
            [sys.executable, "-X", "utf8=0", "-c", program],
            env=os.environ | {"LC_ALL": locale},
            cwd=ROOT,
            capture_output=True,
        )
        assert done.stdout == b"/a\xc3\xa9\xff " + plus_minus + b"\n", done.stderr
