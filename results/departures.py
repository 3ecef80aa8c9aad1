"""What sets runs apart from the paper's, so that no table shows them beside it without a word."""

from functools import cache
from pathlib import Path
from typing import Any

from configs.load import flat, load
from results.collect import Run
from results.render import Table

_RECIPE = Path(__file__).resolve().parent.parent / "configs" / "imagenet.yaml"
_IMAGENET_VAL = 50_000
_CLASSES = 1_000

# What moves a run's numbers; the rest of a configuration says where and how fast.
_KEYS = (
    "model.num_classes",
    "model.weights",
    "data.image_size",
    "data.eval_resize",
    "data.crop_area",
    "data.crop_aspect",
    "data.flip",
    "data.global_batch_size",
    "optim.lr",
    "optim.milestones",
    "optim.gamma",
    "optim.momentum",
    "optim.weight_decay",
    "train.epochs",
    "train.precision",
)


def not_imagenet(runs: list[Run]) -> tuple[str, ...]:
    """Return the note that says in what the finished runs are not the paper's; () if in nothing."""
    finished = [run for run in runs if run.finished]
    sizes = {run.val_count for run in finished if run.val_count} - {_IMAGENET_VAL}
    found = [f"evaluated on {', '.join(f'{n:,}' for n in sorted(sizes))} images"] if sizes else []
    if any(run.settings.get("data.backend") == "synthetic" for run in finished):
        found.append("trained on noise (data.backend synthetic)")
    other_classes = any(run.settings["model.num_classes"] != _CLASSES for run in finished)
    what = "NOT ImageNet" if found or other_classes else "NOT ImageNet by the paper's recipe"
    for key in _KEYS:
        papers = _recipe()[key]
        ours = {setting_text(run.settings.get(key)) for run in finished} - {setting_text(papers)}
        if ours:
            found.append(f"{key} {', '.join(sorted(ours))} (recipe: {setting_text(papers)})")
    return (f"{what}: {'; '.join(found)}; the paper's columns are for their form.",) * bool(found)


def differing(runs: list[Run]) -> tuple[str, ...]:
    """Return the note that says in what the recipes of the networks differ; () if in nothing."""
    told = []
    for key in _KEYS:
        values: dict[str, list[str]] = {}
        for run in runs:
            networks = values.setdefault(setting_text(run.settings.get(key)), [])
            networks += [] if run.arch in networks else [run.arch]
        if len(values) > 1:
            listed = ", ".join(f"{value} ({', '.join(archs)})" for value, archs in values.items())
            told.append(f"{key} {listed}")
    return (f"Recipes differ between networks: {'; '.join(told)}.",) if told else ()


def recipe_table(runs: list[Run]) -> Table:
    """Return the settings that move a run's numbers, the paper's and ours; what differs is bold."""
    rows = []
    for key in _KEYS:
        ours = sorted({setting_text(run.settings.get(key)) for run in runs})
        rows.append((key, setting_text(_recipe()[key]), "; ".join(ours)))
    return Table(
        name="recipe",
        title="The recipe: configs/imagenet.yaml, which is the paper's, and these runs",
        names=1,
        columns=("setting", "recipe", "these runs"),
        rows=tuple(rows),
        notes=("Bold: not the recipe's.",),
        bold=frozenset((i, 2) for i, row in enumerate(rows) if row[1] != row[2]),
    )


@cache
def _recipe() -> dict[str, Any]:
    return flat(load(_RECIPE, ["model.arch=resnet50"]))


def setting_text(value: Any) -> str:
    """Return a setting's value as notes show it."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(setting_text, value))}]"
    if value is None:
        return "null"
    return f"{value:g}" if isinstance(value, float) else str(value)
