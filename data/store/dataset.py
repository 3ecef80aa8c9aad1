"""What every data set is made of, and the error when it is not."""

from foundation.errors import UserError

SPLITS = ("train", "val")
IMAGENET = {"train": 1_281_167, "val": 50_000}  # images of ILSVRC 2012
CLASSES = 1_000

# The endings of torchvision's ImageFolder.
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


class DataError(UserError):
    """The data set is missing, unusable or changed; the text says what to do."""
