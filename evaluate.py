"""Evaluate trained runs, under their own padding or another (Table 4, "Cross Testing").

    python evaluate.py runs/* --padding zero partial
    torchrun --nproc-per-node=8 evaluate.py runs/* data.root=/imagenet

Writes eval/<padding>.json (counts and accuracies) and eval/<padding>.npz (every image's prediction)
into each run directory.
"""

import argparse
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from configs.errors import UserError
from configs.load import load
from configs.schema import OPERATIONAL_KEYS, Config, Data
from data.build import build_loaders
from data.interface import Loader
from models import ImageSizeError, build_model, check_image_size
from padding import SCHEMES, convert_padding
from records.run_dir import RunDir, atomic_writer, write_json
from training import checkpoint, distributed
from training.distributed import Process, agree, gather_on_first
from training.fit import prepare
from training.precision import set_arithmetic
from training.steps import Evaluation, evaluate

# What may be overridden: how fast and where, not what is evaluated.
_OVERRIDABLE = sorted(
    OPERATIONAL_KEYS & {"data.root", "data.exclude", "data.workers"}
    | {
        "data.backend",
        "data.decode",
        "data.global_batch_size",
        "train.precision",
        "train.channels_last",
    }
)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("arguments", nargs="+", metavar="RUN_DIR | key.sub=value")
    parser.add_argument(
        "--padding",
        nargs="+",
        default=[],
        metavar="SCHEME",
        help=f"{', '.join(SCHEMES)} (default: the run's own, zero and partial)",
    )
    parser.add_argument(
        "--checkpoint", default="best", help="best (default), last, or a file of the one run given"
    )
    arguments = parser.parse_intermixed_args()
    words = arguments.arguments + arguments.padding  # --padding takes all words that follow it
    overrides = [word for word in words if "=" in word and not Path(word).exists()]
    paddings = [word for word in arguments.padding if word not in overrides]
    folders = [Path(word) for word in arguments.arguments if word not in overrides]
    with distributed.command() as process:
        agree(lambda: _check_arguments(folders, paddings, arguments.checkpoint, overrides))
        configs = agree(lambda: [_config(RunDir(folder), overrides) for folder in folders])
        for folder, config in zip(folders, configs, strict=True):
            run = RunDir(folder)
            own = [config.model.padding, "zero", "partial"]
            evaluate_run(
                run, config, paddings or list(dict.fromkeys(own)), arguments.checkpoint, process
            )


def evaluate_run(
    run: RunDir, config: Config, paddings: list[str], which: str, process: Process
) -> None:
    """Evaluate one checkpoint of a run under each padding and write eval/.

    Raises:
        UserError: the checkpoint or the data are missing or damaged, or a padding does not fit.
    """
    model_config = config.model
    agree(lambda: _check_paddings(config, paddings))
    channels_last = config.train.channels_last
    loader, fingerprint = agree(
        lambda: _val_loader(config.data, model_config.num_classes, process, channels_last)
    )
    set_arithmetic(config.train.precision, config.train.deterministic)
    model = build_model(model_config.arch, model_config.padding, model_config.num_classes)
    saved = agree(lambda: checkpoint.load(_checkpoint_file(run, which)))
    agree(lambda: checkpoint.load_weights(model, saved))
    prepare(model.to(process.device), channels_last, "off")
    precision, epoch = config.train.precision, saved["epochs_done"] - 1
    for padding in paddings:
        result = evaluate(convert_padding(model, padding), loader, precision, loader.images)
        parts = gather_on_first(process, (result.index, result.label, result.prediction))
        if process.is_first:
            facts = {"padding": padding, "checkpoint": which, "epoch": epoch}
            facts |= {"precision": precision, "data_fingerprint": fingerprint}
            _write(run, facts, result, parts)
            top1, top5 = (100 * n / result.count for n in (result.correct1, result.correct5))
            print(
                f"{run.path}: trained with {model_config.padding}, evaluated with {padding} "
                f"({which}, epoch {epoch + 1}): top-1 {top1:.3f}, top-5 {top5:.3f}",
                flush=True,
            )


def _check_arguments(
    folders: list[Path], paddings: list[str], which: str, overrides: list[str]
) -> None:
    for padding in paddings:
        if padding not in SCHEMES:
            raise UserError(f"--padding {padding}: unknown; choose from {', '.join(SCHEMES)}")
    if not folders:
        raise UserError("no run directory given")
    if which not in ("best", "last") and len(folders) > 1:
        raise UserError("--checkpoint FILE belongs to one run; give one run directory")
    for override in overrides:
        if override.partition("=")[0] not in _OVERRIDABLE:
            raise UserError(
                f"'{override}': evaluation follows the run's config.yaml; "
                f"only {', '.join(_OVERRIDABLE)} can be overridden"
            )


def _config(run: RunDir, overrides: list[str]) -> Config:
    run.config()  # says so when this is no run directory
    return load(run.config_file, overrides)


def _check_paddings(config: Config, paddings: list[str]) -> None:
    for padding in paddings:
        try:
            check_image_size(config.model.arch, padding, config.data.image_size)
        except ImageSizeError as error:
            raise UserError(str(error)) from None


@lru_cache(maxsize=1)  # runs of one sweep share their data: keep its index and worker processes
def _val_loader(
    data: Data, num_classes: int, process: Process, channels_last: bool
) -> tuple[Loader, str]:
    place = (process.rank, process.world)
    loaders = build_loaders(data, num_classes, 0, place, process.device, channels_last)
    return loaders.val, loaders.fingerprint


def _checkpoint_file(run: RunDir, which: str) -> Path:
    names = {"best": checkpoint.BEST, "last": checkpoint.LAST}
    return run.checkpoints / names[which] if which in names else Path(which)


def _write(
    run: RunDir,
    facts: dict[str, Any],
    result: Evaluation,
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> None:
    index, label, prediction = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(index)
    assert (index[order] == np.arange(result.count)).all(), "an image was evaluated twice"
    run.evaluations.mkdir(exist_ok=True)
    file_name = facts["padding"]
    with atomic_writer(run.evaluations / f"{file_name}.npz") as file:
        np.savez(file, index=index[order], label=label[order], prediction=prediction[order])
    numbers = {
        "top1": 100 * result.correct1 / result.count,
        "top5": 100 * result.correct5 / result.count,
        "correct1": result.correct1,
        "correct5": result.correct5,
        "count": result.count,
    }
    write_json(run.evaluations / f"{file_name}.json", facts | numbers)


if __name__ == "__main__":
    main()
