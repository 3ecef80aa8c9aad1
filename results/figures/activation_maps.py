"""Fig. 5: activation maps of one network under several paddings, side by side."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from records.errors import RunError
from results import printed
from results.figures import style

_COLOURS = "cividis"  # even steps for the eye, also of colour-blind readers and in grey
_REMEDY = "make it again with python -m commands.activations"


@dataclass(frozen=True)
class Activations:
    """What commands/activations.py wrote of one run, for n images.

    Attributes:
        file: where.
        arch, padding, seed: the run.
        index: (n,) places in the validation split.
        image: (n, H, W, 3) uint8, what the network saw.
        class_name: n names.
        maps: {layer: (n, h, w) float32, the output summed over its channels}.
        border_energy: {layer: (n,), mean of the outermost ring over that of the interior}.
    """

    file: Path
    arch: str
    padding: str
    seed: int
    index: np.ndarray
    image: np.ndarray
    class_name: tuple[str, ...]
    maps: dict[str, np.ndarray]
    border_energy: dict[str, np.ndarray]


def read_activations(folder: Path) -> list[Activations]:
    """Return what lies in `folder`, in the paper's order of networks and paddings, by seed.

    Raises:
        RunError: a file is damaged or not of commands/activations.py.
    """
    found = [_read(file) for file in sorted(folder.glob("*.npz"))]
    return sorted(found, key=lambda one: (printed.place(one.arch, one.padding), one.seed))


def comparable(found: list[Activations]) -> dict[str, list[Activations]]:
    """Return for each network the runs of the lowest seed that most of its paddings have."""
    chosen = {}
    for arch in dict.fromkeys(one.arch for one in found):
        seeds = [one.seed for one in found if one.arch == arch]
        seed = min(set(seeds), key=lambda seed: (-seeds.count(seed), seed))
        chosen[arch] = [one for one in found if (one.arch, one.seed) == (arch, seed)]
    return chosen


@style.styled
def activation_maps(compared: list[Activations]) -> Figure:
    """Return Fig. 5: a row an image; its layers, each under one padding beside the other.

    One image's maps of one layer share their scale of colours, from 0 to the largest value.

    Args:
        compared: runs of one network on the same images.

    Raises:
        RunError: they have not the same images and layers.
    """
    first = compared[0]
    for other in compared[1:]:
        if [*other.maps] != [*first.maps] or other.index.tolist() != first.index.tolist():
            raise RunError(
                f"{first.file} and {other.file}: of other images or layers; {_REMEDY}, in one call"
            )
    columns = 1 + len(first.maps) * len(compared)
    figure = Figure(figsize=(max(1.45 * columns, 4.2), 1.7 * len(first.index) + 1.0))
    axes = figure.subplots(len(first.index), columns, squeeze=False)
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.04, wspace=0.02, hspace=0.02)
    for row, panels in enumerate(axes):
        _bare(panels[0].imshow(first.image[row]).axes)
        panels[0].set_xlabel(style.shortened(first.class_name[row], 18), fontsize=style.SMALL)
        places = iter(panels[1:])
        for layer in first.maps:
            top = max(float(one.maps[layer][row].max()) for one in compared) or 1.0
            for one in compared:
                _map(next(places), one, layer, row, top)
    titles = [f"{layer}\n{one.padding}" for layer in first.maps for one in compared]
    for panel, title in zip(axes[0], ["image", *titles], strict=True):
        panel.set_title(title, fontsize=style.SMALL)
    figure.suptitle(f"{first.arch}, seed {first.seed}: activations summed over channels")
    style.caption(
        figure,
        "Below each map: mean of the outermost ring / mean of the interior.",
        "Dark to bright: from 0 (or less) to the largest value of an image's maps of a layer.",
    )
    return figure


def _map(panel: Axes, one: Activations, layer: str, row: int, top: float) -> None:
    values = one.maps[layer][row]
    _bare(panel.imshow(values, cmap=_COLOURS, vmin=0, vmax=top, interpolation="nearest").axes)
    energy = one.border_energy[layer][row]
    panel.set_xlabel("no interior" if np.isnan(energy) else f"{energy:.2f}", fontsize=style.SMALL)


def _bare(panel: Axes) -> None:
    panel.set_xticks([])
    panel.set_yticks([])
    for spine in panel.spines.values():
        spine.set_visible(False)


def _read(file: Path) -> Activations:
    try:
        with np.load(file) as arrays:
            layers = arrays["layers"].tolist()
            energy = arrays["border_energy"]
            return Activations(
                file=file,
                arch=str(arrays["arch"]),
                padding=str(arrays["padding"]),
                seed=int(arrays["seed"]),
                index=arrays["index"],
                image=arrays["image"],
                class_name=tuple(arrays["class_name"].tolist()),
                maps={layer: arrays[f"map_{layer}"] for layer in layers},
                border_energy={layer: energy[:, i] for i, layer in enumerate(layers)},
            )
    except Exception as error:  # zipfile raises whatever damaged bytes lead it to
        reason = str(error).partition("\n")[0]
        raise RunError(f"{file}: no activation maps ({reason}); {_REMEDY}") from None
