"""Activation maps of every network's own layers, and runs that have none."""

import pytest
import torch

from commands import activations
from commands.activation_runs import _plan, activation_maps
from configs.load import load
from foundation.errors import run_command
from models import ARCHITECTURES
from models.wide_resnet import wrn16_tiny
from records.run_dir import RunDir
from tests.conftest import ROOT


def begun(path, config, *settings):
    run = RunDir(path)
    run.open_for(load(ROOT / "configs" / config, settings))
    (run.checkpoints / "best.pt").touch()
    return run.path


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_network_has_layers_of_its_own(tmp_path, arch):
    """They exist, which the plan checks."""
    run = begun(tmp_path / "run", "demo.yaml", f"model.arch={arch}")
    assert _plan(str(run), [], []).layers


def test_wide_resnets_stages_put_out_maps(tmp_path):
    run = begun(tmp_path / "run", "demo.yaml", "model.arch=wrn38")
    layers = _plan(str(run), [], []).layers
    assert layers == ("mod2", "mod3", "mod4", "mod5", "mod6", "mod7")
    model, outputs = wrn16_tiny(3), {}
    for name in layers:
        model.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: outputs.update({name: output.clone()})
        )
    maps = activation_maps(model, torch.randn(2, 3, 64, 64), layers)
    assert [tuple(one.shape[1:]) for one in maps.values()] == [
        *[(32, 32), (16, 16), (8, 8), (4, 4), (2, 2), (2, 2)]
    ]
    for name, one in maps.items():
        torch.testing.assert_close(one, outputs[name].sum(1))


def test_a_segmentation_run_is_refused_in_one_line(tmp_path, main_of):
    run = begun(tmp_path / "run", "demo_segmentation.yaml")
    line = (run, "--images", 0, "--out", tmp_path / "maps")
    for layers in ([], ["--layers", "trunk.mod2"]):
        code, _, err = main_of(lambda: run_command(activations.main), *line, *layers)
        assert code == 2
        told = "a run of segmentation; Fig. 5 is of classification's, give one of those"
        assert err == f"error: {run}: {told}\n"
    assert not (tmp_path / "maps").exists()
