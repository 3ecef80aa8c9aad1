"""The DALI pipelines: from encoded images to squares, and one that only tries to decode."""

import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from nvidia.dali import fn, types
from nvidia.dali.pipeline import Pipeline

from data.interface import MEAN, STD

Inputs = tuple[list[np.ndarray] | np.ndarray, ...]
_DTYPES = [types.UINT8, *[types.INT32] * 2, *[types.FLOAT] * 3, types.INT32]

_ready: dict[int, Pipeline] = {}  # of each process: its threads do not live on in a fork

_DECODING = {
    "output_type": types.RGB,
    "adjust_orientation": False,  # PIL and torchvision do not turn images by their EXIF either
    "jpeg_fancy_upsampling": True,  # on a GPU; libjpeg always does
}


class Form(NamedTuple):
    """What the squares come as: `size` px, "CHW" or "HWC", float32 `normalized` or uint8."""

    size: int
    layout: str
    normalized: bool


def squares(
    inputs: Iterator[Inputs], batch: int, threads: int, decode_on: torch.device, form: Form
) -> Pipeline:
    """Return a pipeline from encoded images and their views to squares.

    Its outputs: the squares, and the (n, 3) shapes that the images' headers announce.

    Args:
        inputs: of each step: the files' bytes; window_start, window_size (int32 rows, columns);
            resized (float32 rows, columns); place of the square's rows and of its columns in what
            remains, from 0 to 1 (float32); mirrored (int32).
        batch: most images a step.
        threads: for the work on the processor.
        decode_on: where images are decoded and resized.
        form: of the squares.
    """
    on_gpu = decode_on.type == "cuda"
    pipeline = Pipeline(
        batch_size=batch,
        num_threads=threads,
        device_id=(decode_on.index or 0) if on_gpu else None,
        prefetch_queue_depth=2,
        exec_dynamic=True,  # a result's memory is not used again while somebody holds it
    )
    with pipeline:
        encoded, start, size, resized, row, column, mirrored = fn.external_source(
            inputs, num_outputs=7, dtype=_DTYPES, ndim=[1, 1, 1, 1, 0, 0, 0]
        )
        images = fn.decoders.image_slice(
            encoded,
            start=start,
            shape=size,
            axes=(0, 1),
            device="mixed" if on_gpu else "cpu",
            **_DECODING,
        )
        images = fn.resize(images, size=resized, interp_type=types.INTERP_LINEAR, antialias=True)
        images = fn.crop_mirror_normalize(
            images,
            crop=(form.size, form.size),
            crop_pos_y=row,
            crop_pos_x=column,
            rounding="round",
            mirror=mirrored,
            output_layout=form.layout,
            dtype=types.FLOAT if form.normalized else types.UINT8,
            mean=[255 * value for value in MEAN] if form.normalized else 0.0,
            std=[255 * value for value in STD] if form.normalized else 1.0,
        )
        shapes = fn.peek_image_shape(encoded, adjust_orientation=False)
        pipeline.set_outputs(images, shapes)
    pipeline.build()
    return pipeline


def why_undecodable(content: bytes, pixels: np.ndarray | None = None) -> str | None:
    """Return why DALI on the CPU cannot decode an image, or decodes another; None if it can.

    Args:
        content: the file.
        pixels: (H, W, 3) uint8, what it should become but for one grey level.
    """
    pipeline = _ready.pop(os.getpid(), None) or _whole()
    try:
        pipeline.feed_input("encoded", [np.frombuffer(content, np.uint8)])
        images, shapes = pipeline.run()
    except Exception as error:  # DALI has a class for each kind
        # The pipeline is of no use any more.
        told = str(error).partition("encountered:")[2].partition("Current pipeline")[0]
        return f"cannot be decoded by DALI ({' '.join(told.split()) or error})"
    _ready[os.getpid()] = pipeline
    if pixels is None:
        return None
    theirs, announced = np.array(images.at(0)), tuple(np.array(shapes.at(0))[:2].tolist())
    for height, width in (theirs.shape[:2], announced):
        if (height, width) != pixels.shape[:2]:
            return (
                f"is {width} x {height} px for DALI, {pixels.shape[1]} x {pixels.shape[0]} for PIL"
            )
    apart = int((np.maximum(theirs, pixels) - np.minimum(theirs, pixels)).max(initial=0))
    return f"is another for DALI than for PIL, by {apart} of 255 levels" if apart > 1 else None


def _whole() -> Pipeline:
    """Return a pipeline that decodes one whole image, as `squares` decodes parts."""
    pipeline = Pipeline(batch_size=1, num_threads=1, device_id=None, prefetch_queue_depth=1)
    with pipeline:
        encoded = fn.external_source(name="encoded", dtype=types.UINT8, ndim=1)
        pipeline.set_outputs(
            fn.decoders.image(encoded, **_DECODING),
            fn.peek_image_shape(encoded, adjust_orientation=False),
        )
    pipeline.build()
    return pipeline
