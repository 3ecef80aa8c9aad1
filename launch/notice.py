"""Notices to a person, by a command of theirs."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

from launch.standing import Standing
from launch.work import Work

_PATIENCE = 60  # s


def notify_failure(command: str | None, sweep: str, work: Work, known: Standing) -> None:
    """Tell of a work that is left for good."""
    facts = {"run": work.name, "directory": work.directory}
    facts |= {"state": known.state, "reason": known.reason}
    notify(command, "run failed", sweep=sweep, **facts)


def notify(command: str | None, event: str, **facts: Any) -> None:
    """Run the user's command with a line of JSON on its standard input; what fails is only told.

    Args:
        command: for the shell; None: nobody wants to know.
        event: 'run failed' or 'sweep complete'.
        facts: about it.
    """
    if command is None:
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    line = json.dumps({"event": event, "time": now} | facts) + "\n"
    try:
        done = subprocess.run(
            command, shell=True, input=line, text=True, timeout=_PATIENCE, stdout=sys.stderr
        )
        problem = f"exit code {done.returncode}" if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    if problem:
        print(f"warning: --notify {command}: {problem}", file=sys.stderr, flush=True)
