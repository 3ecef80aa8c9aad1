"""Figs. 6 and 8: image, truth, zero's and partial's prediction, where the border changed most."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from data.store.labels import COLOURS, NAMES, TO_TRAIN_IDS
from records.errors import RunError
from results.figures import style
from results.mode_scores import ModeScores
from results.saved_predictions import BAND, Scene, changed, extremes, read_ids

_SHOWN = 3  # rows of gains, and of losses
_WIDTH = 440  # px that a picture is shown with

# 256 colours by train id; what does not count is black.
_PALETTE = np.zeros((256, 3), dtype=np.uint8)
_PALETTE[: len(COLOURS)] = COLOURS

# The rule by which images are chosen, for captions.
RULE = (
    f"the {_SHOWN} images whose pixel accuracy near the border rises most from zero to partial, "
    f"and the {_SHOWN} where it falls most or rises least"
)


@style.styled
def side_by_side(
    pair: tuple[ModeScores, ModeScores], mode: str, root: Path, notes: Sequence[str] = ()
) -> Figure:
    """Return Fig. 6 ('tile 1/3') or Fig. 8 ('tile 0').

    Args:
        pair: a zero and a partial run's evaluation, of one network and split.
        mode: of evaluation.
        root: the data set's folder.
        notes: to stand below, of the runs that the pair is not of.

    Raises:
        RunError: as `changed`; or no image has labels near the border.
    """
    scenes = changed(pair, mode, root)
    if not scenes:
        raise RunError("no image has labels near the border")
    gains, losses = extremes(scenes, _SHOWN)
    shown = [*gains, *losses]
    height, width = read_ids(shown[0].label).shape
    figure = Figure(figsize=(9.6, 1.3 + len(shown) * (1.95 * height / width + 0.06)))
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.02)
    grid = figure.subplots(len(shown), 4, squeeze=False)
    seen: set[int] = set()
    for panels, scene in zip(grid, shown, strict=True):
        seen |= _row(panels, scene)
        if mode == "tile 0":
            _seams(panels[2:], width, pair[0].tile)
    zero, partial = pair
    titles = ("image", "ground truth", f"zero, seed {zero.run.seed}",
              f"partial, seed {partial.run.seed}")  # fmt: skip
    for panel, title in zip(grid[0], titles, strict=True):
        panel.set_title(title)
    figure.suptitle(f"{zero.run.panel}, {_TOLD[mode]}")
    patches = [Patch(color=np.array(COLOURS[i]) / 255, label=NAMES[i]) for i in sorted(seen)]
    figure.legend(handles=patches, loc="outside right upper", handlelength=1, fontsize=7)
    style.caption(figure, *_captions(scenes, len(gains), len(losses), mode), *notes)
    return figure


_TOLD = {"tile 0": "tiles without overlap", "tile 1/3": "tiles with 1/3 overlap"}
_BORDER = {"tile 0": "tile's border (dashed)", "tile 1/3": "image's border"}


def _captions(scenes: list[Scene], gains: int, losses: int, mode: str) -> tuple[str, ...]:
    better, worse = (sum(sign * scene.change > 0 for scene in scenes) for sign in (1, -1))
    return (
        f"Rule: of all {len(scenes):,} images, by the accuracy of the pixels near the "
        f"{_BORDER[mode]}, closer than 1/{BAND} of the height (left): first the {gains} largest",
        f"gains from zero to partial, then the {losses} largest losses or smallest gains. Picked "
        f"so, changes look larger than they are: it rises in {better:,} images, falls in "
        f"{worse:,}.",
        "The runs: the pair of the closest regular mIoU, as in Tables 6 and 7. Black: not counted.",
    )


def _row(panels: np.ndarray, scene: Scene) -> set[int]:
    """Draw a row, and return the classes in it."""
    ids = [TO_TRAIN_IDS[read_ids(file)] for file in (scene.label, scene.zero, scene.partial)]
    maps = [one[_nearest(one.shape[0], one.shape[1])] for one in ids]
    height, width = maps[0].shape
    try:
        with Image.open(scene.image) as image:
            photo = np.asarray(image.convert("RGB").resize((width, height)))
    except OSError as error:
        raise RunError(f"{scene.image}: cannot be shown ({error})") from None
    whole = (0, ids[0].shape[1], ids[0].shape[0], 0)  # px of the image, for the seams
    for panel, picture in zip(panels, [photo, *(_PALETTE[one] for one in maps)], strict=True):
        panel.imshow(picture, interpolation="nearest", extent=whole)
        panel.set_xticks([])
        panel.set_yticks([])
        panel.spines[:].set_visible(False)
    name = scene.name.replace("_", "\n", 1)
    told = f"{name}\n{scene.before:.1f} → {scene.after:.1f} %"
    panels[0].set_ylabel(told, fontsize=6, rotation=0, ha="right", va="center")
    return {int(one) for part in maps for one in np.unique(part) if one < len(COLOURS)}


def _nearest(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the index of a map's pixels that are shown: labels must not be mixed."""
    small = min(width, _WIDTH)
    shown = max(1, round(height * small / width)), small
    lengths = zip(shown, (height, width), strict=True)
    return np.ix_(*((2 * np.arange(to) + 1) * length // (2 * to) for to, length in lengths))


def _seams(panels: np.ndarray, width: int, tile: int) -> None:
    for panel in panels:
        for edge in range(tile, width, tile):
            _line(panel, edge)


def _line(panel: Axes, edge: int) -> None:
    panel.axvline(edge, color="white", lw=0.7, ls=(0, (4, 3)))
