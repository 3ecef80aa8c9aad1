"""Thousands of damaged caches: the data are what they were, and nobody sees a traceback."""

import io
import random
import zipfile

import numpy as np
import pytest

import data.store.folders
from data.index import load_index, read_index
from data.store.cache import CACHE_NAME, cached
from tests.conftest import write_images


def mutated(whole, chance):
    """Return the bytes with one to four places overwritten, cut out, inserted or moved."""
    damaged = bytearray(whole)
    for _ in range(chance.choice((1, 1, 2, 4))):
        place, length = chance.randrange(len(damaged)), chance.choice((1, 2, 8, 100))
        match chance.randrange(5):
            case 0:
                damaged[place] ^= 1 << chance.randrange(8)
            case 1:
                damaged[place : place + length] = chance.randbytes(length)
            case 2:
                del damaged[place : place + length]
            case 3:
                damaged[place:place] = chance.randbytes(length)
            case 4:
                other = chance.randrange(len(damaged))
                damaged[place : place + length] = damaged[other : other + length]
    return bytes(damaged) or b"\0"


def equal(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_damaged_caches(folder):
    read_index(folder)
    arrays = data.store.folders.scan(folder)
    whole, chance, remade = (folder / CACHE_NAME).read_bytes(), random.Random(1), 0

    def make():
        nonlocal remade
        remade += 1
        return arrays

    for _ in range(2500):
        damaged = mutated(whole, chance)
        (folder / CACHE_NAME).write_bytes(damaged)
        assert equal(cached(folder, lambda known: equal(known, arrays), make), arrays)
    assert remade > 2000
    (folder / CACHE_NAME).write_bytes(whole)
    cached(folder, lambda known: True, lambda: pytest.fail("made again"))


def test_caches_that_are_whole_zip_files_with_other_data(folder):
    """A zip file's own checksums are right in these."""
    index = load_index(folder)
    whole = (folder / CACHE_NAME).read_bytes()
    with np.load(io.BytesIO(whole)) as opened:
        arrays = dict(opened)
    chance = random.Random(2)
    for name in arrays:
        for _ in range(4):
            changed = dict(arrays)
            match chance.randrange(4):
                case 0:
                    del changed[name]
                case 1:
                    changed[name] = arrays[chance.choice(list(arrays))]
                case 2:
                    changed[name] = arrays[name][..., :0] if arrays[name].ndim else np.array(7)
                case 3:
                    bits = bytearray(np.ascontiguousarray(arrays[name]).tobytes() or b"\0")
                    bits[chance.randrange(len(bits))] ^= 1
                    changed[name] = np.frombuffer(bytes(bits), np.uint8)
            with (folder / CACHE_NAME).open("wb") as file:
                np.savez(file, **changed)
            again = load_index(folder)
            assert again.fingerprint == index.fingerprint
            assert again.train.labels.tolist() == index.train.labels.tolist()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"half a file",
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        b"PK\x05\x06" + bytes(18),  # an empty zip file
    ],
)
def test_no_caches_at_all(folder, content):
    index = load_index(folder)
    (folder / CACHE_NAME).write_bytes(content)
    assert load_index(folder).fingerprint == index.fingerprint


def test_a_cache_of_packed_members_that_promise_too_much(folder):
    """A shape of 10**15 numbers, and members packed in other ways."""
    index = load_index(folder)
    whole = (folder / CACHE_NAME).read_bytes()
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(io.BytesIO(whole)) as opened:
            members = {name: opened.read(name) for name in opened.namelist()}
        labels = members["train_labels.npy"]
        shape = labels[labels.index(b"(") : labels.index(b")") + 1]
        huge = b"(10**15,)"[: len(shape)].ljust(len(shape))
        members["train_labels.npy"] = labels.replace(shape, huge.replace(b"10**15", b"999999"))
        with zipfile.ZipFile(folder / CACHE_NAME, "w", method) as written:
            for name, content in members.items():
                written.writestr(name, content)
        assert load_index(folder).fingerprint == index.fingerprint


def test_many_damaged_caches_through_the_index(tmp_path):
    for split in ("train", "val"):
        write_images(tmp_path / split / "a", [(8, 8)], seed=1)
    index, chance = load_index(tmp_path), random.Random(3)
    whole = (tmp_path / CACHE_NAME).read_bytes()
    for _ in range(100):
        (tmp_path / CACHE_NAME).write_bytes(mutated(whole, chance))
        again = load_index(tmp_path)
        assert again.fingerprint == index.fingerprint
        assert [again.val.name(0), again.val.read(0)] == [index.val.name(0), index.val.read(0)]
