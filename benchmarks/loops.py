"""Training loops written by hand, which this trainer is compared with."""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from data.interface import MEAN, STD
from training.precision import autocast

Batches = Iterator[tuple[Tensor, Tensor]]
_RECIPE = {"lr": 1e-6, "momentum": 0.9, "weight_decay": 1e-4}


def plain(model: nn.Module, batches: Batches, precision: str, steps: int) -> Callable[[], None]:
    """Return what takes so many steps as pytorch/examples does, which prints as it goes."""
    optimizer = torch.optim.SGD(model.parameters(), **_RECIPE)
    seen = [0.0, 0.0, 0.0]

    def turn() -> None:
        for _ in range(steps):
            images, labels = next(batches)
            with autocast(precision, images.device):
                outputs = model(images)
                loss = nn.functional.cross_entropy(outputs, labels)
            hits = outputs.topk(min(5, outputs.shape[1])).indices == labels[:, None]
            seen[0] += loss.item() * len(images)
            seen[1] += hits[:, 0].sum().item()
            seen[2] += hits.sum().item()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return turn


def tuned(model: nn.Module, batches: Batches, precision: str, steps: int) -> Callable[[], None]:
    """Return what takes so many steps as fast as a bare loop can: fused SGD, nothing counted."""
    optimizer = torch.optim.SGD(model.parameters(), **_RECIPE, fused=True)

    def turn() -> None:
        for _ in range(steps):
            images, labels = next(batches)
            optimizer.zero_grad(set_to_none=True)
            with autocast(precision, images.device):
                loss = nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()

    return turn


def constant(batch: int, size: int, device: str, layout: torch.memory_format) -> Batches:
    """Yield the same noise for ever."""
    images = torch.randn(batch, 3, size, size, device=device).to(memory_format=layout)
    labels = torch.randint(1000, (batch,), device=device)
    while True:
        yield images, labels


def loaded(loader: DataLoader, device: str, layout: torch.memory_format) -> Batches:
    """Yield a loader's batches on the device, epoch after epoch."""
    while True:
        for images, labels in loader:
            images = images.to(device, memory_format=layout, non_blocking=True)
            yield images, labels.to(device, non_blocking=True)


def image_folder(root: Path, batch: int, workers: int, size: int = 224) -> DataLoader:
    """Return what pytorch/examples builds: the same transforms, in worker processes."""
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(size, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    folder = ImageFolder(root / "train", transform)
    return DataLoader(
        folder,
        batch,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        drop_last=True,
    )
