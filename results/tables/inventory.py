"""What runs there are, and what each was made with."""

from typing import Any

from foundation.files import FileError, read_json
from records.run_dir import RunDir
from records.score import SCORES
from results.collect import Run
from results.diverged import RULE, diverged_runs
from results.grouping import by_split, groups
from results.render import Table
from results.tables.rows import cell


def ledger_table(runs: list[Run]) -> Table:
    """Return a row a run: how it stands, and its numbers."""
    wrong = diverged_runs(runs)
    return Table(
        name="runs",
        title="The runs",
        names=1,
        columns=("run", "state", "trained", "best", "of epoch", "last5_avg", "hours"),
        rows=tuple(
            (
                run.path.name,
                _state(run) + ", diverged" * (run in wrong),
                _trained(run),
                cell(run.best),
                "" if run.best_epoch is None else str(run.best_epoch + 1),
                cell(run.last5_avg),
                f"{sum(row.get('seconds', 0) for row in run.rows) / 3600:.2f}",
            )
            for run in _in_order(runs)
        ),
        notes=(
            "best, last5_avg: top-1 or mIoU in percent, of finished runs.",
            *((f"{RULE[0].upper()}{RULE[1:]}, of best or of last5_avg.",) if wrong else ()),
        ),
    )


def provenance_table(runs: list[Run]) -> Table:
    """Return a row a run: commit, versions, devices, resumptions, warnings."""
    columns = ("run", "started", "commit", "versions", "devices", "processes", "host")
    return Table(
        name="provenance",
        title="What the runs were made with",
        names=1,
        columns=(*columns, "resumed", "warnings"),
        rows=tuple((run.path.name, *_made_with(run)) for run in _in_order(runs)),
        notes=("As each run's environment.json says; of its first session.",),
    )


def _in_order(runs: list[Run]) -> list[Run]:
    parts = [groups(part) for part in by_split(runs).values()]
    return [run for part in parts for group in part.values() for run in group]


def _trained(run: Run) -> str:
    score = SCORES[run.task]
    done = score.done(run.rows[-1]) if run.rows else 0
    return f"{done}/{run.settings[score.length_key]} {score.unit}"


def _state(run: Run) -> str:
    if run.finished:
        return "finished"
    return "not finished" if run.failure is None else f"failed: {run.failure}"


def _made_with(run: Run) -> tuple[str, ...]:
    file = RunDir(run.path).environment_file
    try:
        said: dict[str, Any] = read_json(file)
    except FileError:
        return ("unknown",) + ("",) * 7
    versions = said.get("versions") or {}
    shown = ", ".join(f"{k} {versions[k]}" for k in ("torch", "cuda", "dali") if versions.get(k))
    changed = len(said.get("git_changes") or ())
    commit = f"{said.get('git_commit') or 'unknown'}"[:10]
    return (
        f"{said.get('started', '')}"[:16].replace("T", " "),
        commit + (f" and {changed} changed files" if changed else ""),
        shown,
        f"{said.get('devices', '')}",
        f"{said.get('world_size', '')}",
        f"{said.get('host', '')}",
        f"{said.get('restarts', '')}",
        "; ".join(map(str, said.get("warnings") or ())),
    )
