"""Who may import whom, and what needs no torch."""

import ast
import re
import subprocess
import sys

import pytest

from configs.load import known_keys
from tests.conftest import ROOT

STANDARD = set(sys.stdlib_module_names)
LIBRARIES = {
    "foundation": set(),
    "padding": {"torch", "triton"},
    "configs": {"yaml", "pydantic"},
    "records": set(),
    "models": {"torch", "torchvision"},
    "data": {"torch", "torchvision", "numpy", "PIL", "tqdm"}
    | {"nvidia", "webdataset", "sklearn", "scipy"},
    "data.plan": {"numpy"},
    "data.store": {"numpy", "PIL", "tqdm", "scipy"},
    "tasks": {"torch"},
    "training": {"torch", "torchvision", "numpy", "PIL", "tqdm"},
    "results": {"numpy", "scipy", "statsmodels", "matplotlib", "jinja2", "markupsafe", "PIL"},
    "launch": {"rich"},
}
_COMMAND = {"foundation", "configs", "records", "models", "padding", "data", "tasks", "training"}
FOLDERS = {
    "foundation": set(),
    "padding": set(),
    "configs": {"foundation"},
    "records": {"foundation", "configs"},
    "models": {"padding"},
    "data": {"foundation", "configs"},
    "data.plan": set(),
    "data.store": {"foundation", "configs"},
    "tasks": {"data.interface", "records.iou"},
    "training": {"foundation", "configs", "records", "data.interface", "tasks.interface"},
    # The data's index and bytes, for the images of Fig. 4.
    "results": {"foundation", "configs", "records", "data.index", "data.store"},
    "launch": {"foundation", "configs", "records"},
    "commands": _COMMAND,
    "train.py": {"foundation", "configs", "commands"},
    "evaluate.py": {"foundation", "configs", "commands"},
}


def imports(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:  # padding/ is installed under another name as well
                package = file.relative_to(ROOT).parts[: -node.level]
                assert package[:1] == ("padding",), f"{file}: relative import"
                yield ".".join((*package, node.module))
                continue
            yield node.module
            # `from training import checkpoint` imports a module of the package.
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name for name in names if (ROOT / f"{name.replace('.', '/')}.py").exists())


def modules(folder):
    place = ROOT / (folder if folder.endswith(".py") else folder.replace(".", "/"))
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]


@pytest.mark.parametrize("folder", FOLDERS)
def test_floor(folder):
    allowed = FOLDERS[folder] | {folder} | LIBRARIES.get(folder, {"torch", "numpy"}) | STANDARD
    for file in modules(folder):
        for name in imports(file):
            within = (name == one or name.startswith(f"{one}.") for one in allowed)
            assert any(within), f"{file} imports {name}"


def test_no_import_cycles():
    graph = {}
    for folder in FOLDERS:
        for file in modules(folder):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            graph[name] = set(imports(file))
    done, open_ = set(), []

    def visit(name):
        assert name not in open_, f"import cycle: {' -> '.join([*open_, name])}"
        if name in graph and name not in done:
            open_.append(name)
            for other in graph[name]:
                visit(other)
            done.add(open_.pop())

    for name in graph:
        visit(name)


def test_names_say_something():
    for folder in (*FOLDERS, "tests"):
        for file in modules(folder):
            assert file.stem not in ("utils", "util", "misc", "helpers", "helper", "common")


def test_one_name_for_one_meaning():
    """The doors of rooms are called alike; benchmarks are called as what they time."""
    doors = {"__init__", "__main__", "interface", "build", "errors"}
    doors |= {"evaluate"}  # one run's, and launch.evaluate: a sweep's
    rooms = [folder for folder in FOLDERS if "." not in folder]
    files = [file for folder in rooms for file in modules(folder) if file.stem not in doors]
    names = [file.stem for file in files]
    assert not {name for name in names if names.count(name) > 1}


def test_every_setting_has_a_reader():
    text = "".join(
        file.read_text() for folder in FOLDERS if folder != "configs" for file in modules(folder)
    )
    for key in known_keys():
        leaf = key.rpartition(".")[2]
        assert re.search(rf"\.{leaf}\b", text), f"nothing reads {key}"


@pytest.mark.parametrize(
    "module",
    ["results.__main__", "launch.sweep", "launch.evaluate", "launch.element", "data.index"],
)
def test_what_runs_on_a_login_node_needs_no_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_padding_stands_alone(tmp_path):
    (tmp_path / "padding").symlink_to(ROOT / "padding")
    code = "import sys, padding; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == 0
