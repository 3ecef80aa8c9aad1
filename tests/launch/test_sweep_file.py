"""What a sweep file may say, and how its mistakes are told."""

import pytest

from configs.yaml_source import ConfigError
from launch.expand import expand
from tests.conftest import ROOT


@pytest.fixture
def sweep(tmp_path):
    """Write a sweep of VGG16-BN and ResNet-50 in all paddings with these further lines."""

    def write(lines):
        file = tmp_path / "sweep.yaml"
        file.write_text(
            f"configs: [{ROOT}/configs/vgg16_bn.yaml, {ROOT}/configs/resnet50.yaml]\n"
            "grid:\n  model.padding: [zero, partial, reflect, replicate]\n  seed: [1, 2]\n"
            f"nproc_per_node: 8\n{lines}"
        )
        return file

    return write


def test_what_is_excluded_and_what_is_otherwise(sweep):
    file = sweep(
        "exclude:\n"
        "  - {model.arch: vgg16_bn, model.padding: [reflect, replicate]}\n"
        "  - {model.arch: resnet50, seed: 2}\n"
        "overrides:\n"
        "  - when: {model.arch: [vgg16_bn, vgg19_bn]}\n"
        "    set: {data.global_batch_size: 192, recipe.global_batch_size: 192}\n"
        "  - when: {model.padding: partial}\n"
        "    set: {train.precision: tf32}\n"
    )
    runs = [run.config for run in expand(file)[0]]
    assert [(one.model.arch, one.model.padding, one.seed) for one in runs] == [
        *(("vgg16_bn", padding, seed) for padding in ("zero", "partial") for seed in (1, 2)),
        *(("resnet50", padding, 1) for padding in ("zero", "partial", "reflect", "replicate")),
    ]
    for run in runs:
        assert run.data.global_batch_size == (192 if run.model.arch == "vgg16_bn" else 256)
        assert run.train.precision == ("tf32" if run.model.padding == "partial" else "fp32")
    runs = expand(file, ["data.global_batch_size=64"])[0]  # the command line has the last word
    assert {run.config.data.global_batch_size for run in runs} == {64}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("excludes: []", ":6:1: excludes: unknown key; did you mean 'exclude'?"),
        ("exclude: [{sed: 1}]", ":6:1: exclude: sed: unknown key; did you mean 'seed'?"),
        ("exclude: [seed]", ":6:1: exclude: expected a list of {key: value}"),
        ("exclude: 3", ":6:1: exclude: expected a list of {key: value}"),
        ("exclude: [{}]", ":6:1: exclude: expected a list of {key: value}"),
        ("exclude: [{seed: [1, 2]}]", "exclude leaves no run"),
        ("exclude: [{seed: 1, seed: 2}]", ":6:21: not valid YAML: seed: given twice"),
        ("exclude: [{seed: 1", "not valid YAML"),
        (
            "overrides: [{seed: 1}]",
            ":6:1: overrides: expected a list of {when: {key: value}, set: {key: value}}",
        ),
        ("overrides: [{when: {seed: 1}, set: {}}]", "overrides: expected a list of"),
        (
            "overrides: [{when: {seed: 1}, set: {optim.lrr: 1}}]",
            "overrides: optim.lrr: unknown key; did you mean 'optim.lr'?",
        ),
        (
            "overrides: [{when: {seed: 1}, set: {optim.lr: fast}}]",
            "'optim.lr=fast': optim.lr: should be a valid number, but is 'fast'",
        ),
        (
            "overrides: [{when: {seed: 2}, set: {seed: 1}}]",
            "several runs would share the directory runs/vgg16_bn_zero_seed1",
        ),
        ("nproc_per_node: 2", "nproc_per_node: given twice"),
        ("grid:\n  x: [1]", "grid: given twice"),
    ],
)
def test_mistakes(sweep, lines, message):
    with pytest.raises(ConfigError) as error:
        expand(sweep(lines))
    assert message in str(error.value)


@pytest.mark.parametrize("cut", range(0, 300, 7))
def test_a_file_cut_off_anywhere(sweep, cut):
    """A half-written file is one whose mistakes are told, or a whole smaller sweep."""
    file = sweep("exclude: [{seed: 2}]\n")
    file.write_text(file.read_text()[:cut])
    told = f"{file}"
    try:
        assert expand(file)[0]
    except ConfigError as error:
        told = str(error)
    assert str(file) in told
