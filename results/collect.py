"""Run directories -> runs in memory, refusing what does not belong in one table."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.load import flat
from configs.schema import OPERATIONAL_KEYS, Config
from records import metrics_log, summary
from records.run_dir import RunDir, RunError, read_json

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
        val_count: validation images, None until finished.
        evaluations: {padding: content of eval/<padding>.json} (Table 4).
    """

    path: Path
    config: Config
    finished: bool
    best: float | None
    last5_avg: float | None
    val_count: int | None
    evaluations: dict[str, dict[str, Any]]


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
    for run in runs:
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
    files = sorted(run.evaluations.glob("*.json"))
    evaluations = {file.stem: read_json(file) for file in files}
    if not run.is_finished():
        return Run(run.path, run.config(), False, None, None, None, evaluations)
    # From the log itself: summary.json says that the run is finished, the rows say with what.
    rows = metrics_log.read(run.metrics_file)
    return Run(
        path=run.path,
        config=run.config(),
        finished=True,
        best=summary.best(rows)["val_top1"],
        last5_avg=summary.last5_avg(rows),
        val_count=rows[-1]["val_count"],
        evaluations=evaluations,
    )


def _refuse_other_recipe(one: Run, other: Run) -> None:
    left, right = _recipe(one), _recipe(other)
    changed = [key for key in left if left[key] != right[key]]
    if changed:
        listed = ", ".join(f"{key}: {left[key]} and {right[key]}" for key in changed)
        raise RunError(
            f"{one.path} and {other.path}: different recipes ({listed}); "
            f"a table compares paddings under one recipe: keep the studies in separate folders"
        )


def _recipe(run: Run) -> dict[str, Any]:
    ignored = OPERATIONAL_KEYS | _STUDIED
    recipe = {key: value for key, value in flat(run.config).items() if key not in ignored}
    environment = RunDir(run.path).environment_file
    fingerprint = read_json(environment)["data_fingerprint"] if environment.is_file() else None
    return recipe | {"data set": fingerprint}
