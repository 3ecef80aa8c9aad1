"""The images of one split and where their bytes lie: in files, or in the tars of shards."""

import errno
import io
import os
import resource
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from data.store.dataset import DataError
from data.store.fingerprint import Columns
from data.store.machine import machine_error
from data.store.paths import open_regular, printable


@dataclass(frozen=True)
class Split:
    """The images of train/ or val/, in torchvision's ImageFolder order.

    Attributes:
        folder: the split's own; of shards the folder that holds them.
        paths: (n,) file-system bytes, <class>/<file>.
        labels: (n,) int64 class of each image.
        sizes: (n, 2) int32 height and width in pixels.
        lengths: (n,) int64 bytes of each image's file.
        places: shards only: (n, 2) int64 number of the tar and offset in it, in bytes.
        tars: shards only: names of the tars.
    """

    folder: Path
    paths: np.ndarray
    labels: np.ndarray
    sizes: np.ndarray
    lengths: np.ndarray
    places: np.ndarray | None = None
    tars: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, keep: np.ndarray) -> "Split":
        """Return the split of the images where the (n,) bool `keep` is true."""
        places = None if self.places is None else self.places[keep]
        # As narrow as the longest path that is left, like the index of a set without the others.
        paths = np.array(self.paths[keep].tolist(), dtype=bytes)
        labels, sizes, lengths = self.labels[keep], self.sizes[keep], self.lengths[keep]
        return Split(self.folder, paths, labels, sizes, lengths, places, self.tars)

    @property
    def columns(self) -> Columns:
        """What the fingerprint covers."""
        return self.paths, self.labels, self.sizes, self.lengths

    def file(self, sample: int) -> str:
        """Return the path of the image's file, or of the tar that holds it."""
        if self.places is None:
            return os.path.join(self.folder, os.fsdecode(bytes(self.paths[sample])))
        return os.path.join(self.folder, self.tars[self.places[sample, 0]])

    def name(self, sample: int) -> str:
        """Return what a user finds the image by."""
        path = "" if self.places is None else f": {os.fsdecode(bytes(self.paths[sample]))}"
        return self.file(sample) + path

    def read(self, sample: int) -> bytes:
        """Return the encoded image.

        Raises:
            DataError: it cannot be read, or the machine has reached a limit.
        """
        try:
            return self.content(sample)
        except (OSError, MemoryError) as error:
            if told := machine_error(error):
                raise told from None
            raise DataError(self.complaint(sample, f"cannot be read ({error.strerror})")) from None

    def content(self, sample: int) -> bytes:
        """Return the encoded image.

        Raises:
            OSError: the file is gone, may not be read, is no file, or is shorter than it was.
        """
        if self.places is None:
            with open_regular(self.file(sample)) as file:
                return file.read()
        length, offset = int(self.lengths[sample]), int(self.places[sample, 1])
        content = os.pread(_opened(self.file(sample)).fileno(), length, offset)
        if len(content) < length:
            raise OSError(errno.EIO, "the tar has been cut off")
        return content

    def complaint(self, sample: int, reason: str) -> str:
        """Return the message about an image that cannot be used."""
        return (
            f"{printable(self.name(sample))}: {reason}; mend it, or run `python -m data.check "
            f"{self.root}` and train with the list of bad files that it writes (data.exclude)"
        )

    def check_unchanged(self, sample: int, size: tuple[int, int], length: int) -> None:
        """Compare an image with the index, by which its crops were planned and the data is known.

        Args:
            sample: its place.
            size: its height and width in pixels.
            length: of its file in bytes.

        Raises:
            DataError: it is another.
        """
        (height, width), known, before = size, self.sizes[sample].tolist(), self.lengths[sample]
        if [height, width] != known:
            changed = f"is {width} x {height} px, was {known[1]} x {known[0]}"
        elif length != before:
            changed = f"is {length:,} bytes long, was {before:,}"
        else:
            return
        raise DataError(
            f"{printable(self.name(sample))}: {changed} when it was indexed; run `python -m "
            f"data.index --again {self.root}`"
        )

    @property
    def root(self) -> Path:
        """The data set's folder, as data.root names it."""
        return self.folder.parent if self.places is None else self.folder


class _Shard(io.FileIO):
    def __del__(self) -> None:
        self.close()  # when no thread reads it any more


# Kept open: on a network file system an open is what costs. Read by position, so that threads and
# forked workers may share it. A process may usually open 1,024 files, and needs some for the rest.
_OPEN = resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@lru_cache(512 if _OPEN == resource.RLIM_INFINITY else min(512, _OPEN // 4))
def _opened(tar: str) -> _Shard:
    return _Shard(tar)
