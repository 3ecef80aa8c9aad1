"""Write the activation maps of trained runs, each in a file of its own (Fig. 5)."""

import difflib
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from configs.schema import Config
from data.backends.delivery import Delivery
from data.backends.torchvision_loader import TorchvisionLoader
from data.index import Index, load_index
from data.interface import MEAN, STD
from data.plan.steps import EvalSteps
from data.plan.views import EvalView
from data.store.split import Split
from foundation.errors import UserError
from foundation.files import atomic_writer, writing
from models import build_model
from records.errors import RunError
from records.run_dir import RunDir
from training import checkpoint
from training.precision import set_arithmetic

# "22th layer and 32th layer": ReLUs in torchvision's count from 0, of VGG16 with BN as well.
_LAYERS = {
    "vgg": ("features.22", "features.32"),
    "resnet": ("layer1", "layer2", "layer3", "layer4"),
    "wrn": tuple(f"mod{stage}" for stage in range(2, 8)),  # sums, before the next block's BN
}


@dataclass(frozen=True)
class _Job:
    run: RunDir
    config: Config
    layers: tuple[str, ...]

    @property
    def file_name(self) -> str:
        model = self.config.model
        return f"{model.arch}_{model.padding}_seed{self.config.seed}.npz"


def write_activations(
    folders: list[str], words: list[str], layers: list[str], out: Path, overrides: list[str]
) -> list[Path]:
    """Write each run's activation maps; return the files.

    Args:
        folders: run directories.
        words: the images: places in the validation split, or <class>/<file>.
        layers: names of modules; none: the network's own (see above).
        out: folder, made where there is none.
        overrides: `key.sub=value`, of the runs' configurations.

    Raises:
        UserError: something given does not exist; nothing is written for that run.
    """
    jobs = [_plan(folder, layers, overrides) for folder in folders]
    for name in {job.file_name for job in jobs}:
        if len(same := [str(job.run.path) for job in jobs if job.file_name == name]) > 1:
            raise RunError(f"{' and '.join(same)}: the same network, padding and seed twice")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    files = []
    for job in jobs:
        # Whatever the run was trained in: paddings are compared in one arithmetic.
        set_arithmetic("fp32", job.config.train.deterministic)
        data = job.config.data
        index = load_index(data.root, data.exclude)
        if len(index.classes) != job.config.model.num_classes:
            raise RunError(
                f"{job.run.path}: has {job.config.model.num_classes} classes, {data.root} "
                f"{len(index.classes)}; name the run's own data with data.root=..."
            )
        content = _content(job, index, words, device)
        with writing(out):
            out.mkdir(parents=True, exist_ok=True)
        with atomic_writer(out / job.file_name) as file:
            np.savez(file, **content)
        files.append(out / job.file_name)
    return files


