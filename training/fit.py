"""The loop of a run: train, evaluate, record, save."""

from torch import Tensor, nn

from configs.schema import Config
from data.interface import Batch, Loader
from records.run_dir import RunDir
from tasks.interface import Task
from training.accumulation import passes
from training.distributed import Process, StopRequested, data_parallel, share_buffers
from training.epoch import evaluate, train_step
from training.schedule import Length, lr_of
from training.seeding import seed_step
from training.session import Session
from training.state import TrainState


def fit(
    config: Config,
    task: Task,
    state: TrainState,
    loaders: tuple[Loader, Loader],
    process: Process,
    run: RunDir,
) -> None:
    """Train from `state` to the last epoch; state.rows then has the rows of all epochs.

    Args:
        config: of the run.
        task: what is learned.
        state: where it stands; its model is laid out and compiled (training/precision.py).
        loaders: of the training and of the validation images.
        process: this one.
        run: where it is recorded.

    Raises:
        Diverged: a loss is not finite; the last good checkpoint stays.
        StopRequested: somebody asked for it; the state is saved as it was after a step.
    """
    train_loader, val_loader = loaders
    precision = config.train.precision
    assert state.lies_alike(), "prepare() belongs before new_state()"
    network = data_parallel(state.model, process)

    with Session(config, task, state, train_loader, process, run) as session:
        try:
            while state.epoch < session.length.epochs:
                network.train()
                for batch in session.batches():
                    computed = step(config, task, state, network, batch, process, session.length)
                    session.stepped(*computed)
                row = session.trained()

                # Each process has BN statistics of its own images; all evaluate with the first's.
                share_buffers(state.model)
                batches = session.evaluating(val_loader)
                images = val_loader.images
                evaluation = evaluate(state.model, batches, task, precision, images, session.asked)
                session.finish_epoch(row | evaluation.row)
        except StopRequested:
            session.save()
            session.settle()
            raise
        session.settle()


def step(
    config: Config,
    task: Task,
    state: TrainState,
    network: nn.Module,
    batch: Batch,
    process: Process,
    length: Length,
) -> tuple[float, Batch, tuple[Tensor, Tensor, Tensor]]:
    """Take the step that `state` is at, of `batch`; return what Session.stepped counts.

    Everything that varies with the step is a function of its number.
    """
    lr = lr_of(config, state.epoch, state.step, length)
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    seed_step(config.seed, state.epoch, state.step, process.rank)
    world, precision = process.world, config.train.precision
    parts = passes(config, len(batch.images), world)
    return lr, batch, train_step(network, batch, task, state, precision, world, parts)
