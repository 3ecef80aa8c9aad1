"""Street scenes painted with numpy, whose objects are handwritten digits; every pixel has a label.

Nothing but the objects is of a bright colour: their saturation is 0.7 or more, else 0.45 or less.
"""

import colorsys

import numpy as np
from PIL import Image

SIZE = (64, 128)  # height, width

# Cityscapes' label ids: what is ignored, what is painted, and what the digits 0 to 9 stand for.
UNLABELLED, EGO_VEHICLE, STATIC = 0, 1, 4
ROAD, SIDEWALK, BUILDING, WALL, FENCE, POLE = 7, 8, 11, 12, 13, 17
VEGETATION, TERRAIN, SKY = 21, 22, 23
OBJECTS = (19, 20, 24, 25, 26, 27, 28, 31, 32, 33)  # traffic light ... bicycle

_HUE_SPREAD = 0.35  # in classes: colour tells most objects, shape the neighbours
_INK = 96  # of 255: what is darker in a digit's picture is its background
_rows, _columns = np.mgrid[: SIZE[0], : SIZE[1]]

Span = tuple[float, float]
Canvas = tuple[np.ndarray, np.ndarray]  # RGB, (H, W, 3) float, and label ids, (H, W) uint8


def paint_scene(
    rng: np.random.Generator, digits: np.ndarray, classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Paint one scene: what is far first, then what stands before it.

    Args:
        rng: decides everything.
        digits: (n, 8, 8), ink from 0 to 16, to take the objects from.
        classes: (n,), which digit each of them is, 0 to 9.

    Returns:
        The image, (64, 128, 3) uint8 RGB, and its label ids, (64, 128) uint8.
    """
    canvas = np.zeros((*SIZE, 3)), np.zeros(SIZE, dtype=np.uint8)
    horizon = int(rng.integers(26, 37))
    _backdrop(canvas, rng, horizon)
    _ground(canvas, rng, horizon)
    _uprights(canvas, rng, horizon)
    for _ in range(rng.integers(5, 10)):
        one = rng.integers(len(digits))
        _object(canvas, rng, digits[one], int(classes[one]))
    if rng.random() < 0.3:  # the bonnet of the car that carries the camera
        top = SIZE[0] - rng.uniform(3, 7) + ((_columns - rng.uniform(40, 88)) / 22) ** 2
        _fill(canvas, _rows >= top, EGO_VEHICLE, _colour(rng, (0, 1), (0, 0.2), (0.1, 0.3)))
    image, ids = canvas
    image *= rng.uniform(0.75, 1) * _rough(rng, 0.05)[..., None]
    return np.rint(image.clip(0, 255)).astype(np.uint8), ids


def coarse(ids: np.ndarray) -> np.ndarray:
    """Return labels as of somebody in a hurry: UNLABELLED within a pixel of another label."""
    framed = np.pad(ids, 1, mode="edge")
    height, width = ids.shape
    same = np.ones(ids.shape, dtype=bool)
    for dy in range(3):
        for dx in range(3):
            same &= framed[dy : dy + height, dx : dx + width] == ids
    return np.where(same, ids, UNLABELLED).astype(np.uint8)


def _backdrop(canvas: Canvas, rng: np.random.Generator, horizon: int) -> None:
    """Sky, a row of houses with gaps, and trees before them."""
    everywhere = np.ones(SIZE, dtype=bool)
    sky = _colour(rng, (0.53, 0.63), (0.05, 0.4), (0.75, 0.95))
    _fill(canvas, everywhere, SKY, sky, 0.85 + 0.15 * _rows / SIZE[0])

    left = int(rng.integers(-20, 5))
    while left < SIZE[1]:
        width, roof = rng.integers(14, 34), rng.integers(-4, horizon - 10)
        house = _colour(rng, (0, 0.12), (0.05, 0.4), (0.35, 0.7))
        window = ((_columns - left) % 6 >= 3) & ((_rows - roof) % 7 >= 3)
        mask = (_columns >= left) & (_columns < left + width) & (_rows >= roof)
        _fill(canvas, mask, BUILDING, house, np.where(window, rng.uniform(0.5, 0.8), 1))
        left += int(width + rng.choice((0, 0, rng.integers(4, 24))))

    for _ in range(rng.integers(1, 4)):
        x, y = rng.uniform(0, SIZE[1]), horizon - rng.uniform(2, 12)
        tree = np.zeros(SIZE, dtype=bool)
        for _ in range(5):
            radius = rng.uniform(4, 9)
            dx, dy = rng.uniform(-9, 9), rng.uniform(-6, 4)
            tree |= (_columns - x - dx) ** 2 + (_rows - y - dy) ** 2 < radius**2
        leaves = _colour(rng, (0.24, 0.38), (0.25, 0.45), (0.3, 0.55))
        _fill(canvas, tree, VEGETATION, leaves, _rough(rng, 0.3))


def _ground(canvas: Canvas, rng: np.random.Generator, horizon: int) -> None:
    """Grass, and on it a road with sidewalks that widen towards the camera."""
    below = _rows >= horizon
    near = (_rows - horizon) / (SIZE[0] - horizon)  # 0 at the horizon, 1 at the lower border
    middle = rng.uniform(30, 98) + near * rng.uniform(-25, 25)
    half = 3 + near * rng.uniform(18, 45)
    aside = np.abs(_columns - middle)

    grass = _colour(rng, (0.12, 0.22), (0.25, 0.45), (0.4, 0.65))
    _fill(canvas, below, TERRAIN, grass, _rough(rng, 0.12))
    pavement = _colour(rng, (0, 0.12), (0.03, 0.15), (0.55, 0.75))
    slabs = np.where((_rows + _columns) % 6 < 1, 0.85, 1)
    _fill(canvas, below & (aside < half + 2 + near * rng.uniform(8, 22)), SIDEWALK, pavement, slabs)
    tar = _colour(rng, (0.5, 0.7), (0, 0.08), (0.28, 0.42))
    line = (aside < 0.3 + near) & (_rows % 10 < 6)
    _fill(canvas, below & (aside < half), ROAD, tar, np.where(line, 1.8, 1))


def _uprights(canvas: Canvas, rng: np.random.Generator, horizon: int) -> None:
    """A wall, a fence, a strip of something that is ignored, and poles; not always all of them."""

    def band(heights: Span, widths: Span, foot: float) -> np.ndarray:
        left = rng.uniform(-20, SIZE[1] - 10)
        within = (_columns >= left) & (_columns < left + rng.uniform(*widths))
        return within & (_rows < foot) & (_rows >= foot - rng.uniform(*heights))

    if rng.random() < 0.75:
        stone = _colour(rng, (0.5, 0.75), (0.1, 0.3), (0.45, 0.7))
        courses = np.where(_rows % 4 == 0, 0.75, 1)
        _fill(canvas, band((7, 13), (25, 60), horizon + 2), WALL, stone, courses)
    if rng.random() < 0.75:
        wood = _colour(rng, (0.05, 0.1), (0.3, 0.45), (0.55, 0.8))
        pickets = np.where(_columns % 3 == 0, 0.5, 1)
        _fill(canvas, band((6, 11), (25, 60), horizon + 4), FENCE, wood, pickets)
    if rng.random() < 0.5:
        rubble = _colour(rng, (0, 1), (0, 0.3), (0.2, 0.8))
        foot = rng.uniform(horizon + 4, SIZE[0])
        _fill(canvas, band((2, 5), (20, 70), foot), STATIC, rubble, _rough(rng, 0.3))
    for _ in range(rng.integers(0, 4)):
        metal = _colour(rng, (0.5, 0.7), (0, 0.1), (0.15, 0.3))
        left = int(rng.integers(-1, SIZE[1]))
        across = _columns - left
        mask = (across >= 0) & (across < rng.integers(2, 5))
        mask &= (_rows >= rng.integers(-10, 16)) & (_rows < rng.integers(horizon, SIZE[0]))
        _fill(canvas, mask, POLE, metal, 1 + 0.4 * (across == 1))


def _object(canvas: Canvas, rng: np.random.Generator, digit: np.ndarray, which: int) -> None:
    """The ink of one digit, 16 to 30 px; the centre may lie outside, so borders cut it."""
    size = int(rng.integers(16, 31))
    centre = [rng.integers(-size // 4, length + size // 4 + 1) for length in SIZE]
    picture = Image.fromarray(np.rint(digit * (255 / 16)).astype(np.uint8))
    picture = picture.resize((size, size), Image.Resampling.BICUBIC)
    top, left = (int(c) - size // 2 for c in centre)
    ink = np.zeros((SIZE[0] + 2 * size, SIZE[1] + 2 * size), dtype=bool)
    ink[top + size : top + 2 * size, left + size : left + 2 * size] = np.asarray(picture) > _INK
    hue = (which + rng.normal(0, _HUE_SPREAD)) / len(OBJECTS) % 1
    colour = _colour(rng, (hue, hue), (0.7, 1), (0.5, 0.9))
    _fill(canvas, ink[size:-size, size:-size], OBJECTS[which], colour)


def _fill(
    canvas: Canvas,
    mask: np.ndarray,
    label: int,
    colour: np.ndarray,
    shade: np.ndarray | float = 1.0,
) -> None:
    """Give the pixels of `mask` a label and a colour, darker or lighter by `shade`, in place."""
    image, ids = canvas
    ids[mask] = label
    image[mask] = np.broadcast_to(shade, SIZE)[mask][:, None] * colour


def _colour(rng: np.random.Generator, hue: Span, saturation: Span, value: Span) -> np.ndarray:
    """Return a random colour, (3,) RGB from 0 to 255; the ranges are in 0 to 1."""
    hsv = (rng.uniform(*span) for span in (hue, saturation, value))
    return 255 * np.array(colorsys.hsv_to_rgb(*hsv))


def _rough(rng: np.random.Generator, depth: float) -> np.ndarray:
    """Return the shade, (H, W), of a rough surface: 1 +- depth in each pixel for itself."""
    return rng.uniform(1 - depth, 1 + depth, SIZE)
