"""Sweep files, read strictly: every mistake with its place."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.load import known_keys, unknown_key
from configs.yaml_source import ConfigError, Entry, read
from launch.conditions import Condition


@dataclass(frozen=True)
class SweepFile:
    """What a sweep file says.

    Attributes:
        configs: the configurations, as paths from the current folder.
        grid: `{dotted key: its values}`; every combination is a run.
        exclude: combinations that are left out.
        overrides: where a condition holds, other settings: `{dotted key: value}`.
        processes: that a run has on a machine, one a GPU.
    """

    configs: tuple[Path, ...]
    grid: dict[str, tuple[Any, ...]]
    exclude: tuple[Condition, ...]
    overrides: tuple[tuple[Condition, dict[str, Any]], ...]
    processes: int


def read_sweep(path: Path) -> SweepFile:
    """Return what the file says.

    Raises:
        ConfigError: names all that is wrong with it, each with its place.
    """
    entries = read(path)
    if problems := list(_problems(path, entries)):
        raise ConfigError(problems)
    excluded, overridden = (_items(entries, key) for key in ("exclude", "overrides"))
    return SweepFile(
        configs=tuple(path.parent / name for name in entries["configs"].value),
        grid={k.removeprefix(_GRID): e.value for k, e in entries.items() if k.startswith(_GRID)},
        exclude=tuple(map(_condition, excluded)),
        overrides=tuple((_condition(one["when"]), dict(one["set"])) for one in overridden),
        processes=entries["nproc_per_node"].value,
    )


_GRID = "grid."
_KEYS = ("configs", "grid", "exclude", "overrides", "nproc_per_node")


def _items(entries: dict[str, Entry], key: str) -> tuple[Any, ...]:
    return entries[key].value if key in entries else ()


def _condition(written: dict[str, Any]) -> Condition:
    """Return a condition as it is written, a value or a list of them for each key."""
    return {
        key: tuple(value) if isinstance(value, list) else (value,) for key, value in written.items()
    }


def _problems(path: Path, entries: dict[str, Entry]) -> Iterator[str]:
    """Yield what is wrong with a sweep file."""
    for key, (value, where) in ((key, (e.value, e.where)) for key, e in entries.items()):
        if key.startswith(_GRID):
            varied = key.removeprefix(_GRID)
            if varied not in known_keys():
                yield f"{where}: grid: {unknown_key(varied, known_keys())}"
            elif not _is_list(value):
                yield f"{where}: {varied}: expected a list of values, [a, b, ...]"
        elif key == "configs":
            if not _is_list(value):
                yield f"{where}: configs: expected a list of values, [a, b, ...]"
            elif not all(isinstance(name, str) for name in value):
                yield f"{where}: configs: expected paths of YAML files"
        elif key == "grid":
            yield f"{where}: grid: expected `key: [values]` lines below it"
        elif key == "nproc_per_node":
            if type(value) is not int or value < 1:
                yield f"{where}: nproc_per_node: expected a positive integer"
        elif key in ("exclude", "overrides"):
            yield from (f"{where}: {key}: {problem}" for problem in _list_problems(key, value))
        else:
            yield f"{where}: {unknown_key(key, _KEYS)}"
    for key in ("configs", "nproc_per_node"):
        if key not in entries:
            yield f"{path}: {key}: missing"


def _list_problems(key: str, value: Any) -> Iterator[str]:
    """Yield what is wrong with a list of conditions, or of conditions and settings."""
    form = "{key: value}" if key == "exclude" else "{when: {key: value}, set: {key: value}}"
    items = value if isinstance(value, tuple) else (None,)
    for item in items:
        if not isinstance(item, dict) or (key == "overrides" and set(item) != {"when", "set"}):
            yield f"expected a list of {form}"
            return
        for part in [item] if key == "exclude" else [item["when"], item["set"]]:
            if not isinstance(part, dict) or not part:
                yield f"expected a list of {form}"
                return
            wrong = [name for name in part if name not in known_keys()]
            yield from (unknown_key(str(name), known_keys()) for name in wrong)


def _is_list(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value)
