"""Training images/s: this trainer beside a plain loop and loops tuned by hand.

python -m benchmarks.training --arch resnet50 vgg16_bn --precision bf16
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks import loops, measure, options, sample
from benchmarks.trainer import settings, trainer
from foundation.errors import run_command
from models import build_model
from results.render import render
from results.tables.measured import measured_table
from training.precision import prepare, set_arithmetic

_PLAIN, _HAND, _OURS = "plain loop", "by hand: fused SGD", "this trainer"
_STEPS, _STEPS_LOADED = 3, 20  # loaders prepare some batches while others have their turn


def main() -> None:
    """Run the command line."""
    parser = options.training(__doc__.split("\n")[0], batch=32, rounds=5)
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32")
    parser.add_argument("--compile", action="store_true", help="compiled ways, too")
    parser.add_argument("--images", type=Path, help="data set, folder or tar; else synthetic input")
    parser.add_argument("--backend", choices=("dali", "torchvision"), default="dali")
    parser.add_argument("--workers", type=options.count, default=8, help="of each loader")
    parser.add_argument("--steps", type=options.count, help="of a turn (3; with images 20)")
    arguments = options.checked(parser.parse_args())
    arguments.steps = arguments.steps or (_STEPS_LOADED if arguments.images else _STEPS)
    set_arithmetic(arguments.precision, deterministic=False)
    with _data_set(arguments) as root:
        rows = [row for arch in arguments.arch for row in _measure(arguments, arch, root)]
    source = f"backend {arguments.backend}" if root else "synthetic input"
    size = f"{arguments.batch} x {arguments.image_size} x {arguments.image_size} px"
    facts = {
        "benchmark": "Training",
        "setting": f"{size}, {arguments.precision}, {source}, turns of {arguments.steps} steps",
    }
    name = ["training", arguments.device, f"batch{arguments.batch}", arguments.precision]
    name += ["compiled"] * arguments.compile + ["loaded"] * (root is not None) + arguments.arch
    file = measure.write(arguments, "_".join(name), facts, rows)
    print(render(measured_table(file), "markdown"))


@contextmanager
def _data_set(arguments: argparse.Namespace) -> Iterator[Path | None]:
    if arguments.images is None:
        yield None
    else:
        with sample.data_set(arguments.images, at_least=_needed(arguments)) as root:
            yield root


def _needed(arguments: argparse.Namespace) -> int:
    """Return the images of all turns, warming up included."""
    return arguments.batch * arguments.steps * (arguments.rounds + 2)


def _measure(arguments: argparse.Namespace, arch: str, root: Path | None) -> list[dict[str, Any]]:
    with ExitStack() as stack:
        ways = {_PLAIN: _by_hand(loops.plain, arguments, arch, False, False, root)}
        for compiled in (False, True) if arguments.compile else (False,):
            for channels_last in (False, True):
                layout = "channels_last" if channels_last else "contiguous"
                name = f"{'compiled' if compiled else 'eager'}, {layout}"
                how = (arguments, arch, compiled, channels_last, root)
                ways[f"{_HAND}, {name}"] = _by_hand(loops.tuned, *how)
                ways[f"{_OURS}, {name}"] = stack.enter_context(_ours(*how))
        times = measure.interleaved(ways, arguments.rounds, arguments.device, arch)
    best = min((name for name in ways if name.startswith(_HAND)), key=lambda n: median(times[n]))
    images = 1000 * arguments.batch * arguments.steps
    return [
        {
            "network": arch,
            "way": name,
            "images/s": images / median(each),
            "to the plain loop": measure.ratio(times[_PLAIN], each),
            "to the best by hand": measure.ratio(times[best], each),
        }
        for name, each in times.items()
    ]


def _by_hand(
    loop: Callable,
    arguments: argparse.Namespace,
    arch: str,
    compiled: bool,
    channels_last: bool,
    root: Path | None,
) -> Callable[[], None]:
    """Return a turn of `loop` with a network and batches of its own."""
    torch.manual_seed(0)
    model = build_model(arch, "zero", _classes(root)).to(arguments.device)
    prepare(model, channels_last, "default" if compiled else "off").train()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    batch, size, device = arguments.batch, arguments.image_size, arguments.device
    if root is None:
        batches = loops.constant(batch, size, device, layout)
    else:
        folder = loops.image_folder(root, batch, arguments.workers, size)
        batches = loops.loaded(folder, device, layout)
    return loop(model, batches, arguments.precision, arguments.steps)


def _ours(
    arguments: argparse.Namespace, arch: str, compiled: bool, channels_last: bool, root: Path | None
) -> Any:
    chosen = [
        f"train.channels_last={str(channels_last).lower()}",
        f"train.compile={'default' if compiled else 'off'}",
        f"model.num_classes={_classes(root)}",
    ]
    if root is not None:
        chosen += [f"data.root={root}", f"data.backend={arguments.backend}"]
        chosen += [f"data.workers={arguments.workers}"]
    of = (arch, arguments.batch, arguments.image_size, arguments.precision, _needed(arguments))
    return trainer(settings(*of, *chosen), torch.device(arguments.device), arguments.steps)


def _classes(root: Path | None) -> int:
    return 1000 if root is None else sum(folder.is_dir() for folder in (root / "train").iterdir())


if __name__ == "__main__":
    run_command(main)
