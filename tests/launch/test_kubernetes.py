"""The manifest of docs/kubernetes.md starts what this version understands."""

import yaml

from configs.load import load
from tests.conftest import ROOT


def test_the_manifests_command_is_a_run():
    manifest = yaml.safe_load((ROOT / "docs/kubernetes.yaml").read_text())
    name, spec = manifest["metadata"]["name"], manifest["spec"]
    [job] = spec["replicatedJobs"]
    pods = job["template"]["spec"]
    [container] = pods["template"]["spec"]["containers"]
    words = container["command"]
    script = words.index("train.py")
    options = dict(word.removeprefix("--").split("=", 1) for word in words[1:script])
    config = load(ROOT / words[script + 1], words[script + 2 :])
    assert pods["parallelism"] == pods["completions"] == int(options["nnodes"])
    processes = int(options["nnodes"]) * int(options["nproc-per-node"])
    assert container["resources"]["limits"]["nvidia.com/gpu"] == int(options["nproc-per-node"])
    assert config.data.global_batch_size == processes * config.recipe.bn_batch_size
    assert options["rdzv-endpoint"].startswith(f"{name}-{job['name']}-0-0.{name}:")
    volumes = {volume["name"] for volume in pods["template"]["spec"]["volumes"]}
    assert volumes == {mount["name"] for mount in container["volumeMounts"]}
