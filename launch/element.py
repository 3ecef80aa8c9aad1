"""One element of a job array: a work, its further attempts, and its return to the queue.

    python -m launch.element SUBMISSION INDEX -- srun torchrun ...

Called by launch/slurm.sbatch. What comes after `--` starts the work's script.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from foundation.errors import UserError, run_command
from launch import slurm
from launch.notice import notify, notify_failure
from launch.standing import Standing
from launch.stopping import StopSignals, ask_to_stop, clear_request
from launch.work import Work

_POLL = 0.5  # s


def main() -> None:
    """Run the command line."""
    submission, index, dashes, *launcher = sys.argv[1:]
    assert dashes == "--"
    assert launcher
    works, facts = slurm.load_works(Path(submission))
    work = works[int(index)]
    left = int(facts["retries"])
    with StopSignals(signal.SIGUSR1, signal.SIGTERM) as stop:
        known = work.standing()
        while known.state != "finished":
            known = _attempt(work, launcher, stop)
            if known.state == "finished":
                break
            if stop.first == signal.SIGUSR1 or _is_preempted():
                _go_on_later(work, known)
                return
            if stop or known.state in ("interrupted", "running"):
                raise UserError(f"{work.directory}: {known}; not in the queue any more")
            if not left:
                notify_failure(facts["notify"], facts["sweep"], work, known)
                raise UserError(f"{work.directory}: {known}; left")
            print(f"{work.directory}: {known}; trying again ({left} left)", flush=True)
            left -= 1
    print(f"{work.directory}: finished", flush=True)
    _conclude(Path(submission), works, facts)


def _attempt(work: Work, launcher: list[str], stop: StopSignals) -> Standing:
    """Do a work to its end, or until it is stopped; return how it stands."""
    asked = False
    process = subprocess.Popen([*launcher, *work.words()], stdin=subprocess.DEVNULL)
    while process.poll() is None:
        if stop and not asked:
            asked = True
            print(f"{work.directory}: {signal.Signals(stop.first).name}: stopping", flush=True)
            ask_to_stop(work, process)
        time.sleep(_POLL)
    if asked:
        clear_request(work)
    return work.ended()


def _is_preempted() -> bool:
    with suppress(UserError):  # no word from the controller: it does not take part
        return slurm.is_preempted(os.environ["SLURM_JOB_ID"])
    return False


def _go_on_later(work: Work, known: Standing) -> None:
    """Return to the queue, and wait for the end that Slurm makes of this job."""
    array, index = (os.environ[f"SLURM_ARRAY_{name}_ID"] for name in ("JOB", "TASK"))
    print(f"{work.directory}: {known}; job {array}_{index} goes back to the queue", flush=True)
    slurm.requeue(array, index)
    time.sleep(60)


def _conclude(submission: Path, works: list[Work], facts: dict[str, Any]) -> None:
    """Give notice of the sweep's end, from the last element alone."""
    if all(work.standing().state == "finished" for work in works):
        with suppress(FileExistsError):
            (submission.parent / "complete").touch(exist_ok=False)
            notify(facts["notify"], "sweep complete", sweep=facts["sweep"], runs=len(works))


if __name__ == "__main__":
    run_command(main)
