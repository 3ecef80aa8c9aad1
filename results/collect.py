"""Run directories -> runs in memory, refusing what does not belong in one table."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.load import flat
from configs.same_data import same_data
from configs.schema import OPERATIONAL_KEYS, Config
from records import metrics_log, summary
from records.run_dir import RunDir, RunError, read_json
from results import printed

# What may differ between the runs of one network: the variables of the study.
_STUDIED = {"model.arch", "model.padding", "seed"}


@dataclass(frozen=True)
class Run:
    """One run directory.

    Attributes:
        path: the directory.
        config: what the run is.
        finished: whether its numbers count.
        best, last5_avg: top-1 in percent, None until finished (Tables 2 and 3).
        best_epoch: of `best`, counted from 0.
        val_count: validation images.
        fingerprint: of the data set, None where environment.json is missing.
        evaluations: {padding: content of eval/<padding>.json} (Table 4).
    """

    path: Path
    config: Config
    finished: bool
    fingerprint: str | None
    evaluations: dict[str, dict[str, Any]]
    best: float | None = None
    best_epoch: int | None = None
    last5_avg: float | None = None
    val_count: int | None = None


def has_runs(root: Path) -> bool:
    """Return whether `root` holds any run directory."""
    return any(root.glob("*/config.yaml"))


def collect(root: Path) -> list[Run]:
    """Return the runs in `root`, one a subfolder, ordered by seed.

    Raises:
        RunError: there are none; two are the same run; or two of one network differ in more than
            padding and seed, so that a table would compare recipes.
    """
    runs = [_read(RunDir(file.parent)) for file in sorted(root.glob("*/config.yaml"))]
    if not runs:
        raise RunError(f"{root}: no run directories; give the folder that holds them to --runs")
    first_of: dict[str, Run] = {}
    seen: dict[tuple, Run] = {}
    # The fullest fingerprint first: runs of an older version must not hide that others differ.
    for run in sorted(runs, key=lambda run: -len(run.fingerprint or "")):
        model = run.config.model
        other = seen.setdefault((model.arch, model.padding, run.config.seed), run)
        if other is not run:
            raise RunError(
                f"{other.path} and {run.path}: the same network, padding and seed twice; "
                f"move one of them out of {root}"
            )
        _refuse_other_recipe(first_of.setdefault(model.arch, run), run)
    return sorted(runs, key=lambda run: run.config.seed)


def _read(run: RunDir) -> Run:
    config, finished = run.config(), run.is_finished()
    environment = run.environment_file
    fingerprint = _fingerprint(read_json(environment)) if environment.is_file() else None
    files = (run.evaluations / f"{padding}.json" for padding in printed.PADDINGS)
    evaluations = {file.stem: read_json(file) for file in files if file.is_file()}
    if not finished:
        return Run(run.path, config, finished, fingerprint, evaluations)
    # From the log itself: summary.json says that the run is finished, the rows say with what.
    rows = metrics_log.read(run.metrics_file)
    if not rows:
        raise RunError(f"{run.metrics_file}: missing, though the run is finished; restore it")
    top = summary.best(rows)
    return Run(
        path=run.path,
        config=config,
        finished=finished,
        fingerprint=fingerprint,
        evaluations=evaluations,
        best=top["val_top1"],
        best_epoch=top["epoch"],
        last5_avg=summary.last5_avg(rows),
        val_count=top["val_count"],
    )


def _fingerprint(environment: dict[str, Any]) -> str | None:
    """Return the fullest that a session recorded: older versions wrote its first part alone."""
    sessions = (environment, *environment.get("resumed", ()))
    return max((session["data_fingerprint"] for session in sessions), key=lambda f: len(f or ""))


def _refuse_other_recipe(one: Run, other: Run) -> None:
    left, right = _recipe(one), _recipe(other)
    changed = [key for key in left if left[key] != right[key]]
    if same_data(one.fingerprint, other.fingerprint):
        changed = [key for key in changed if key != "data set"]
    if changed:
        listed = ", ".join(f"{key}: {left[key]} and {right[key]}" for key in changed)
        raise RunError(
            f"{one.path} and {other.path}: different recipes ({listed}); "
            f"a table compares paddings under one recipe: keep the studies in separate folders"
        )


def _recipe(run: Run) -> dict[str, Any]:
    ignored = OPERATIONAL_KEYS | _STUDIED
    recipe = {key: value for key, value in flat(run.config).items() if key not in ignored}
    return recipe | {"data set": run.fingerprint}