def activation_maps(model: nn.Module, images: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
    """Return each layer's output summed over the channels (Section 4.1, Fig. 5), in eval mode.

    Args:
        model: the network.
        images: (n, 3, H, W), normalized.
        layers: names of modules; of one that is called several times, the last output.

    Returns:
        {layer: (n, h, w) float32}

    Raises:
        UserError: a layer puts out no maps.
    """
    maps: dict[str, Tensor] = {}

    def keep(name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if not isinstance(output, Tensor) or output.dim() != 4:
            raise UserError(f"--layers {name}: puts out no maps; choose a layer before the pooling")
        # Now, not at the end: in-place layers write over what they are given.
        maps[name] = output.sum(1, dtype=torch.float32)

    hooks = [
        model.get_submodule(name).register_forward_hook(partial(keep, name)) for name in layers
    ]
    try:
        with torch.no_grad():
            model.eval()(images)
    finally:
        for hook in hooks:
            hook.remove()
    return maps


def border_energy(maps: np.ndarray) -> np.ndarray:
    """Return the mean of the outermost ring over the mean of the interior, of (n, h, w) maps.

    (n,) float64; nan where a map has no interior (fewer than 3 x 3 pixels).
    """
    maps = maps.astype(np.float64)
    inside = maps[:, 1:-1, 1:-1]
    if not inside[:1].size:
        return np.full(len(maps), np.nan)
    ring = maps.sum((1, 2)) - inside.sum((1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):  # an interior without a response
        return ring / (maps[0].size - inside[0].size) / inside.mean((1, 2))


def _plan(folder: str, layers: list[str], overrides: list[str]) -> _Job:
    """Return what is to be done for a run, after a look at all that can be known before."""
    run = RunDir(Path(folder))
    config = run.config(overrides)
    if config.task != "classification":
        raise RunError(
            f"{run.path}: a run of {config.task}; Fig. 5 is of classification's, give one of those"
        )
    checkpoint.require(run.checkpoints / checkpoint.BEST)
    arch = config.model.arch
    chosen = tuple(layers) or _LAYERS[next(family for family in _LAYERS if family in arch)]
    with torch.device("meta"):
        names = [name for name, _ in build_model(arch, "zero", 1).named_modules() if name]
    for layer in chosen:
        if layer not in names:
            near = difflib.get_close_matches(layer, names, 5, 0.3)
            raise UserError(f"--layers {layer}: {arch} has no such layer; near: {', '.join(near)}")
    return _Job(run, config, chosen)


def _place(word: str, split: Split) -> int:
    """Return the place of an image in the split, given as such or as <class>/<file>."""
    if word.isdigit() and int(word) < len(split):
        return int(word)
    if word.lstrip("-").isdigit():
        raise UserError(f"--images {word}: there are {len(split)} images, 0 to {len(split) - 1}")
    found = np.flatnonzero(split.paths == os.fsencode("/".join(Path(word).parts[-2:])))
    if not len(found):
        raise UserError(f"--images {word}: no validation image (<class>/<file>) in {split.root}")
    return int(found[0])


def _view(job: _Job, split: Split, places: list[int], device: torch.device) -> Tensor:
    """Return the images as an evaluation of the run sees them, (n, 3, H, W), normalized."""
    chosen = split.subset(np.isin(np.arange(len(split)), places))
    view = EvalView(job.config.data.eval_resize, job.config.data.image_size)
    steps = EvalSteps(len(chosen), len(chosen), 0, 1)
    [batch] = TorchvisionLoader(chosen, steps, view, 0, Delivery(chosen, device, False))
    # The loader goes through the split in order.
    return batch.images[np.searchsorted(np.unique(places), places)]


def _pixels(images: Tensor) -> np.ndarray:
    """Return normalized images as (n, H, W, 3) uint8."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return ((images.cpu() * std + mean) * 255).round().byte().permute(0, 2, 3, 1).numpy()


def _content(job: _Job, index: Index, words: list[str], device: torch.device) -> dict[str, Any]:
    """Return the arrays of a run's file."""
    model_settings, split = job.config.model, index.val
    places = [_place(word, split) for word in words]
    images = _view(job, split, places, device)
    model = build_model(model_settings.arch, model_settings.padding, model_settings.num_classes)
    checkpoint.load_weights(model, checkpoint.load(job.run.checkpoints / checkpoint.BEST))
    maps = activation_maps(model.to(device), images, job.layers)
    arrays = {layer: values.cpu().numpy() for layer, values in maps.items()}
    labels = split.labels[places]
    return {
        **{"run": str(job.run.path), "arch": model_settings.arch},
        **{"padding": model_settings.padding, "seed": job.config.seed},
        **{"index": np.array(places), "label": labels, "image": _pixels(images)},
        "class_name": np.array([index.classes[label] for label in labels]),
        "layers": np.array(job.layers),
        **{f"map_{layer}": values for layer, values in arrays.items()},
        "border_energy": np.stack([border_energy(arrays[layer]) for layer in job.layers], 1),
    }
