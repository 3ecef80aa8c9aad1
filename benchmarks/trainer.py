"""This trainer's own loop, a few steps at a time."""

import contextlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from configs.load import load
from configs.schema import Config
from data.build import build_loaders
from models import build_model
from records.run_dir import RunDir
from tasks.build import TASKS
from training.distributed import Process
from training.fit import step
from training.precision import is_channels_last, prepare
from training.seeding import seed_weights
from training.session import Session
from training.state import new_state

_CONFIGS = Path(__file__).parents[1] / "configs"


@contextmanager
def trainer(config: Config, device: torch.device, steps: int) -> Iterator[Callable[[], Session]]:
    """Give what takes so many steps of a run, with all that a run does between them.

    Everything that fit() does in a step is done here: what varies with its number, counting,
    looking, requests to stop, the signs of life. The epoch's end is left out.

    Args:
        config: of the run; its directory is not used.
        device: where it trains.
        steps: of a turn.
    """
    process, task = Process(0, 1, device, ""), TASKS[config.task]
    channels_last = is_channels_last(config.train.channels_last, device)
    loaders = build_loaders(
        config.data, config.model.num_classes, config.seed, (0, 1), device, channels_last
    )
    seed_weights(config.seed)
    model = build_model(config.model.arch, config.model.padding, config.model.num_classes)
    optim = config.optim
    network = prepare(model.to(device), channels_last, config.train.compile).train()
    state = new_state(model, device, optim.momentum, optim.weight_decay, False)
    with TemporaryDirectory() as folder:
        run = RunDir(Path(folder) / "run")
        run.open_for(config)
        with _unseen(), Session(config, task, state, loaders.train, process, run) as session:
            batches = session.batches()

            def turn() -> Session:
                with _unseen():
                    for batch in islice(batches, steps):
                        computed = step(
                            config, task, state, network, batch, process, session.length
                        )
                        session.stepped(*computed)
                return session

            yield turn
            batches.close()


def settings(
    arch: str,
    batch: int,
    image_size: int,
    precision: str,
    images: int,
    *overrides: str,
) -> Config:
    """Return the paper's configuration of a network, for synthetic input of `images` images."""
    chosen = [
        "data.backend=synthetic",
        f"data.synthetic_size=[{images},1]",
        f"data.image_size={image_size}",
        f"data.eval_resize={image_size}",
        f"data.global_batch_size={batch}",
        f"train.precision={precision}",
        "optim.lr=1e-6",
    ]
    return load(_CONFIGS / f"{arch}.yaml", [*chosen, *overrides])


@contextmanager
def _unseen() -> Iterator[None]:
    """Keep a run's console to itself: several take turns."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
