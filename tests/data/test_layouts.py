"""Layouts and paths that people have, and files that must not be unpacked."""

import io
import tarfile

import pytest

import data.check
import data.imagenet
import data.index
import data.shard
from configs.same_data import same_data
from data.index import load_index
from foundation.errors import run_command
from foundation.files import write_json
from results.collect import collect
from results.tables.cross import cross_table
from tests.conftest import write_images
from tests.data.test_imagenet import tar_of
from tests.results.test_results import write_evaluation, write_run
from training.provenance import check_data

KAGGLE = """ImageId,PredictionString
ILSVRC2012_val_00000001,n02 85 1 499 272
ILSVRC2012_val_00000003,n01 0 1 2 3 n01 4 5 6 7
ILSVRC2012_val_00000002,n01 131 0 499 254
"""
TINY = "val_{}.JPEG\t{}\t0\t32\t44\t62\n"


@pytest.fixture
def run(main_of):
    return lambda main, *arguments: main_of(lambda: run_command(main), *arguments)


def sorted_files(out):
    return sorted(str(file.relative_to(out)) for file in out.rglob("*.JPEG"))


def jpeg(tmp_path):
    write_images(tmp_path / "raw", [(40, 40)], seed=1)
    return (tmp_path / "raw" / "000.JPEG").read_bytes()


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("flat", [True, False])
def test_kaggles_list(tmp_path, run, ends, flat):
    content = jpeg(tmp_path)
    files = {f"ILSVRC2012_val_0000000{i}.JPEG": content for i in (1, 2, 3)}
    source = tmp_path / "val.tar"
    tar_of(source, files)
    if flat:
        source = tmp_path / "flat"
        source.mkdir()
        for name in files:
            (source / name).write_bytes(content)
    listed = tmp_path / "LOC_val_solution.csv"
    listed.write_bytes(KAGGLE.replace("\n", ends).encode("utf-8-sig"))
    code, _, err = run(
        data.imagenet.main, tmp_path / "out", "--val", source, "--val-classes", listed
    )
    assert (code, err) == (1, "")  # not ImageNet's counts
    assert sorted_files(tmp_path / "out" / "val") == [
        "n01/ILSVRC2012_val_00000002.JPEG",
        "n01/ILSVRC2012_val_00000003.JPEG",
        "n02/ILSVRC2012_val_00000001.JPEG",
    ]


@pytest.mark.parametrize("given", ["val", "val/images"])
def test_tiny_imagenet(tmp_path, run, given):
    tiny = tmp_path / "tiny"
    for label in ("n01", "n02"):
        write_images(tiny / "train" / label / "images", [(64, 64)] * 2, seed=1)
    (tiny / "val" / "images").mkdir(parents=True)
    for number in range(3):
        (tiny / "val" / "images" / f"val_{number}.JPEG").write_bytes(jpeg(tmp_path))
    listed = tiny / "val" / "val_annotations.txt"
    listed.write_text("".join(TINY.format(i, c) for i, c in enumerate(("n02", "n01", "n02"))))
    with pytest.raises(ValueError, match="only in val/ .images.; `python -m data.imagenet"):
        load_index(tiny)
    out = tmp_path / "out"
    code, _, err = run(data.imagenet.main, out, "--val", tiny / given, "--val-classes", listed)
    assert (code, err) == (1, "")
    (out / "train").symlink_to(tiny / "train")
    index = load_index(out)
    assert index.classes == ("n01", "n02")
    assert index.val.labels.tolist() == [0, 1, 1]
    assert len(index.train) == 4


def test_lists_that_cannot_be_right(tmp_path, run):
    write_images(tmp_path / "flat", [(40, 40)] * 2, seed=1)
    for text, message in [
        ("000.JPEG a\n000.JPEG b\n", "names 000.JPEG twice"),
        ("000.JPEG ../../up\n001.JPEG b\n", "'../../up' can be no class"),
        ("000.JPEG /tmp/x\n001.JPEG b\n", "'/tmp/x' can be no class"),
        ("..\nb\n", "'..' can be no class"),
        ("ImageId,PredictionString\n000\n", "give the devkit's archive"),
        ("", "give the devkit's archive"),
    ]:
        (tmp_path / "list.txt").write_text(text)
        arguments = ("--val", tmp_path / "flat", "--val-classes", tmp_path / "list.txt")
        code, _, err = run(data.imagenet.main, tmp_path / "out", *arguments)
        assert code == 2
        assert message in err
        assert err.count("\n") == 1
        assert not (tmp_path / "out").exists()


