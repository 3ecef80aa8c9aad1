"""A training sample of a street scene: scaled, cut out, mirrored, its colours changed, blurred."""

import numpy as np
import torchvision.transforms.v2.functional as T
from PIL import Image

from data.backends.blur import gaussian_blur
from data.plan.scenes import SceneViews
from data.store.labels import IGNORED

_CHANGES = (T.adjust_brightness, T.adjust_contrast, T.adjust_saturation, T.adjust_hue)


def scene_crop(
    image: Image.Image, labels: np.ndarray, views: SceneViews, row: int, crop: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a sample as the plan has it.

    Args:
        image: RGB.
        labels: (H, W) uint8 train ids.
        views: the plan's of a step.
        row: which of them.
        crop: px, side of the sample.

    Returns:
        (crop, crop, 3) uint8, black where padded; (crop, crop) uint8, IGNORED where padded.
    """
    place = views.scaled[row].tolist(), views.windows[row].tolist(), views.margins[row].tolist()
    image, labels = cut_image(image, *place, crop), cut_labels(labels, *place, crop)
    if views.mirrored[row]:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        labels = labels[:, ::-1]
    for change in views.order[row].tolist():
        image = _CHANGES[change](image, float(views.jitter[row, change]))
    return gaussian_blur(np.asarray(image), float(views.blur[row])), labels


def cut_image(
    image: Image.Image, scaled: list[int], window: list[int], margin: list[int], crop: int
) -> Image.Image:
    """Return a square of the bicubically resized image, black where it has no pixel.

    Only the window is made: Pillow takes the filter's support from the whole image, so that its
    pixels are those of resizing the whole and cutting afterwards, but for rounding (at most 2 grey
    levels).

    Args:
        image: RGB.
        scaled: height and width that the whole image is resized to, in pixels.
        window: top, left, height and width of what is taken of the resized image.
        margin: rows above and columns left of it in the square.
        crop: px, side of the square.
    """
    top, left, height, width = window
    y, x = image.height / scaled[0], image.width / scaled[1]  # pixels of the image a pixel
    right, bottom = min((left + width) * x, image.width), min((top + height) * y, image.height)
    box = left * x, top * y, right, bottom
    part = image.resize((width, height), Image.Resampling.BICUBIC, box=box)
    if part.size == (crop, crop):
        return part
    square = Image.new("RGB", (crop, crop))
    square.paste(part, (margin[1], margin[0]))
    return square


def cut_labels(
    labels: np.ndarray, scaled: list[int], window: list[int], margin: list[int], crop: int
) -> np.ndarray:
    """Return a square of the labels resized as by Pillow's NEAREST, IGNORED where it has none.

    Args:
        labels: (H, W) uint8.
        scaled, window, margin, crop: as cut_image's.

    Returns:
        (crop, crop) uint8.
    """
    top, left, height, width = window
    rows = _nearest(labels.shape[0], scaled[0])[top : top + height]
    columns = _nearest(labels.shape[1], scaled[1])[left : left + width]
    square = np.full((crop, crop), IGNORED, np.uint8)
    inside = slice(margin[0], margin[0] + height), slice(margin[1], margin[1] + width)
    square[inside] = labels[rows].take(columns, axis=1)
    return square


def _nearest(size: int, scaled: int) -> np.ndarray:
    """Return the (scaled,) places that Pillow's NEAREST takes its pixels from."""
    places = Image.fromarray(np.arange(size, dtype=np.int32)[None])  # ties, too, are Pillow's
    return np.asarray(places.resize((scaled, 1), Image.Resampling.NEAREST))[0]
