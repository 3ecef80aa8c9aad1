"""padding/ as a package of its own: the same files under another name, with torch alone."""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser

import pytest

import padding
from tests.conftest import ROOT

SNIPPETS = [
    pytest.param(block, id=f"{page.relative_to(ROOT)} {number}")
    for page in (ROOT / "README.md", ROOT / "padding" / "README.md", ROOT / "docs" / "padding.md")
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.S))
]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the folder, with what an older build backend left behind in it."""
    folder = tmp_path_factory.mktemp("package") / "padding"
    shutil.copytree(ROOT / "padding", folder, ignore=shutil.ignore_patterns("__pycache__"))
    stale = folder / "build" / "lib" / "partial_padding" / "deleted.py"
    stale.parent.mkdir(parents=True)
    stale.write_text("")
    return folder


@pytest.fixture(scope="module")
def wheel(source):
    before = sorted(source.rglob("*"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", source.parent, source], check=True)
    assert sorted(source.rglob("*")) == before  # nothing for `make test` to trip over
    [file] = source.parent.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel):
    folder = wheel.parent / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
    subprocess.run([*command, wheel], check=True)
    return folder


def test_wheel_and_source_archive(source, wheel):
    folder = ROOT / "padding"
    modules = {str(file.relative_to(folder)) for file in folder.rglob("*.py")}
    assert {"fast/border.py", "masks/model.py"} <= modules
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        top = "partial_padding/"
        packed = {name.removeprefix(top) for name in names if name.startswith(top)}
        [metadata] = [name for name in names if name.endswith("/METADATA")]
        facts = Parser().parsestr(archive.read(metadata).decode())
        [license_file] = [name for name in names if name.endswith("/LICENSE")]
        assert archive.read(license_file) == (ROOT / "LICENSE").read_bytes()
    assert packed == modules | {"py.typed"}
    assert facts["Version"] == padding.__version__
    assert "https://arxiv.org/abs/1811.11718" in facts.get_all("Project-URL")[0]
    assert facts.get_payload().startswith("# partial_padding")

    build = "import hatchling.build as b, sys; b.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, wheel.parent], cwd=source, check=True)
    [file] = wheel.parent.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    rest = {"py.typed", "LICENSE", "README.md", "pyproject.toml", "PKG-INFO"}
    assert names == modules | rest


def run(code, installed):
    return subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code],
        cwd=installed,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippets_run_as_they_stand(snippet, installed):
    assert "partial_padding" in snippet
    done = run(snippet, installed)
    assert done.returncode == 0, done.stderr


def test_it_is_the_installed_package_that_runs(installed):
    code = "import partial_padding as p, sys; print(p.PartialConv2d.__module__, p.__version__)\n"
    code += "print('torchvision' in sys.modules, 'padding' in sys.modules)"
    done = run(code, installed)
    expected = f"partial_padding.partial {padding.__version__}\nFalse False\n"
    assert done.stdout == expected, done.stderr