def evil(path, *members):
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
            elif content is None:
                member.type = tarfile.FIFOTYPE
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("../up.JPEG", b"x", "leads out of its folder"),
        ("a/../../up.JPEG", b"x", "leads out of its folder"),
        ("/abs.JPEG", b"x", "leads out of its folder"),
        ("..", b"x", "leads out of its folder"),
        ("link.JPEG", "/etc/passwd", "is a link or device"),
        ("link.JPEG", "../../up", "is a link or device"),
        ("pipe.JPEG", None, "is a link or device"),
    ],
)
def test_members_that_escape(tmp_path, run, name, content, message):
    """In the tar of tars, in a class's tar, and in the validation tar; before a file is written."""
    good = jpeg(tmp_path)
    out = tmp_path / "deep" / "out"
    inner = evil(tmp_path / "inner.tar", ("fine.JPEG", good), (name, content)).read_bytes()
    nested = evil(tmp_path / "nested.tar", ("n01.tar", inner))
    fine = evil(tmp_path / "fine.tar", ("fine.JPEG", good)).read_bytes()
    as_tar = (name.removesuffix(".JPEG") + ".tar", fine if content == b"x" else content)
    outer = evil(tmp_path / "outer.tar", ("n01.tar", fine), as_tar)
    val = evil(tmp_path / "val.tar", ("fine.JPEG", good), (name, content))
    (tmp_path / "list.txt").write_text("n01\nn01\n")
    before = sorted(tmp_path.rglob("*"))
    for arguments in (
        ("--train", nested),
        ("--train", outer),
        ("--val", val, "--val-classes", tmp_path / "list.txt"),
    ):
        code, _, err = run(data.imagenet.main, out, *arguments)
        assert code == 2, arguments
        if arguments[1] != outer or name != "..":
            assert message in err
        assert err.count("\n") == 1
        assert sorted(file for file in tmp_path.rglob("*") if "deep" not in file.parts) == before
        assert [file for file in out.rglob("*") if file.is_file()] == []


def test_tilde_in_every_path(tmp_path, run, monkeypatch, command):
    monkeypatch.setenv("HOME", str(tmp_path))
    for split in ("train", "val"):
        for label in ("a", "b"):
            write_images(tmp_path / "set" / split / label, [(40, 40)] * 2, seed=1)
    assert len(load_index("~/set").train) == 4
    (tmp_path / "bad.txt").write_text("train/a/000.JPEG\n")
    assert len(load_index("~/set", "~/bad.txt").train) == 3
    for main, arguments, wrote in [
        (data.index.main, ["~/set"], "set/.image_index.npz"),
        (data.check.main, ["~/set", "--out", "~/list.txt", "--workers", 1], ""),
        (data.shard.main, ["~/set", "~/shards", "--exclude", "~/bad.txt"], "shards/shards.json"),
    ]:
        code, out, err = run(main, *arguments)
        assert code == 0, out + err
        assert (tmp_path / wrote).exists()
    code, _, err = run(data.index.main, "~nobody_of_this_name/set")
    assert code == 2
    assert "home folder is unknown; give the whole path" in err


def test_fingerprints_of_twins_and_of_older_versions(tmp_path):
    for split in ("train", "val"):
        write_images(tmp_path / "set" / split / "a", [(40, 40)] * 2, seed=1)
        write_images(tmp_path / "twin" / split / "a", [(40, 40)] * 2, seed=2)
    one, twin = (load_index(tmp_path / name).fingerprint for name in ("set", "twin"))
    names, _, lengths = one.partition(".")
    assert (len(names), len(lengths)) == (16, 16)
    assert twin.partition(".")[0] == names  # names, labels and sizes are the same
    assert not same_data(one, twin)
    assert same_data(one, one)
    for new in (one, twin):  # an older version's record
        assert same_data(names, new)
        assert same_data(new, names)
    assert not same_data("0" * 16, one)
    assert not same_data("synthetic 31 17", "synthetic 31 18")
    scenes, older = f"cv0-{one}.{twin.replace('.', '-')}", f"cv0-{one}"
    validation = f"..{twin.replace('.', '-')}"
    assert same_data(scenes, older)
    assert same_data(scenes, validation)
    assert not same_data(scenes, f"cv0-{twin}.{twin.replace('.', '-')}")
    assert not same_data(scenes, f"..{one.replace('.', '-')}")
    assert not same_data(older, validation)  # nothing to compare
    assert same_data(None, None)
    assert not same_data(None, one)


def test_older_runs_resume_and_stand_beside_newer_ones(tmp_path):
    run = write_run(tmp_path / "runs", "resnet50", "zero", 1, 76, 75)
    write_json(run.environment_file, {"data_fingerprint": "1" * 16, "resumed": []})
    new, twin = (f"{16 * '1'}.{16 * digit}" for digit in "23")
    check_data(run, new)
    check_data(run, twin)
    with pytest.raises(ValueError, match="the data set has changed since the run began"):
        check_data(run, f"{16 * '0'}.{16 * '2'}")
    # Resumed by this version: from now on the lengths count.
    write_json(
        run.environment_file,
        {"data_fingerprint": "1" * 16, "resumed": [{"data_fingerprint": new}]},
    )
    check_data(run, new)
    with pytest.raises(ValueError, match="the data set has changed since the run began"):
        check_data(run, twin)
    for seed, data_set in ((2, "1" * 16), (3, new)):
        other = write_run(tmp_path / "runs", "resnet50", "partial", seed, 76, 75)
        write_json(other.environment_file, {"data_fingerprint": data_set, "resumed": []})
        write_evaluation(other, "zero", 70, data_fingerprint=new)
    assert len(collect(tmp_path / "runs")) == 3
    assert len(cross_table(collect(tmp_path / "runs"), 5).rows) == 1
    write_evaluation(other, "zero", 70, data_fingerprint=twin)
    with pytest.raises(ValueError, match="data_fingerprint is .* the run's is"):
        cross_table(collect(tmp_path / "runs"), 5)
    write_evaluation(other, "zero", 70, data_fingerprint=new)
    last = write_run(tmp_path / "runs", "resnet50", "zero", 4, 76, 75)
    write_json(last.environment_file, {"data_fingerprint": twin, "resumed": []})
    with pytest.raises(ValueError, match=r"different recipes \(data set: "):
        collect(tmp_path / "runs")
