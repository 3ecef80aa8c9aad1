"""A sweep file as runs: every configuration with every point of the grid."""

import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.load import default_name, flat, load
from configs.schema import Config
from configs.yaml_source import ConfigError, parse_override
from launch.conditions import meets
from launch.sweep_file import read_sweep
from records.run_dir import RunDir

_NAMED = ("model.arch", "data.split", "model.padding", "seed")  # what default names hold


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep: `config` is what train.py makes of `file` and `overrides`."""

    file: Path
    overrides: tuple[str, ...]
    config: Config

    @property
    def directory(self) -> RunDir:
        """The run directory, which need not exist yet."""
        return RunDir.of(self.config)


def expand(path: Path, overrides: Sequence[str] = ()) -> tuple[list[PlannedRun], int]:
    """Return the sweep's runs and its processes a machine.

    The runs of one row of a table, its seeds, follow each other, and the rows that the paper
    compares, zero and partial padding, come first of each network: whoever stops early has whole
    comparisons. Otherwise the last grid key varies fastest.

    Args:
        path: the sweep file.
        overrides: `key.sub=value`, for all runs.

    Raises:
        ConfigError: the sweep or a resolved configuration is wrong, or two runs share a directory.
    """
    sweep = read_sweep(path)
    axes = _rows_first(sweep.grid)
    points = list(itertools.product(*axes.values()))
    runs = []
    for file in sweep.configs:
        for values in points:
            chosen = [f"{key}={_as_yaml(value)}" for key, value in zip(axes, values, strict=True)]
            settings = flat(load(file, [*chosen, *overrides]))
            if any(meets(settings, condition) for condition in sweep.exclude):
                continue
            for condition, table in sweep.overrides:
                if meets(settings, condition):
                    chosen += [f"{key}={_as_yaml(value)}" for key, value in table.items()]
            runs.append(_plan(file, [*chosen, *overrides], list(axes)))
    directories = Counter(run.directory.path for run in runs)
    problems = [
        f"{path}: several runs would share the directory {directory}"
        for directory, number in directories.items()
        if number > 1
    ]
    if not runs:
        problems = [f"{path}: exclude leaves no run"]
    if problems:
        raise ConfigError(problems[:1])
    return runs, sweep.processes


def _rows_first(axes: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    """Return the axes with seeds as the last and so fastest one, paddings as the one before."""
    last = {key: axes[key] for key in ("model.padding", "seed") if key in axes}
    if "model.padding" in last:
        first = ("zero", "partial")
        last["model.padding"] = tuple(
            sorted(last["model.padding"], key=lambda one: first.index(one) if one in first else 2)
        )
    return {key: values for key, values in axes.items() if key not in last} | last


def _plan(file: Path, overrides: list[str], varied: list[str]) -> PlannedRun:
    """Return a run whose name, unless it is given one, tells all that varies in the sweep."""
    config = load(file, overrides)
    others = [key for key in varied if key not in _NAMED and not key.startswith("run.")]
    if others and config.run.name == default_name(config):
        values = flat(config)
        leaves = [key.rpartition(".")[2] for key in others]
        parts = [
            f"_{key.replace('.', '-') if leaves.count(leaf) > 1 else leaf}={_word(values[key])}"
            for key, leaf in zip(others, leaves, strict=True)
        ]
        overrides = [*overrides, f"run.name={config.run.name}{''.join(parts)}"]
        config = load(file, overrides)
    return PlannedRun(file, tuple(overrides), config)


def _word(value: Any) -> str:
    """Return a value as part of a file's name; what must be changed for that gets a digest."""
    if isinstance(value, tuple):
        return "-".join(map(_word, value)) or "none"
    text = value if isinstance(value, str) else json.dumps(value)
    word = re.sub(r"[^A-Za-z0-9._+-]+", "-", text)[-40:]
    return word if word == text else f"{word}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _as_yaml(value: Any) -> str:
    """Return the value as an override that train.py reads as this very value."""
    plain = [value] if isinstance(value, str) else []
    quoted = json.dumps(value)  # JSON is YAML, but for some letters of both ways to write them
    for text in (*plain, json.dumps(value, ensure_ascii=False), quoted):
        with suppress(ConfigError):
            if parse_override(f"key={text}")[1].value == value:
                return text
    return quoted
