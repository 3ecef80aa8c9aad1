"""In how many passes a process computes its part of a step, to save memory."""

from configs.schema import Config


def passes(config: Config, images: int, world: int) -> int:
    """Return how many passes a process's images of a step are divided over.

    BN cannot average over a single image, unless it averages over those of other processes, too.

    Args:
        config: of the run.
        images: of the process in this step.
        world: number of processes.
    """
    least = 1 if is_synchronized(config) and world > 1 else 2
    return max(1, min(config.train.accumulate, images // least))


def is_synchronized(config: Config) -> bool:
    """Return whether BN averages over the images of all processes."""
    return config.task == "segmentation" and config.train.sync_bn


def bn_images(config: Config, world: int) -> float:
    """Return the images that a BN layer averages over at once, in a whole step."""
    images = config.data.global_batch_size / world
    together = world if is_synchronized(config) else 1
    return images / passes(config, int(images), world) * together
