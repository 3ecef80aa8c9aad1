"""What sets runs apart from the paper's, so that no table shows them beside it without a word."""

from functools import cache
from pathlib import Path
from typing import Any

from configs.load import flat, load
from configs.same_data import same_data
from configs.schema import OPERATIONAL_KEYS
from results.collect import STUDIED, Run, of_task
from results.printed import SCENE_ARCHITECTURES
from results.render import Table

_CONFIGS = Path(__file__).resolve().parent.parent / "configs"
_IMAGENET_VAL = 50_000

# What of a configuration says on what and how fast; all else moves a run's numbers.
_HOW = frozenset(
    {"task", "data.backend", "data.decode", "data.synthetic_size", "train.accumulate"}
    | {"train.channels_last", "train.compile", "train.deterministic"}
)

# The settings that each of Section 4.2's two networks has its own of.
_BY_NETWORK = ("data.crop_size", "optim.lr")
_SCENES_VAL = {"cv0": 500, "cv1": 415, "cv2": 655}
_FRESH = "fresh weights (the paper: ImageNet's)"


def departures(runs: list[Run]) -> tuple[str, ...]:
    """Return the notes of both tasks; () where all finished runs are the paper's."""
    scenes = of_task(runs, "segmentation")
    others = [run for run in runs if run not in scenes]
    return (*not_imagenet(others), *not_cityscapes(scenes))


def not_imagenet(runs: list[Run]) -> tuple[str, ...]:
    """Return the note that says in what the finished runs are not the paper's; () if in nothing."""
    finished = [run for run in runs if run.finished]
    found = _sizes(finished, {"": _IMAGENET_VAL})
    if any(run.settings.get("data.backend") == "synthetic" for run in finished):
        found.append("trained on noise (data.backend synthetic)")
    return _note("ImageNet", found, finished)


def not_cityscapes(runs: list[Run]) -> tuple[str, ...]:
    """Return the same of segmentation runs, whose recipe is Section 4.2's."""
    finished = [run for run in runs if run.finished]
    found = _sizes(finished, _SCENES_VAL)
    fresh = [run for run in finished if run.settings.get("model.backbone_weights") is None]
    return _note("Cityscapes", found, finished, [_FRESH] if fresh else [])


def _sizes(runs: list[Run], papers: dict[str, int]) -> list[str]:
    sizes = {run.val_count for run in runs if run.val_count not in (None, papers.get(run.split))}
    return [f"evaluated on {', '.join(f'{n:,}' for n in sorted(sizes))} images"] if sizes else []


def _note(data: str, found: list[str], runs: list[Run], more: list[str] = ()) -> tuple[str, ...]:
    other_classes = any(_differs(run, "model.num_classes") for run in runs)
    what = f"NOT {data}" if found or other_classes else f"NOT {data} by the paper's recipe"
    found = [*found, *more]
    for key in dict.fromkeys(key for run in runs for key in papers_recipe(run)):
        apart = [run for run in runs if _differs(run, key)]
        if apart:
            ours, papers = _texts(apart, key)
            found.append(f"{key} {', '.join(ours)} (recipe: {', '.join(papers)})")
    return (f"{what}: {'; '.join(found)}; the paper's columns are for their form.",) * bool(found)


def _texts(runs: list[Run], key: str) -> tuple[list[str], list[str]]:
    """Return the values of a setting, ours and the paper's where it gives one."""
    known = [papers_recipe(run) for run in runs]
    ours = sorted({setting_text(run.settings.get(key)) for run in runs})
    return ours, sorted({setting_text(recipe[key]) for recipe in known if key in recipe})


def _differs(run: Run, key: str) -> bool:
    recipe, settings = papers_recipe(run), run.settings
    return key in recipe.keys() & settings and (
        setting_text(settings[key]) != setting_text(recipe[key])
    )


def papers_recipe(run: Run) -> dict[str, Any]:
    """Return the recipe's settings that move a run's numbers, by its task and network."""
    if run.task == "segmentation":
        return _scene_recipe(run.arch)
    return _recipe("resnet50")  # all networks have one


