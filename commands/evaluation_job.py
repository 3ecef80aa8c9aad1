"""What is to be evaluated of a run, and how its checkpoint is found and read."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from configs.schema import Config
from foundation.errors import UserError
from models import ImageSizeError
from records.errors import RunError
from records.run_dir import RunDir
from records.sessions import data_fingerprints
from training import checkpoint


@dataclass(frozen=True)
class Job:
    """What is to be evaluated of one run.

    Attributes:
        run: the run.
        config: its configuration, with what was overridden.
        which: 'best', 'last' or the path of a checkpoint.
        paddings: to evaluate it under.
        save_predictions: whether every pixel's class is written, too.
    """

    run: RunDir
    config: Config
    which: str
    paddings: tuple[str, ...]
    save_predictions: bool


def checkpoint_file(run: RunDir, which: str) -> Path:
    """Return the path of the checkpoint that a Job's `which` means."""
    names = {"best": checkpoint.BEST, "last": checkpoint.LAST}
    return run.checkpoints / names[which] if which in names else Path(which)


def load_weights(model: nn.Module, file: Path) -> tuple[int, int]:
    """Load a checkpoint's weights; return its finished epochs, and steps of the next one.

    Raises:
        RunError: it is damaged, or of another network.
    """
    saved = checkpoint.load(file)
    checkpoint.load_weights(model, saved)
    return saved["epochs_done"], saved.get("step", 0)


def check_comparable(run: RunDir, fingerprint: str) -> None:
    """Refuse an evaluation whose data nobody could hold against the run's (configs/same_data.py).

    Args:
        run: the run.
        fingerprint: of the data to evaluate on; without the coarse part its last part alone.

    Raises:
        RunError: runs of older versions lack that part.
    """
    if not fingerprint.startswith(".."):
        return
    known = data_fingerprints(run)
    if known and all(one.count(".") < 2 for one in known):
        raise RunError(
            "recorded by an older version, whose data only the whole set can be compared with; "
            "evaluate it where leftImg8bit/train_extra/ and gtCoarse/ are, too (data.root)"
        )


def failure(run: RunDir, error: Exception, padding: str = "") -> str:
    """Return the line that says of which run, and of which padding, something failed."""
    text = str(error)
    if not padding and text.startswith(str(run.path)):
        return text
    return f"{run.path}{padding and f', {padding}'}: {text}"


def possible(
    run: RunDir, paddings: Iterable[str], check: Callable[[str], None]
) -> tuple[tuple[str, ...], list[str]]:
    """Return the paddings that pass a check, and the lines that say why others do not.

    Args:
        run: that is evaluated.
        paddings: that it is to be evaluated under.
        check: raises an ImageSizeError or a UserError.
    """
    passed, failures = [], []
    for padding in paddings:
        try:
            check(padding)
            passed.append(padding)
        except (ImageSizeError, UserError) as error:
            failures.append(failure(run, error, padding))
    return tuple(passed), failures
