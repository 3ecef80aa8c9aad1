"""Configuration files: every YAML in the tree, strictness, and messages that name the place."""

import subprocess

import pytest

from configs.load import dump, load
from launch.expand import expand
from tests.conftest import ROOT

CONFIGS = ROOT / "configs"
# What a recipe leaves to its networks' files.
LEFT_OPEN = {
    "imagenet.yaml": ["model.arch=vgg16_bn"],
    "cityscapes.yaml": ["model.arch=deeplabv3plus_resnet50", "model.backbone_weights=null"]
    + ["data.crop_size=896", "optim.lr=3e-2"],
}


def problems(path, *overrides):
    with pytest.raises(ValueError, match=".") as caught:
        load(path, overrides)
    return str(caught.value).splitlines()


def write(folder, text, name="run.yaml"):
    file = folder / name
    file.write_text(f"base: {CONFIGS / 'resnet50.yaml'}\n{text}")
    return file


@pytest.mark.parametrize("file", sorted(CONFIGS.rglob("*.yaml")), ids=lambda file: file.name)
def test_every_yaml_in_the_tree_loads(file, tmp_path):
    if file.parent.name == "sweeps":
        runs, processes = expand(file)
        assert runs
        assert processes >= 1
        return
    config = load(file, LEFT_OPEN.get(file.name, []))
    copy = tmp_path / "copy.yaml"
    copy.write_text(dump(config))
    assert load(copy) == config


def test_recipe_of_the_paper():
    """Section 4.1: the same settings for all five networks."""
    for arch in ("vgg16_bn", "vgg19_bn", "resnet50", "resnet101", "resnet152"):
        config = load(CONFIGS / f"{arch}.yaml")
        assert (config.model.arch, config.model.padding) == (arch, "zero")
        assert (config.optim.lr, config.optim.gamma) == (0.1, 0.1)
        assert config.optim.milestones == (30, 60, 90)
        assert (config.optim.momentum, config.optim.weight_decay) == (0.9, 1e-4)
        assert (config.train.epochs, config.data.global_batch_size) == (100, 256)
        assert config.run.name == f"{arch}_zero_seed1"


def test_the_papers_sweep_is_100_distinct_runs():
    runs, processes = expand(CONFIGS / "sweeps" / "tables_2_3.yaml")
    assert processes == 8
    assert len({run.directory.path for run in runs}) == len(runs) == 100
    studied = {(r.config.model.arch, r.config.model.padding, r.config.seed) for r in runs}
    assert len(studied) == 100


def test_recipe_of_section_4_2():
    for arch, crop, lr in (("resnet50", 896, 3e-2), ("wrn38", 736, 1e-2)):
        config = load(CONFIGS / f"deeplabv3plus_{arch}.yaml")
        assert (config.task, config.model.padding, config.model.num_classes) == (
            *("segmentation", "zero"),
            19,
        )
        assert (config.data.crop_size, config.data.global_batch_size) == (crop, 16)
        assert (config.optim.lr, config.optim.power) == (lr, 1.0)
        assert (config.optim.momentum, config.optim.weight_decay) == (0.9, 1e-4)
        assert (config.train.iterations, config.train.sync_bn) == (31_000, True)
        assert config.model.backbone_weights
        assert config.run.name == f"deeplabv3plus_{arch}_cv0_zero_seed1"
        assert load(CONFIGS / "wrn38.yaml").optim.lr == 0.1


def test_table_5_is_24_distinct_runs():
    runs, processes = expand(CONFIGS / "sweeps" / "table_5.yaml")
    assert processes == 8
    names = {run.config.run.name for run in runs}
    assert len(names) == len(runs) == 24
    assert "deeplabv3plus_wrn38_cv2_partial_seed3" in names


def test_each_task_has_its_own_keys(tmp_path):
    segmentation = CONFIGS / "deeplabv3plus_resnet50.yaml"
    assert problems(CONFIGS / "resnet50.yaml", "train.iterations=5") == [
        "'train.iterations=5': train.iterations: is not a key of task classification"
    ]
    assert problems(segmentation, "optim.milestones=[3]", "data.spilt=cv1") == [
        "'optim.milestones=[3]': optim.milestones: is not a key of task segmentation",
        "'data.spilt=cv1': data.spilt: unknown key; did you mean 'data.split'?",
    ]
    for other in ("task=detection", "task=3"):
        [problem] = problems(CONFIGS / "resnet50.yaml", other)
        assert f"'{other}': task: should be one of classification, segmentation" in problem
    (tmp_path / "a.yaml").write_text(f"base: {segmentation}\nmodel:\n  aspp_rates: [0, 12]\n")
    [problem] = problems(tmp_path / "a.yaml")
    assert "model.aspp_rates" in problem


def test_overrides_follow_yaml_1_2():
    overrides = ["optim.lr=1e-1", "train.compile=off", "optim.milestones=[3, 5]", "seed=010"]
    config = load(CONFIGS / "resnet50.yaml", overrides)
    assert config.seed == 10
    assert config.optim.lr == 0.1
    assert config.train.compile == "off"
    assert config.optim.milestones == (3, 5)


