"""A digest of a whole checkpoint, kept in the checkpoint.

torch.save writes a zip archive, whose last field is a comment that torch leaves empty. The SHA-256
of everything before it goes there: any torch.load still reads the file, and a flipped bit is
noticed anywhere, also in the archive's own fields, which its checksums do not cover.
"""

import hashlib
import os
import zipfile
from pathlib import Path
from typing import BinaryIO

_MARK = b"sha256:"
_SEAL_BYTES = len(_MARK) + 64
_LENGTH = _SEAL_BYTES.to_bytes(2, "little")  # the field before the comment
_PLAIN_END = (b"PK\x05\x06", b"\0\0")  # how an archive's last 22 bytes begin and end without one


def seal(file: BinaryIO) -> None:
    """Add the digest to a zip archive without a comment, open for reading and writing."""
    file.seek(-len(_LENGTH), os.SEEK_END)
    file.write(_LENGTH)
    digest = _sha256(file, file.tell())
    file.seek(0, os.SEEK_END)
    file.write(_MARK + digest)


def verify(path: Path) -> str:
    """Return the SHA-256 of an archive up to its seal.

    One that was not sealed, as older versions left them, has its checksums compared.

    Raises:
        ValueError: it is not what was written.
        OSError, zipfile.BadZipFile, and what else zipfile raises: likewise.
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _SEAL_BYTES - len(_LENGTH)))
        tail = file.read()
        if tail.startswith(_LENGTH + _MARK):
            digest = _sha256(file, size - _SEAL_BYTES)
            if not tail.endswith(digest):
                raise ValueError("its digest is another")
            return digest.decode()
        if (tail[-22:-18], tail[-2:]) != _PLAIN_END:
            raise ValueError("its end is not a checkpoint's")
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"checksum of {damaged}")
        return _sha256(file, size).decode()


def _sha256(file: BinaryIO, size: int) -> bytes:
    """Return the digest of the first `size` bytes, as hexadecimal digits."""
    digest = hashlib.sha256()
    file.seek(0)
    while size and (block := file.read(min(size, 1 << 20))):
        digest.update(block)
        size -= len(block)
    return digest.hexdigest().encode()
