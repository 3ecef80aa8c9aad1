"""Parts of a sweep: some of its grid, or every n-th of its runs."""

import re
from collections.abc import Sequence
from typing import Any

from configs.load import flat, known_keys, unknown_key
from configs.yaml_source import ConfigError, parse_override
from foundation.errors import UserError
from launch.conditions import meets
from launch.expand import PlannedRun


def only(runs: list[PlannedRun], conditions: Sequence[str]) -> list[PlannedRun]:
    """Return the runs that meet every condition; several about one key are alternatives.

    Args:
        runs: of a sweep.
        conditions: each `key.sub=value`.

    Raises:
        ConfigError: a condition is none, or its key is unknown.
        UserError: no run is left.
    """
    asked: dict[str, tuple[Any, ...]] = {}
    for condition in conditions:
        key, entry = parse_override(condition)
        if key not in known_keys():
            raise ConfigError([f"--only {entry.where}: {unknown_key(key, known_keys())}"])
        asked[key] = (*asked.get(key, ()), entry.value)
    tables = [(run, flat(run.config)) for run in runs]
    kept = [run for run, table in tables if meets(table, asked)]
    if not kept:
        there = "; ".join(
            f"{key}: {', '.join(dict.fromkeys(f'{table[key]}' for _, table in tables))}"
            for key in asked
        )
        raise UserError(f"--only {' '.join(conditions)}: no run of the sweep is so; it has {there}")
    return kept


def shard(runs: list[PlannedRun], text: str) -> list[PlannedRun]:
    """Return the i-th of n parts, every n-th run: all parts together are all runs, each once.

    Args:
        runs: of a sweep.
        text: "i/n", i from 1 to n.

    Raises:
        UserError: it is not that.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    number, of = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= of:
        raise UserError(f"--shard {text}: expected i/n, for example 1/4 to 4/4")
    return runs[number - 1 :: of]
