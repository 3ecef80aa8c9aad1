"""data.shard as a user runs it, and what it writes."""

import io
import json
import resource
import tarfile

import numpy as np
import pytest
import torch
import webdataset
from nvidia.dali import fn
from nvidia.dali.pipeline import Pipeline

import data.shard
from data.index import load_index
from foundation.errors import run_command
from tests.conftest import write_images
from tests.data.test_data import every_batch, joined


def test_shards_hold_the_same_data_set(images, tmp_path, main_of):
    out = tmp_path / "shards"
    for _ in range(2):  # the second time nothing is left to do
        code, text, _ = main_of(data.shard.main, images, out, "--images-per-shard", 7)
        assert code == 0
        assert "31 training and 17 validation images" in text
    assert len(list(out.glob("train-*.tar"))) == 5
    assert len(list(out.glob("val-*.tar"))) == 3
    folder, shards = load_index(images), load_index(out)
    assert shards.fingerprint == folder.fingerprint
    assert shards.classes == folder.classes
    for split in ("train", "val"):
        for sample in range(len(getattr(folder, split))):
            assert getattr(shards, split).read(sample) == getattr(folder, split).read(sample)
    for backend in ("torchvision", "dali"):
        for split in ("train", "val"):
            one, other = (
                joined(every_batch(root, backend, 1, 1, split)[0]) for root in (images, out)
            )
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_shards_are_webdatasets(images, tmp_path):
    """Read by the library of that name, and by DALI's reader."""
    index = load_index(images)
    data.shard.write_shards(index, tmp_path / "out", 8)
    tars = sorted(map(str, (tmp_path / "out").glob("train-*.tar")))
    samples = list(webdataset.WebDataset(tars, shardshuffle=False, empty_check=False))
    assert [int(sample["cls"]) for sample in samples] == index.train.labels.tolist()
    assert [sample["jpeg"] for sample in samples] == [index.train.read(i) for i in range(31)]
    assert json.loads(samples[3]["json"])["path"] == bytes(index.train.paths[3]).decode()
    pipeline = Pipeline(4, 1, None)
    with pipeline:
        pipeline.set_outputs(*fn.readers.webdataset(paths=tars, ext=["jpeg", "cls"]))
    pipeline.build()
    files, labels = pipeline.run()
    assert bytes(np.array(files.at(2))) == index.train.read(2)
    assert int(bytes(np.array(labels.at(2)))) == index.train.labels[2]


def test_more_shards_than_a_process_may_open(tmp_path):
    for split in ("train", "val"):
        write_images(tmp_path / "set" / split / "a", [(8, 8)] * 600, seed=1)
    index = load_index(tmp_path / "set")
    data.shard.write_shards(index, tmp_path / "out", 1)
    shards = load_index(tmp_path / "out")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, limits[1]))
    try:
        for name, split in shards.splits.items():
            assert [split.read(i) for i in range(600)] == [
                index.splits[name].read(i) for i in range(600)
            ]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_classes_that_an_exclude_list_empties_stay(images, tmp_path):
    every = load_index(images)
    lines = [
        f"train/{bytes(every.train.paths[i]).decode()}"
        for i, label in enumerate(every.train.labels)
        if label == 1
    ]
    (tmp_path / "bad.txt").write_text("\n".join(lines))
    index = load_index(images, tmp_path / "bad.txt")
    data.shard.write_shards(index, tmp_path / "out", 10)
    assert load_index(tmp_path / "out").classes == every.classes


def test_a_zeroed_header_is_no_end(images, tmp_path):
    data.shard.write_shards(load_index(images), tmp_path / "out", 40)
    tar = tmp_path / "out" / "train-000000.tar"
    with tarfile.open(tar) as opened:
        header = opened.getmembers()[30].offset
    content = bytearray(tar.read_bytes())
    content[header : header + 1024] = bytes(1024)  # tarfile and DALI take this for the end
    tar.write_bytes(content)
    with pytest.raises(ValueError, match="train-000000.tar: is damaged, 10 of 31 images"):
        load_index(tmp_path / "out")


def test_damaged_and_foreign_shards(images, tmp_path, main_of):
    out = tmp_path / "out"
    index = load_index(images)
    data.shard.write_shards(index, out, 40)
    code, _, err = main_of(
        lambda: run_command(data.shard.main), images, out, "--images-per-shard", 9
    )
    assert code == 2
    assert "holds something else; choose another folder, or delete it" in err
    known = load_index(out)
    tar = out / "val-000000.tar"
    whole = tar.read_bytes()
    tar.write_bytes(whole[:2000])  # after it was indexed
    with pytest.raises(ValueError, match=r"val-000000.tar: class 2 é/.*the tar has been cut off"):
        known.val.read(16)
    with pytest.raises(ValueError, match=r"val-000000.tar: (cannot be read|was not written)"):
        load_index(out)
    with tarfile.open(tar, "w") as foreign:
        foreign.addfile(tarfile.TarInfo("a.jpg"), io.BytesIO())
    with pytest.raises(ValueError, match=r"was not written by `python -m data.shard`"):
        load_index(out)
    (out / "train-000000.tar").rename(out / "gone")
    with pytest.raises(ValueError, match=r"holds no train-\*.tar"):
        load_index(out)
    (out / "gone").rename(out / "train-000000.tar")
    (out / "train-000001.tar").write_bytes(b"")
    with pytest.raises(ValueError, match="holds 2 of 1 train shards; copy the rest"):
        load_index(out)
    (out / "train-000001.tar").unlink()
    manifest = (out / "shards.json").read_text()
    for damaged in ("{", "{}", "[]"):
        (out / "shards.json").write_text(damaged)
        with pytest.raises(ValueError, match=r"shards.json: cannot be read .*; copy it from"):
            load_index(out)
    (out / "shards.json").write_text(manifest)
    tar.unlink()
    with pytest.raises(ValueError, match=r"holds no val-\*.tar"):
        load_index(out)
