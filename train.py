"""Train one network: config -> model and loaders -> fit -> run directory.

    python train.py CONFIG.yaml [key.sub=value ...]
    torchrun --nproc-per-node=8 train.py configs/resnet50.yaml model.padding=partial seed=3 \\
        data.root=/imagenet

The same command resumes an unfinished run and leaves a finished one alone.
"""

import argparse
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn
from torch.distributed.elastic.multiprocessing.errors import record

from configs.load import load
from configs.schema import Config
from data.build import Loaders, build_loaders
from foundation.errors import UserError
from foundation.files import FileError, write_json
from models import ImageSizeError, build_model, check_image_size, load_weights
from records import metrics_log
from records.finished import finished_rows
from records.run_dir import RunDir
from records.score import SCORES, Row, Score
from records.summary import best, summarize, told
from tasks.build import TASKS
from training import checkpoint, consensus, distributed, start_weights
from training.distributed import Process, SharedError, agree, on_first
from training.fit import fit
from training.precision import set_arithmetic
from training.provenance import check_data, check_weights, recipe_warnings, record_environment
from training.seeding import seed_weights
from training.state import TrainState, new_state


@record  # torchrun shows the traceback of the process that failed first
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="YAML file, for example configs/resnet50.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="replace a setting")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both become KeyboardInterrupt
    with distributed.command() as process:
        config = agree(lambda: load(arguments.config, arguments.overrides))
        train(config, process)


def train(config: Config, process: Process) -> None:
    """Do the run of `config`, or what is left of it.

    Raises:
        UserError: something the user can mend; no existing run was touched.
    """
    # Whatever can be wrong is looked at before the run directory is.
    consensus.require_same(process, consensus.settings(config) | consensus.code())
    agree(lambda: _check_model(config))
    loaders = agree(
        lambda: build_loaders(
            config.data,
            config.model.num_classes,
            config.seed,
            (process.rank, process.world),
            process.device,
            config.train.channels_last,
        )
    )
    consensus.require_same(process, {"the data set's fingerprint": loaders.fingerprint})
    set_arithmetic(config.train.precision, config.train.deterministic)
    seed_weights(config.seed)
    model = build_model(config.model.arch, config.model.padding, config.model.num_classes)
    run = RunDir(Path(config.run.root) / config.run.name)
    weights = _start_weights(model, config, run, process)
    fp16 = config.train.precision == "fp16"
    state = new_state(
        model.to(process.device),
        process.device,
        config.optim.momentum,
        config.optim.weight_decay,
        fp16,
    )

    with ExitStack() as stack:
        finished = on_first(process, lambda: _open(run, config, stack))
        if finished:
            return
        resumed = _restore(state, run, process)
        if not (resumed or weights or config.model.weights is None):
            raise SharedError(f"{run.path}: its last.pt has just gone; give the command again")
        on_first(process, lambda: _announce(run, config, state, process, loaders, weights))
        with _status(run, process):
            pair = (loaders.train, loaders.val)
            rows = fit(config, TASKS[config.task], state, pair, process, run)
            if process.is_first:
                _finish(run, rows, SCORES[config.task])


def _check_model(config: Config) -> None:
    try:
        check_image_size(config.model.arch, config.model.padding, config.data.image_size)
    except ImageSizeError as error:
        raise UserError(str(error)) from None


def _start_weights(
    model: nn.Module, config: Config, run: RunDir, process: Process
) -> dict[str, Any] | None:
    """Load model.weights into `model`, if a run begins with it, and return what they were.

    A run that has a checkpoint resumes from that alone: by then the file may be gone or another.
    """
    last = run.checkpoints / checkpoint.LAST
    file = config.model.weights
    if file is None or on_first(process, lambda: run.is_finished() or last.exists()):
        return None
    return start_weights.load(file, partial(load_weights, model), process)


def _open(run: RunDir, config: Config, stack: ExitStack) -> bool:
    """Create or lock the run directory; tell whether there is nothing left to do."""
    run.open_for(config)
    if not run.is_finished():
        stack.enter_context(run.lock())
    if not run.is_finished():  # another command may have been about to finish it
        return False
    score = SCORES[config.task]
    rows = finished_rows(run, config.train.epochs, score)
    print(f"{run.path}: finished already, {told(rows, score)}")
    return True


def _restore(state: TrainState, run: RunDir, process: Process) -> bool:
    """Go on from last.pt, if there is one: the same on every process, or on none."""
    file = run.checkpoints / checkpoint.LAST
    seen = agree(lambda: f"sha256 {checkpoint.digest(file)[:16]}" if file.exists() else "missing")
    remedy = "run.root must be a folder that all nodes share"
    consensus.require_same(process, {str(file): seen}, remedy)
    if seen != "missing":
        agree(lambda: checkpoint.restore(file, state))
    return seen != "missing"


def _announce(
    run: RunDir,
    config: Config,
    state: TrainState,
    process: Process,
    loaders: Loaders,
    weights: dict[str, Any] | None,
) -> None:
    """Say what begins, and forget the epoch that no checkpoint covers."""
    check_data(run, loaders.fingerprint)
    check_weights(run, weights)
    rows = metrics_log.truncate(run.metrics_file, state.epoch)
    if rows:
        checkpoint.keep_best(run.checkpoints, best(rows, SCORES[config.task])["epoch"])
    warnings = recipe_warnings(config, process.world, len(loaders.train))
    warnings += record_environment(run, process, loaders.fingerprint, warnings, weights)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    verb = f"resumed after epoch {state.epoch}" if state.epoch else "started"
    curves = shlex.join(["tensorboard", "--logdir", config.run.root])
    print(
        f"{run.path}: {verb}: {config.model.arch}, {config.model.padding} padding, "
        f"seed {config.seed}, {process.world} x {process.device.type}, {config.train.precision}\n"
        f"{start_weights.told(weights)}curves: {curves}",
        flush=True,
    )


@contextmanager
def _status(run: RunDir, process: Process) -> Iterator[None]:
    """Keep status.json true, however the block ends."""
    on_first(process, lambda: run.set_status("running"))
    try:
        try:
            yield
        except Exception as error:
            if isinstance(error.__context__, KeyboardInterrupt):
                # torch.save, broken off, raises an error of its own.
                raise KeyboardInterrupt from error
            with suppress(FileError):  # a full disk, and why the run failed is more to the point
                run.end("failed", f"{type(error).__name__}: {error}")
            raise
    except KeyboardInterrupt:
        if process.is_first and run.end("interrupted"):
            print(f"{run.path}: interrupted; the same command resumes it", file=sys.stderr)
        raise


def _finish(run: RunDir, rows: list[Row], score: Score) -> None:
    write_json(run.summary_file, summarize(rows, score))
    run.set_status("finished")
    print(f"{run.path}: finished, {told(rows, score)}")


if __name__ == "__main__":
    main()
