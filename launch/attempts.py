"""Works on this machine: as many at a time as it has places for."""

import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from foundation.orphans import stop_with_parent
from launch.places import Place
from launch.standing import Standing
from launch.stopping import StopSignals, ask_to_stop, clear_request, kill
from launch.work import Work

_POLL = 0.2  # s


@dataclass(frozen=True)
class _Attempt:
    """A work in progress."""

    work: Work
    title: str
    place: Place
    process: subprocess.Popen
    log: IO[bytes] | None
    left: int  # attempts after this one


@dataclass(frozen=True)
class Reports:
    """Where the progress of works goes.

    Attributes:
        say: a line for people.
        tick: called again and again, with the works in progress.
        failed: a work that is left, and how it stands.
    """

    say: Callable[[str], None]
    tick: Callable[[Sequence[Work]], None]
    failed: Callable[[Work, Standing], None]


@dataclass(frozen=True)
class Pool:
    """Does works, each in a place of its own.

    Attributes:
        processes: of each work.
        places: for one work each at a time.
        retries: further attempts at a work that fails; then it is left, and the others go on.
        logs: folder of the works' consoles; None: they share this command's.
        reports: told what happens.
    """

    processes: int
    places: Sequence[Place]
    retries: int
    logs: Path | None
    reports: Reports

    def do(self, works: Sequence[Work]) -> bool:
        """Do the works, in their order; return whether they were stopped.

        Ctrl-C, SIGTERM and SIGHUP stop all of them where they can go on; Ctrl-C again kills them.
        """
        waiting = deque(
            (work, f"[{number}/{len(works)}] {work.directory}", self.retries)
            for number, work in enumerate(works, start=1)
        )
        free, working, asked = list(self.places), [], False
        with StopSignals(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as stop:
            while working or (waiting and not stop):
                while free and waiting and not stop:
                    work, title, left = waiting.popleft()
                    if self._is_to_do(work, title):
                        working.append(self._start(work, title, left, free.pop(0)))
                time.sleep(_POLL)
                self.reports.tick([attempt.work for attempt in working])
                if stop and not asked:
                    asked = True
                    self._stop(working)
                if stop.urgent:
                    for attempt in working:
                        kill(attempt.process)
                for attempt in [one for one in working if one.process.poll() is not None]:
                    working.remove(attempt)
                    free.append(attempt.place)
                    if self._end(attempt, asked):
                        waiting.appendleft((attempt.work, attempt.title, attempt.left - 1))
            return bool(stop)

    def _is_to_do(self, work: Work, title: str) -> bool:
        state = work.standing().state
        if state == "finished":
            self.reports.say(f"{title}: finished already")
        elif state == "running":
            self.reports.say(f"{title}: another command is training it")
        return state not in ("finished", "running")

    def _start(self, work: Work, title: str, left: int, place: Place) -> _Attempt:
        log = self._console(work)
        where = "" if log is None else f": begins on {place}; its console: {log.name}"
        self.reports.say(title + where)
        process = subprocess.Popen(
            work.command(self.processes),
            env=place.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log or (self.logs and subprocess.DEVNULL),
            stderr=self.logs and subprocess.STDOUT,
            start_new_session=True,  # a terminal's Ctrl-C is this command's, which asks once
            preexec_fn=stop_with_parent,
        )
        return _Attempt(work, title, place, process, log, left)

    def _console(self, work: Work) -> IO[bytes] | None:
        """Open the file of a work's console; a full disk there is no reason to leave the work."""
        if self.logs is None:
            return None
        file = self.logs / f"{work.name}.log"
        try:
            return open(file, "ab")
        except OSError as error:
            self.reports.say(f"{file}: cannot be written ({error.strerror}); the console is lost")
            return None

    def _stop(self, working: Sequence[_Attempt]) -> None:
        self.reports.say(f"stopping: waiting for {len(working)} to end (Ctrl-C again: at once)")
        for attempt in working:
            ask_to_stop(attempt.work, attempt.process)

    def _end(self, attempt: _Attempt, stopping: bool) -> bool:
        """Say how an attempt ended; return whether there is to be another one."""
        if attempt.log:
            attempt.log.close()
        if stopping:
            clear_request(attempt.work)
        known = attempt.work.ended()
        # Running: another command was faster. Interrupted: by somebody who wants its end.
        if stopping or known.state in ("finished", "running", "interrupted"):
            if attempt.log:
                self.reports.say(f"{attempt.title}: {known}")
            return False
        if attempt.log and not known.reason:  # it could not even begin; its console says why
            known = replace(known, reason=_last_error(Path(attempt.log.name)))
        if attempt.left:
            self.reports.say(f"{attempt.title}: {known}; trying again ({attempt.left} left)")
            return True
        self.reports.say(f"{attempt.title}: {known}; left")
        self.reports.failed(attempt.work, known)
        return False


def _last_error(log: Path) -> str:
    """Return the last line of a console that tells an error, '' if none does."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    found = [line for line in lines if line.startswith("error: ")]
    return found[-1].removeprefix("error: ") if found else ""
