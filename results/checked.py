"""Evaluations that may stand beside their run's own numbers: eval/<padding>.json, checked."""

from typing import Any

from configs.same_data import same_data
from records.errors import RunError
from records.run_dir import evaluation_name
from results.collect import Run


def checked(run: Run, padding: str) -> dict[str, Any]:
    """Return a finished run's evaluation under a padding, of which `run.evaluations` has one.

    Raises:
        RunError: it is not of the run's best checkpoint, in its precision, on its own data.
    """
    result = run.evaluations[padding]
    expected = {
        "checkpoint": "best",
        "epoch": run.best_epoch,
        "precision": run.settings["train.precision"],
        "data_fingerprint": run.fingerprint,
        "count": run.val_count,
    }
    if run.split:
        expected = {"split": run.split} | expected
    for key, value in expected.items():
        found = result.get(key)
        same = same_data(found, value) if key == "data_fingerprint" else found == value
        if not same:
            raise RunError(
                f"{place(run, padding)}: {key} is {found}, the run's is {value};"
                f" {again(run, padding)}"
            )
    return result


def place(run: Run, padding: str) -> str:
    """Return the evaluation's file, for messages."""
    return f"{run.path}/eval/{evaluation_name(padding, run.flip)}.json"


def again(run: Run, padding: str) -> str:
    """Return how an evaluation is made anew, for messages."""
    return f"run evaluate.py {run.path} --padding {padding}{' eval.flip=true' * run.flip}"
