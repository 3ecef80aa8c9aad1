"""Do the run of a configuration, or what is left of it."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from torch import nn
from torch.distributed.elastic.multiprocessing.errors import record

from commands import parts
from configs.schema import Config
from data.build import Loaders
from foundation.files import FileError, write_json
from records import metrics_log
from records.finished import finished_rows
from records.run_dir import RunDir
from records.score import SCORES, Row, Score
from records.summary import best, summarize, told
from tasks.build import TASKS
from training import checkpoint, consensus, distributed, start_weights
from training.distributed import Process, SharedError, StopRequested, agree, on_first
from training.fit import fit
from training.precision import is_channels_last, prepare, set_arithmetic
from training.provenance import check_data, check_weights, recipe_warnings, record_environment
from training.seeding import seed_weights
from training.state import TrainState, new_state
from training.sync_bn import synchronize_bn


@record  # torchrun shows the traceback of the process that failed first
def train_run(config: Config) -> None:
    """Do the run of `config` in this process, one of those that torchrun started, or alone."""
    with distributed.command() as process:
        _train(config, process)


def _train(config: Config, process: Process) -> None:
    # Whatever can be wrong is looked at before the run directory is.
    consensus.require_same(process, consensus.settings(config) | consensus.code())
    run = agree(lambda: RunDir.of(config))
    agree(lambda: parts.check(config, process.world))
    channels_last = is_channels_last(config.train.channels_last, process.device)
    place = (process.rank, process.world)
    loaders = agree(lambda: parts.loaders(config, place, process.device, channels_last))
    consensus.require_same(process, {"the data set's fingerprint": loaders.fingerprint})
    if config.task == "segmentation":
        agree(lambda: parts.check_whole_images(config, loaders.val.smallest))
    set_arithmetic(config.train.precision, config.train.deterministic)
    seed_weights(config.seed)
    model = parts.network(config)
    weights = _start_weights(model, config, run, process)
    fp16 = config.train.precision == "fp16"
    if config.task == "segmentation" and config.train.sync_bn:
        synchronize_bn(model, process)
    prepare(model.to(process.device), channels_last, config.train.compile)
    state = new_state(
        model,
        process.device,
        config.optim.momentum,
        config.optim.weight_decay,
        fp16,
    )

    with ExitStack() as stack:
        finished = on_first(process, lambda: _open(run, config, stack))
        if finished:
            return
        source = _restore(state, run, process)
        if not (source or weights or parts.weights_file(config) is None):
            raise SharedError(f"{run.path}: its checkpoint has just gone; give the command again")
        on_first(process, lambda: _announce(run, config, state, process, loaders, source, weights))
        with _status(run, process, state):
            fit(config, TASKS[config.task], state, (loaders.train, loaders.val), process, run)
            on_first(
                process, lambda: _finish(run, state.rows, SCORES[config.task], config.train.keep)
            )


def _start_weights(
    model: nn.Module, config: Config, run: RunDir, process: Process
) -> dict[str, Any] | None:
    """Load the file of weights into `model`, if a run begins with it, and return what they were.

    A run that has a checkpoint resumes from that alone: by then the file may be gone or another.
    """
    file = parts.weights_file(config)
    if file is None or on_first(
        process, lambda: run.is_finished() or checkpoint.has_any(run.checkpoints)
    ):
        return None
    agree(lambda: parts.check_weights_file(config))
    key = parts.weights_key(config)
    return start_weights.load(file, parts.loading(model, config), process, key)


def _open(run: RunDir, config: Config, stack: ExitStack) -> bool:
    """Create or lock the run directory; tell whether there is nothing left to do."""
    run.open_for(config)
    note = "" if run.is_finished() else stack.enter_context(run.lock())
    if note:
        print(f"warning: {note}", file=sys.stderr, flush=True)
    if not run.is_finished():  # another command may have been about to finish it
        return False
    score = SCORES[config.task]
    rows = finished_rows(run, config.length, score)
    if (run.checkpoints / checkpoint.PREVIOUS).exists():  # it was killed as it tidied up
        checkpoint.tidy(run.checkpoints, config.train.keep)
    print(f"{run.path}: finished already, {told(rows, score)}")
    return True


def _restore(state: TrainState, run: RunDir, process: Process) -> str:
    """Go on from the newest good checkpoint; return its name, '' where there is none yet.

    It is the same on every process, or on none.
    """
    name, problems = on_first(process, lambda: checkpoint.newest(run.checkpoints))
    file = run.checkpoints / (name or checkpoint.LAST)
    seen = agree(lambda: f"sha256 {checkpoint.digest(file)[:16]}" if file.exists() else "missing")
    remedy = "run.root must be a folder that all nodes share"
    consensus.require_same(process, {str(file): seen}, remedy)
    if name:
        agree(lambda: checkpoint.restore(file, state, process.rank, process.world))
    if problems and process.is_first:
        text = f"{'; '.join(problems)}; going on from {name}, {_place(state)}; what came after is"
        print(f"warning: {text} repeated", file=sys.stderr, flush=True)
    return name


def _place(state: TrainState) -> str:
    return f"after epoch {state.epoch}" + (f" and step {state.step}" if state.step else "")


def _announce(
    run: RunDir,
    config: Config,
    state: TrainState,
    process: Process,
    loaders: Loaders,
    source: str,
    weights: dict[str, Any] | None,
) -> None:
    """Say what begins, and forget what no checkpoint covers."""
    check_data(run, loaders.fingerprint)
    check_weights(run, weights, parts.weights_key(config))
    state.rows = metrics_log.restore(run.metrics_file, state.epoch, state.rows)
    warnings = recipe_warnings(config, process.world, len(loaders.train))
    if state.rows:
        top = best(state.rows, SCORES[config.task])["epoch"]
        warnings += filter(None, [checkpoint.mend_best(run.checkpoints, top)])
    times, differences = record_environment(run, process, loaders.fingerprint, warnings, weights)
    for warning in warnings + differences:
        print(f"warning: {warning}", file=sys.stderr)
    curves = shlex.join(["tensorboard", "--logdir", config.run.root])
    verb = f"resumed {_place(state)} from {source} (restart {times})" if source else "started"
    print(
        f"{run.path}: {verb}: {config.model.arch}, {config.model.padding} padding, "
        f"seed {config.seed}, {process.world} x {process.device.type}, {config.train.precision}\n"
        f"{start_weights.told(weights)}curves: {curves}",
        flush=True,
    )


@contextmanager
def _status(run: RunDir, process: Process, state: TrainState) -> Iterator[None]:
    """Keep status.json true, however the block ends."""
    on_first(process, lambda: run.set_status("running"))
    try:
        yield
    except StopRequested as request:
        place = {"epoch": state.epoch, "step": state.step}
        if process.is_first and run.end("interrupted", str(request), **place):
            print(
                f"{run.path}: interrupted ({request}) {_place(state)}; the same command resumes it",
                file=sys.stderr,
                flush=True,
            )
        raise
    except Exception as error:
        with suppress(FileError):  # a full disk, and why the run failed is more to the point
            facts = getattr(error, "facts", {})
            run.end("failed", f"{type(error).__name__}: {error}", **facts)
        raise


def _finish(run: RunDir, rows: list[Row], score: Score, keep: str) -> None:
    write_json(run.summary_file, summarize(rows, score))
    run.set_status("finished")
    checkpoint.tidy(run.checkpoints, keep)
    print(f"{run.path}: finished, {told(rows, score)}", flush=True)
