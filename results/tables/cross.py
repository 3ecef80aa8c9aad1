"""Table 4: weights trained with one padding, evaluated with another."""

from configs.same_data import same_data
from records.errors import RunError
from results import printed
from results.collect import Run
from results.departures import not_imagenet
from results.render import Table
from results.tables.rows import cell, diff, groups, incomplete, mean, seed_columns, unfinished


def cross_table(runs: list[Run], seeds: int) -> Table:
    """Return Table 4: weights trained with one padding, evaluated with another.

    Raises:
        RunError: an evaluation is not of the finished run's best checkpoint on the run's own data.
    """
    paper = {(row["Training"], row["Inference"]): row for row in printed.table(4)}
    evaluated = [run for run in runs if run.finished and run.evaluations]
    cells = {
        (arch, trained, used): {
            run.seed: _evaluated(run, used) for run in group if used in run.evaluations
        }
        for (arch, trained), group in groups(evaluated).items()
        for used in _in_order(trained, {name for run in group for name in run.evaluations})
    }
    seeds_shown = seed_columns(evaluated, seeds)
    rows = []
    for (arch, trained, used), values in cells.items():
        names = printed.network(arch, trained), printed.network(arch, used)
        base = cells.get((arch, trained, trained), {})
        ours = [
            cell(mean(values), incomplete(len(values), seeds)),
            "-" if used == trained else diff(values, base, seeds),
        ]
        theirs = [paper.get(names, {}).get(column, "") for column in ("average", "diff")]
        rows.append((*names, *(cell(values.get(seed)) for seed in seeds_shown), *ours, *theirs))
    return Table(
        name="table_4_cross",
        title="Table 4: top-1 (%) of the best checkpoints under another padding",
        names=2,
        columns=(
            "Training",
            "Inference",
            *(str(i) for i in range(1, len(seeds_shown) + 1)),
            "average",
            "diff",
            "paper average",
            "paper diff",
        ),
        rows=tuple(rows),
        notes=(*not_imagenet(runs), *unfinished(runs))
        if rows
        else ("No evaluations yet: run evaluate.py on the run directories.",),
    )


def _evaluated(run: Run, padding: str) -> float:
    result = run.evaluations[padding]
    expected = {
        "checkpoint": "best",
        "epoch": run.best_epoch,
        "precision": run.settings["train.precision"],
        "data_fingerprint": run.fingerprint,
        "count": run.val_count,
    }
    for key, value in expected.items():
        found = result.get(key)
        same = same_data(found, value) if key == "data_fingerprint" else found == value
        if not same:
            raise RunError(
                f"{run.path}/eval/{padding}.json: {key} is {found}, the run's is {value};"
                f" run evaluate.py {run.path} --padding {padding}"
            )
    correct, said = result.get("correct1"), result.get("top1")
    top1 = 100 * correct / result["count"] if type(correct) is int else None
    if top1 is None or not isinstance(said, int | float) or not abs(said - top1) < 1e-6:
        raise RunError(
            f"{run.path}/eval/{padding}.json: top1 {said} is not {correct} of {result['count']} "
            f"images in percent; run evaluate.py {run.path} --padding {padding}"
        )
    return top1


def _in_order(trained: str, used: set[str]) -> list[str]:
    """Return the training padding first, then the others in the paper's order."""
    return sorted(used, key=lambda name: (name != trained, printed.place("", name)))