def differing(runs: list[Run]) -> tuple[str, ...]:
    """Return the note that says in what recipes and data of the networks differ; () if in nothing.

    Of segmentation networks, what the paper has differ is none.
    """
    told = _data_sets(runs)
    for key in dict.fromkeys(key for run in runs for key in _shown(run.task)):
        values: dict[str, list[str]] = {}
        for run in runs:
            own = run.task == "segmentation" and key in _BY_NETWORK
            text = "the paper's" if own and not _differs(run, key) else None
            networks = values.setdefault(text or setting_text(run.settings.get(key)), [])
            networks += [] if run.panel in networks else [run.panel]
        if len(values) > 1:
            listed = ", ".join(f"{value} ({', '.join(names)})" for value, names in values.items())
            told.append(f"{key} {listed}")
    return (f"Recipes differ between networks: {'; '.join(told)}.",) if told else ()


def _data_sets(runs: list[Run]) -> list[str]:
    """Return a text for each split whose networks were trained on several data sets."""
    told = []
    for split in dict.fromkeys(run.split for run in runs):
        sets: dict[str, list[str]] = {}
        # The fullest fingerprint first: those of older versions fit several.
        known = [run for run in runs if run.split == split and run.fingerprint]
        for run in sorted(known, key=lambda run: -len(run.fingerprint)):
            alike = (one for one in sets if same_data(one, run.fingerprint))
            networks = sets.setdefault(next(alike, run.fingerprint), [])
            networks += [] if run.panel in networks else [run.panel]
        if len(sets) > 1:
            listed = (f"{one[:12]} ({', '.join(names)})" for one, names in sets.items())
            told.append(f"data set {', '.join(listed)}")
    return told


def recipe_table(runs: list[Run]) -> Table:
    """Return the settings that move a run's numbers, the paper's and ours; what differs is bold.

    Args:
        runs: of one task, one at least.
    """
    scenes = runs[0].task == "segmentation"
    rows, bold = [], set()
    for i, key in enumerate(_shown(runs[0].task)):
        ours, papers = _texts(runs, key)
        rows.append((key, "; ".join(papers), "; ".join(ours)))
        bold |= {(i, 2)} if any(_differs(run, key) for run in runs) else set()
    source = f"configs/{'cityscapes' if scenes else 'imagenet'}.yaml, which is the paper's"
    silent = ("Two values: of two networks. What the paper does not say of its recipe is of the "
              "sources that configs/cityscapes.yaml names.",)  # fmt: skip
    return Table(
        name="recipe_segmentation" if scenes else "recipe",
        title=f"The recipe: {source}, and these runs",
        names=1,
        columns=("setting", "recipe", "these runs"),
        rows=tuple(rows),
        notes=("Bold: not the recipe's.", *(silent if scenes else ())),
        bold=frozenset(bold),
    )


def _shown(task: str) -> tuple[str, ...]:
    """Return the settings that move a run's numbers, but for those that are studied."""
    return tuple(_recipe(SCENE_ARCHITECTURES[0] if task == "segmentation" else "resnet50"))


@cache
def _scene_recipe(arch: str) -> dict[str, Any]:
    known = arch in SCENE_ARCHITECTURES
    # Where the file of weights lies is everybody's own; that there is one, not_cityscapes looks at.
    others = {"model.backbone_weights"} | (set() if known else set(_BY_NETWORK))
    recipe = _recipe(arch if known else SCENE_ARCHITECTURES[0])
    return {key: value for key, value in recipe.items() if key not in others}


@cache
def _recipe(arch: str) -> dict[str, Any]:
    ignored = _HOW | STUDIED | OPERATIONAL_KEYS
    settings = flat(load(_CONFIGS / f"{arch}.yaml"))
    return {key: value for key, value in settings.items() if key not in ignored}


def setting_text(value: Any) -> str:
    """Return a setting's value as notes show it."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(setting_text, value))}]"
    if value is None:
        return "null"
    return f"{value:g}" if isinstance(value, float) else str(value)
