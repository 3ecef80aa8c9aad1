"""Run directories -> runs in memory, refusing what does not belong in one table."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from configs.load import recorded_settings
from configs.same_data import same_data
from configs.schema import OPERATIONAL_KEYS
from foundation.files import FileError, read_json
from records import metrics_log, summary
from records.errors import RunError
from records.finished import finished_rows
from records.metrics_log import Row
from records.run_dir import RunDir, evaluation_name
from records.score import SCORES
from records.sessions import data_fingerprints, weights_digest
from results import printed

# What may differ between the runs of one network: the variables of the study.
STUDIED = frozenset({"model.arch", "model.padding", "data.split", "seed"})
# What a table needs to know of a run, and of which type; of each task.
_NEEDED = {
    **{"model.arch": str, "model.padding": str, "model.num_classes": int},
    **{"seed": int, "train.precision": str},
}
_NEEDED_OF = {
    "classification": _NEEDED | {"train.epochs": int},
    "segmentation": _NEEDED | {"train.iterations": int, "data.split": str},
}

_WEIGHTS = {"classification": "model.weights", "segmentation": "model.backbone_weights"}


@dataclass(frozen=True)
class Run:
    """One run directory.

    Attributes:
        path: the directory.
        settings: what the run is, `{dotted key: value}`; networks and paddings that this version
            does not train are tabulated all the same.
        finished: whether its numbers count.
        best, last5_avg: top-1 or mIoU in percent, None until finished (Tables 2, 3 and 5).
        best_epoch: of `best`, counted from 0.
        val_count: validation images.
        fingerprint: of the data set, None where environment.json is missing.
        evaluations: {padding: content of eval/<padding>.json} (Tables 4, 6, 7).
        mirrored: {padding: content of eval/<padding>_flip.json}, with mirror images averaged in.
        flip: whether those are its `evaluations` (`read_mirrored`).
        rows: one for each finished epoch, of a run that goes on as well.
        failure: why it failed, None unless it did.
    """

    path: Path
    settings: dict[str, Any]
    finished: bool
    fingerprint: str | None
    evaluations: dict[str, dict[str, Any]]
    best: float | None = None
    best_epoch: int | None = None
    last5_avg: float | None = None
    val_count: int | None = None
    rows: tuple[Row, ...] = ()
    failure: str | None = None
    mirrored: dict[str, dict[str, Any]] = field(default_factory=dict)
    flip: bool = False

    @property
    def arch(self) -> str:
        """The network."""
        return self.settings["model.arch"]

    @property
    def padding(self) -> str:
        """The padding that it was trained with."""
        return self.settings["model.padding"]

    @property
    def seed(self) -> int:
        """What tells the runs of a row apart."""
        return self.settings["seed"]

    @property
    def task(self) -> str:
        """What it learns: tables and figures are of one task."""
        return self.settings["task"]

    @property
    def split(self) -> str:
        """Which images it trains and which it validates on; '' where there is but one split."""
        return self.settings["data.split"] if self.task == "segmentation" else ""

    @property
    def panel(self) -> str:
        """What it is compared within: its network and its split."""
        return f"{self.arch} {self.split}".rstrip()


def read_mirrored(runs: list[Run]) -> list[Run]:
    """Return the runs with the evaluations in which mirror images were averaged in, alone."""
    return [replace(run, evaluations=run.mirrored, mirrored={}, flip=True) for run in runs]


def has_runs(root: Path) -> bool:
    """Return whether `root` holds any run directory."""
    return any(root.glob("*/config.yaml"))


def of_task(runs: list[Run], task: str) -> list[Run]:
    """Return the runs of one task: SCORES names them."""
    return [run for run in runs if run.task == task]


def collect(root: Path) -> list[Run]:
    """Return the runs in `root`, one a subfolder, ordered by seed; of a run directory, itself.

    Raises:
        RunError: there are none; two are the same run; or two of one network and split differ in
            more than padding and seed, so that a table would compare recipes.
    """
    alone = root / "config.yaml"
    files = [alone] if alone.is_file() else sorted(root.glob("*/config.yaml"))
    runs = [_read(RunDir(file.parent)) for file in files]
    if not runs:
        raise RunError(f"{root}: no run directories; give the folder that holds them to --runs")
    first_of: dict[tuple, Run] = {}
    seen: dict[tuple, Run] = {}
    # The fullest fingerprint first: runs of an older version must not hide that others differ.
    for run in sorted(runs, key=lambda run: -len(run.fingerprint or "")):
        other = seen.setdefault((run.task, run.panel, run.padding, run.seed), run)
        if other is not run:
            raise RunError(
                f"{other.path} and {run.path}: the same network, {_split(run)}padding and seed "
                f"twice; "
                f"move one of them out of {root}"
            )
        _refuse_other_recipe(first_of.setdefault((run.task, run.panel), run), run)
    return sorted(runs, key=lambda run: run.seed)


def _split(run: Run) -> str:
    return "split, " if run.split else ""


def _read(run: RunDir) -> Run:
    settings, finished = _settings(run.config_file), run.is_finished()
    if digest := weights_digest(run):
        # One file at two places is one recipe; two files that had one place are two.
        settings[_WEIGHTS[settings["task"]]] = f"sha256 {digest[:16]}"
    # The fullest that a session recorded: older versions wrote its first part alone.
    fingerprint = max(data_fingerprints(run), key=len, default=None)
    evaluations, mirrored = (_evaluations(run.evaluations, flip) for flip in (False, True))
    if not finished:
        rows = metrics_log.read(run.metrics_file) if run.metrics_file.is_file() else []
        status = run.status()
        failure = status.get("reason", "") if status.get("status") == "failed" else None
        base = (run.path, settings, finished, fingerprint, evaluations)
        return Run(*base, rows=tuple(rows), failure=failure, mirrored=mirrored)
    # From the log itself: summary.json says that the run is finished, the rows say with what.
    score = SCORES[settings["task"]]
    rows = finished_rows(run, settings[score.length_key], score)
    top = summary.best(rows, score)
    return Run(
        path=run.path,
        settings=settings,
        finished=finished,
        fingerprint=fingerprint,
        evaluations=evaluations,
        mirrored=mirrored,
        best=float(score.value(top)),
        best_epoch=top["epoch"],
        last5_avg=summary.last5_avg(rows, score),
        val_count=top["val_count"],
        rows=tuple(rows),
    )


def _settings(file: Path) -> dict[str, Any]:
    settings = recorded_settings(file)
    if settings["task"] not in SCORES:
        raise RunError(f"{file}: task {settings['task']} is unknown to this version; use a newer")
    for key, kind in _NEEDED_OF[settings["task"]].items():
        if type(settings.get(key)) is not kind:
            raise RunError(f"{file}: {key} is missing or damaged; restore the file")
    return settings


def _evaluations(folder: Path, flip: bool) -> dict[str, dict[str, Any]]:
    """Return what evaluate.py wrote, by padding; files of other names may lie beside it."""
    known = {evaluation_name(padding, flip): padding for padding in printed.PADDINGS}
    evaluations = {}
    for file in sorted(folder.glob("*.json")):
        try:
            content = read_json(file)
        except FileError:
            if file.stem in known:
                raise
            continue
        padding = known.get(file.stem, content.get("padding"))
        if isinstance(padding, str) and file.stem == evaluation_name(padding, flip):
            evaluations[padding] = content
    return evaluations


def _refuse_other_recipe(one: Run, other: Run) -> None:
    left, right = _recipe(one), _recipe(other)
    changed = [key for key in left | right if left.get(key) != right.get(key)]
    if same_data(one.fingerprint, other.fingerprint):
        changed = [key for key in changed if key != "data set"]
    if changed:
        listed = ", ".join(f"{key}: {left.get(key)} and {right.get(key)}" for key in changed)
        raise RunError(
            f"{one.path} and {other.path}: different recipes ({listed}); "
            f"a table compares paddings under one recipe: keep the studies in separate folders"
        )


def _recipe(run: Run) -> dict[str, Any]:
    ignored = OPERATIONAL_KEYS | STUDIED
    recipe = {key: value for key, value in run.settings.items() if key not in ignored}
    return recipe | {"data set": run.fingerprint}
