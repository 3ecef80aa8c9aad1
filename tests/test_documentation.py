"""README and docs/: links lead somewhere, and every command is one that works as it is written."""

import argparse
import importlib
import re
import shlex
import sys
import textwrap

import pytest

import evaluate
import launch.evaluate
import launch.sweep
import results.__main__
from configs.load import load
from launch.expand import expand
from tests.conftest import ROOT
from tests.results.scene_runs import write_scene_run
from tests.results.test_results import write_evaluation, write_run

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:python|torchrun|make|pip|kubectl) .*")


def commands():
    """Yield page and words of every command line of the indented blocks, without comments."""
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        for line in re.findall(r"^    (\S.*)$", text, re.M):
            if _COMMAND.fullmatch(line.strip()):
                words = shlex.split(line, comments=True)
                end = next((i for i, word in enumerate(words) if word in (">", "|")), None)
                yield page.name, words[:end]


ALL = list(commands())
TRIED = set()  # the kinds that a test below asks for


def of(kind):
    """Return the distinct commands of which a word is `kind`, each what follows that word."""
    TRIED.add(kind)
    found = {tuple(words[words.index(kind) + 1 :]): page for page, words in ALL if kind in words}
    assert found, kind
    return [pytest.param(list(words), id=f"{page} {' '.join(words)}"[:90])
            for words, page in found.items()]  # fmt: skip


def test_every_command_is_tried_below():
    """By a test of its kind, or, of a module, by its parser; pip and kubectl are not ours."""
    for _, words in ALL:
        known = TRIED & set(words) or "-m" in words
        assert known or words[0] in ("pip", "kubectl") or words[1] == "-c", words
    assert len(ALL) > 40


@pytest.mark.parametrize("words", of("train.py"))
def test_what_train_is_given_is_a_configuration(words):
    load(ROOT / words[0], words[1:])


@pytest.mark.parametrize("words", of("launch.sweep"))
def test_sweeps_are_planned(words, tmp_path, main_of, monkeypatch):
    monkeypatch.chdir(ROOT)
    shown = [word for word in words if word not in ("--watch", "--dry-run")]
    plan = [] if "--status" in shown else ["--dry-run"]
    code, out, _ = main_of(launch.sweep.main, *shown, *plan, f"run.root={tmp_path}")
    assert code == 0
    runs = 24 if "table_5" in words[0] else 100
    assert len(out.splitlines()) >= (1 if "slurm" in words else runs)


@pytest.mark.parametrize("words", of("launch.evaluate"))
def test_sweeps_of_evaluations_are_planned(words, tmp_path, main_of, monkeypatch):
    monkeypatch.chdir(ROOT)
    code, _, told = main_of(launch.evaluate.main, *words, "--dry-run", f"run.root={tmp_path}")
    assert code == 0
    runs = 24 if "table_5" in words[0] else 100
    assert f"{runs} of {runs} runs are not finished" in told


@pytest.mark.parametrize("words", of("evaluate.py"))
def test_evaluations_are_asked_for(words, main_of, monkeypatch):
    """The whole command but its work."""
    asked = []
    monkeypatch.setattr("commands.evaluate_runs.evaluate_runs", lambda *job: asked.append(job))
    assert main_of(evaluate.main, *words) == (0, "", "")
    assert len(asked) == 1


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A small study under the names that the pages use."""
    place = tmp_path_factory.mktemp("study")
    for name in ("runs", "runs_a", "runs_b"):
        for seed in (1, 2):
            for padding in ("zero", "partial"):
                run = write_run(place / name, "resnet50", padding, seed, 76 + seed / 10, 75)
                write_evaluation(run, padding, 76 + seed / 10)
    for padding in ("zero", "partial"):
        write_scene_run(place / "runs_cityscapes", padding, 1, 78)
    return place


@pytest.mark.parametrize("words", of("results"))
def test_results_come_out(words, study, main_of, monkeypatch):
    monkeypatch.chdir(study)
    assert main_of(results.__main__.main, *words)[0] == 0


@pytest.mark.parametrize("words", of("make"))
def test_make_has_the_target(words):
    assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(), re.M)


def modules():
    """Yield module and words of what no test above tries, and of commands within sentences."""
    found = [(page, words) for page, words in ALL if "-m" in words and not TRIED & set(words)]
    for page in PAGES:
        inline = re.findall(r"`(python [^`]+)`", page.read_text())
        found += [(page.name, shlex.split(command)) for command in inline]
    for words, page in {tuple(words): page for page, words in found}.items():
        start = words.index("-m") + 1 if "-m" in words else 1
        module = words[start].removesuffix(".py")
        yield pytest.param(module, words[start + 1 :], id=f"{page} {' '.join(words[start:])}"[:90])


class Read(Exception):
    """A command's parser took its words."""


@pytest.mark.parametrize(("module", "words"), list(modules()))
def test_commands_know_their_words(module, words, monkeypatch):
    """Their own tests run them; here, their own parsers read what their pages say."""
    for name in ("parse_args", "parse_intermixed_args"):
        monkeypatch.setattr(argparse.ArgumentParser, name, reading(name))
    monkeypatch.setattr(sys, "argv", ["command", *words])
    with pytest.raises(Read):
        importlib.import_module("results.__main__" if module == "results" else module).main()


def reading(name):
    """Return the parser's method, made to go no further."""
    parse = getattr(argparse.ArgumentParser, name)

    def read(parser):
        parse(parser)
        raise Read

    return read


def test_the_sweep_file_shown_is_one_and_is_none_of_ours(tmp_path):
    text = (ROOT / "docs" / "sweeps.md").read_text()
    [block] = re.findall(r"(?:^    .*\n)+", text[: text.index("\n## ")], re.M)
    name = re.match(r" +# (\S+)\n", block)[1]
    assert not (ROOT / name).exists()
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(textwrap.dedent(block))
    for file in (ROOT / "configs").glob("*.yaml"):
        (tmp_path / "configs" / file.name).symlink_to(file)
    runs, processes = expand(tmp_path / name)
    assert (len(runs), processes) == (2 * 4 * 5 - 2 * 5, 8)
    batches = {(run.config.model.arch, run.config.data.global_batch_size) for run in runs}
    assert batches == {("vgg16_bn", 192), ("resnet50", 256)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http:", "https:")):
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(), re.M)
            slugs = [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings]
            assert anchor in slugs, target
