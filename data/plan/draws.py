"""Which images a step sees and how: pure functions of (seed, epoch, sample).

Random numbers come from Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2,
3", SC 2011), a function from a counter to four random words. A sample's numbers need no state and
no history: they are the same for any number of processes, in any backend and after any restart.
"""

import numpy as np

# The counter's second word: streams that never overlap. The last three are Section 4.2's.
ORDER, CROP, FLIP, CENTROIDS, WHOLE, SCENE = range(6)
_CHUNK = 4096  # samples
_CROP_ATTEMPTS = 10  # torchvision's RandomResizedCrop


def philox4x32(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Return four random 32-bit words for each counter.

    Args:
        counter: (..., 4) integers below 2**32.
        key: two integers below 2**32.

    Returns:
        (..., 4) uint64 array of values below 2**32.
    """
    low = np.uint64(0xFFFFFFFF)
    c0, c1, c2, c3 = np.moveaxis(np.asarray(counter, dtype=np.uint64), -1, 0)
    k0, k1 = key
    for _ in range(10):
        p0, p2 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (
            (p2 >> np.uint64(32)) ^ c1 ^ np.uint64(k0),
            p2 & low,
            (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1),
            p0 & low,
        )
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return np.stack([c0, c1, c2, c3], axis=-1)


def epoch_order(seed: int, epoch: int, images: int) -> np.ndarray:
    """Return a permutation of the samples 0 .. images-1, (images,) int64."""
    random = words(seed, epoch, ORDER, np.arange(images), blocks=1)
    return np.argsort(random[:, 0] << np.uint64(32) | random[:, 1], kind="stable")


def train_share(order: np.ndarray, step: int, batch: int, rank: int, world: int) -> np.ndarray:
    """Return this process's samples of a step of `batch` images over `world` processes.

    The last step holds what is left (the paper's scripts keep it), dealt as evenly as it goes.
    """
    return np.array_split(order[step * batch : (step + 1) * batch], world)[rank]


def eval_share(images: int, rank: int, world: int) -> np.ndarray:
    """Return this process's samples of an evaluation: every image once over all processes."""
    return np.array_split(np.arange(images), world)[rank]


def crop_windows(
    seed: int,
    epoch: int,
    samples: np.ndarray,
    sizes: np.ndarray,
    area: tuple[float, float],
    aspect: tuple[float, float],
) -> np.ndarray:
    """Return one window an image, distributed as torchvision's RandomResizedCrop.

    Ten attempts: a share of the image's area, uniform; an aspect ratio (width/height), uniform in
    its logarithm; the first that fits is placed uniformly. If none fits, the centre of the image,
    cut to the nearest allowed ratio.

    Args:
        seed: of the run.
        epoch: counted from 0.
        samples: (n,) places in the split.
        sizes: (n, 2) height and width of each image in pixels.
        area: smallest and largest share of the image's area.
        aspect: smallest and largest ratio.

    Returns:
        (n, 4) int64: top, left, height, width in pixels.
    """
    uniform = words(seed, epoch, CROP, samples, blocks=_CROP_ATTEMPTS) / 2**32
    uniform = uniform.reshape(len(samples), _CROP_ATTEMPTS, 4)
    height, width = sizes[:, :1].astype(np.int64), sizes[:, 1:].astype(np.int64)
    pixels = height * width * (area[0] + uniform[..., 0] * (area[1] - area[0]))
    low, high = np.log(aspect)
    ratio = np.exp(low + uniform[..., 1] * (high - low))
    w = np.rint(np.sqrt(pixels * ratio)).astype(np.int64)  # rint: Python's round, half to even
    h = np.rint(np.sqrt(pixels / ratio)).astype(np.int64)
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    top = (uniform[..., 2] * (height - h + 1)).astype(np.int64)
    left = (uniform[..., 3] * (width - w + 1)).astype(np.int64)
    windows = np.stack([top, left, h, w], axis=-1)
    first = np.take_along_axis(windows, fits.argmax(axis=1)[:, None, None], axis=1)[:, 0]
    return np.where(fits.any(axis=1)[:, None], first, _centre_windows(height, width, aspect))


def flips(seed: int, epoch: int, samples: np.ndarray, probability: float) -> np.ndarray:
    """Return for each sample whether it is mirrored left to right, (n,) bool."""
    return words(seed, epoch, FLIP, samples, blocks=1)[:, 0] < probability * 2**32


def keys(seed: int, epoch: int, stream: int, count: int) -> np.ndarray:
    """Return (count,) random 64-bit numbers: sorted by them, things are shuffled."""
    pairs = np.arange(-(-count // 2))  # each block of words makes two numbers
    parts = np.split(pairs, range(_CHUNK, len(pairs), _CHUNK))  # in the processor's cache
    random = np.concatenate([words(seed, epoch, stream, part, blocks=1) for part in parts])
    random = random.reshape(-1, 2)
    return (random[:, 0] << np.uint64(32) | random[:, 1])[:count]


def words(seed: int, epoch: int, stream: int, samples: np.ndarray, blocks: int) -> np.ndarray:
    """Return (n, 4 * blocks) random words below 2**32, uint64.

    The counter is (block, stream, epoch, sample), with `stream` one of those above.
    """
    counter = np.empty((len(samples), blocks, 4), dtype=np.uint64)
    counter[..., 0] = np.arange(blocks)
    counter[..., 1] = stream
    counter[..., 2] = epoch
    counter[..., 3] = np.asarray(samples)[:, None]
    return philox4x32(counter, (seed % 2**32, seed // 2**32)).reshape(len(samples), 4 * blocks)


def _centre_windows(
    height: np.ndarray, width: np.ndarray, aspect: tuple[float, float]
) -> np.ndarray:
    ratio = width / height
    w = np.where(ratio > aspect[1], np.rint(height * aspect[1]), width).astype(np.int64)
    h = np.where(ratio < aspect[0], np.rint(width / aspect[0]), height).astype(np.int64)
    return np.concatenate([(height - h) // 2, (width - w) // 2, h, w], axis=1)