def test_all_mistakes_of_a_file_are_shown_at_once_with_their_places(tmp_path):
    file = write(
        tmp_path,
        "optim:\n"
        "  momentumm: 0.9\n"
        "  lr: fast\n"
        "train:\n"
        "  epochs: true\n"
        "model:\n"
        "  padding: partail\n"
        "sed: 3\n",
    )
    found = problems(file, "data.wrokers=3")
    assert f"{file}:3:3: optim.momentumm: unknown key; did you mean 'optim.momentum'?" in found
    assert f"{file}:4:3: optim.lr: should be a valid number, but is 'fast'" in found
    assert f"{file}:6:3: train.epochs: should be a valid integer, but is True" in found
    assert (
        f"{file}:8:3: model.padding: should be 'zero', 'partial', 'reflect' or 'replicate', "
        f"but is 'partail'; did you mean 'partial'?" in found
    )
    assert f"{file}:9:1: sed: unknown key; did you mean 'seed'?" in found
    assert "'data.wrokers=3': data.wrokers: unknown key; did you mean 'data.workers'?" in found
    assert len(found) == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nseed: 2\n", "run.yaml:3:1: seed: given twice"),
        ("optim:\n  lr: 1\n  lr: 2\n", "run.yaml:4:3: optim.lr: given twice"),
        ("seed: [1\n", "not valid YAML"),
        ("model:\n  weights:\n", "run.yaml:3:3: model.weights: is empty; write a value, or null"),
        ("optim: 3\n", "optim: is a section; write its keys below it"),
        ("optim:\n  lr: {a: 1}\n", "optim.lr.a: unknown key; did you mean 'optim.lr'?"),
        ("data:\n  image_size: 300\n", "data.eval_resize: 256 is below data.image_size (300)"),
        ("data:\n  crop_area: [1.0, 0.5]\n", "data.crop_area: must not decrease"),
        ("optim:\n  milestones: [60, 30]\n", "optim.milestones: must not decrease"),
        (
            "train:\n  checkpoint_steps: -1\n",
            "train.checkpoint_steps: should be greater than or equal to 0",
        ),
        ("run:\n  name: a/b\n", "run.name: string should match pattern"),
        ("optim:\n  lr: .inf\n", "optim.lr: should be a valid number, but is '.inf'"),
        ("seed: !!int x\n", "seed: invalid literal for int()"),
        ("seed: !!python/object:os.system x\n", "could not determine a constructor"),
    ],
)
def test_mistakes(tmp_path, text, message):
    assert message.lower() in "\n".join(problems(write(tmp_path, text))).lower()


@pytest.mark.parametrize("key", ["model.weights", "run.name", "data.exclude", "data.root"])
@pytest.mark.parametrize("nothing", ["", " "])
def test_nothing_is_not_null(key, nothing):
    """As where the shell's variable is not set."""
    assert problems(CONFIGS / "resnet50.yaml", f"{key}={nothing}") == [
        f"'{key}={nothing}': {key}: is empty; write a value, or null for none"
    ]
    if key != "data.root":
        load(CONFIGS / "resnet50.yaml", [f"{key}=null"])


def test_missing_keys_and_files(tmp_path):
    (tmp_path / "a.yaml").write_text("seed: 3\n")
    found = problems(tmp_path / "a.yaml")
    assert (
        f"{tmp_path}/a.yaml: model.arch: missing; set it in the file, in its base or with "
        in (found[0])
    )
    assert len(found) > 20
    assert "cannot read it: No such file" in problems(tmp_path / "none.yaml")[0]
    (tmp_path / "b.yaml").write_text("base: none.yaml\n")
    assert problems(tmp_path / "b.yaml") == [
        f"{tmp_path}/b.yaml:1:1: base: there is no file {tmp_path}/none.yaml"
    ]
    (tmp_path / "c.yaml").write_text("base: d.yaml\n")
    (tmp_path / "d.yaml").write_text("base: c.yaml\n")
    assert "in a circle" in problems(tmp_path / "c.yaml")[0]
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    assert problems(loop) == [f"{loop}: cannot read it: Too many levels of symbolic links"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nproc_per_node: 2\n", "configs: missing"),
        ("configs: [r.yaml]\n", "nproc_per_node: missing"),
        ("configs: r.yaml\nnproc_per_node: 2\n", "configs: expected a list"),
        ("configs: [3]\nnproc_per_node: 2\n", "configs: expected paths of YAML files"),
        ("configs: [r.yaml]\nnproc_per_node: 2\ngrid: [1]\n", "grid: expected `key: [values]`"),
        ("configs: [r.yaml]\nnproc_per_node: two\n", "expected a positive integer"),
        ("configs: [r.yaml]\nnproc: 2\n", "nproc: unknown key; did you mean 'nproc_per_node'?"),
        (
            "configs: [r.yaml]\nnproc_per_node: 1\ngrid: {model.pading: [zero]}\n",
            "grid: model.pading: unknown key; did you mean 'model.padding'?",
        ),
        (
            "configs: [r.yaml]\nnproc_per_node: 1\ngrid: {optim.lr: [0.1, 1e-1]}\n",
            "several runs would share the directory runs/resnet50_zero_seed1_lr=0.1",
        ),
        (
            "configs: [r.yaml]\nnproc_per_node: 1\ngrid: {model.padding: [zero, none]}\n",
            "model.padding: should be 'zero'",
        ),
    ],
)
def test_mistakes_in_sweeps(tmp_path, text, message):
    write(tmp_path, "", name="r.yaml")
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(text)
    with pytest.raises(ValueError, match=".") as caught:
        expand(sweep)
    assert message in str(caught.value)


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.name)
def test_git_ignores_what_the_recipes_write(file):
    """Runs, what their launches keep, and the data that the project's own commands make."""
    if not (ROOT / ".git").exists():
        pytest.skip("not in a git repository")
    config = load(file, LEFT_OPEN.get(file.name, []))
    places = [f"{config.run.root}/x/config.yaml", f"{config.run.root}.launch/x.log"]
    if config.data.root.startswith(("data/", "demo")):
        places.append(f"{config.data.root}/train/x.png")
    for place in places:
        done = subprocess.run(["git", "check-ignore", "-q", place], cwd=ROOT)
        assert done.returncode == 0, place
