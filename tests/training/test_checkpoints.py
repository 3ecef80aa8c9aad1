"""A checkpoint is what was written, or one line says that it is not."""

import pytest
import torch

from records.errors import RunError
from training import checkpoint


@pytest.fixture
def saved(tmp_path):
    """A small checkpoint with all that last.pt has: its file and its content."""
    content = {
        "model": {"weight": torch.randn(4, 3, 3, 3), "count": torch.arange(4)},
        "optimizer": {"state": {0: {"momentum": torch.randn(4)}}, "param_groups": [{"lr": 0.1}]},
        "epochs_done": 3,
    }
    checkpoint.save(tmp_path / "last.pt", content)
    return tmp_path / "last.pt", content


def assert_equal(one, other):
    left, right = (torch.utils._pytree.tree_flatten(content) for content in (one, other))
    assert left[1] == right[1]
    for a, b in zip(left[0], right[0], strict=True):
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def assert_refused(file):
    with pytest.raises(RunError) as caught:
        checkpoint.load(file)
    assert str(caught.value).startswith(f"{file}: half a checkpoint or none (")
    assert len(str(caught.value).splitlines()) == 1


def test_every_flipped_bit_is_noticed(saved):
    """A sample of all bits, then each one of the archive's end and of the digest."""
    file, content = saved
    good = file.read_bytes()
    assert_equal(checkpoint.load(file), content)
    bits = 8 * len(good)
    for bit in (*range(0, bits, 29), *range(bits - 8 * 95, bits)):
        flipped = bytearray(good)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        assert_refused(file)


def test_every_cut_and_every_appendix_is_noticed(saved):
    file, _ = saved
    good = file.read_bytes()
    for end in (*range(0, len(good), 11), len(good) - 71, len(good) - 1):
        file.write_bytes(good[:end])
        assert_refused(file)
    for more in (b"\0", good[-71:], good):
        file.write_bytes(good + more)
        assert_refused(file)


@pytest.mark.parametrize("mmap", [False, True])
def test_plain_torch_reads_what_is_sealed(saved, mmap):
    file, content = saved
    assert_equal(torch.load(file, weights_only=True, mmap=mmap), content)


def test_checkpoints_of_older_versions_are_read_by_their_checksums(saved):
    file, content = saved
    torch.save(content, file)
    assert_equal(checkpoint.load(file), content)
    good = file.read_bytes()
    data = content["model"]["weight"].numpy().tobytes()
    flipped = bytearray(good)
    flipped[good.index(data) + 10] ^= 1
    for damaged in (bytes(flipped), good[:-1], good[: len(good) // 2]):
        file.write_bytes(damaged)
        assert_refused(file)


def test_one_digest_for_one_content(saved, tmp_path):
    file, content = saved
    other = tmp_path / "other.pt"
    checkpoint.save(other, content | {"epochs_done": 4})
    assert checkpoint.digest(file) == checkpoint.digest(file) != checkpoint.digest(other)
