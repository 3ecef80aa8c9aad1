"""YAML 1.2 files as flat `dotted.key -> value` tables that remember file, line and column."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from foundation.errors import UserError


class ConfigError(UserError):
    """Everything wrong with a configuration: one `file:line:column: key: problem` a line."""

    def __init__(self, problems: list[str]):
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class Entry:
    """A value and the place where the user wrote it."""

    value: Any
    where: str  # file:line:column, or the command line's argument


class _Yaml12Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # ten times as fast in C
    """SafeLoader with YAML 1.2's scalars.

    PyYAML follows YAML 1.1, in which 1e-4 is a string, `off` is false and 1:30 is ninety.
    """

    yaml_implicit_resolvers: dict = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Construct a mapping inside a list; of a key given twice PyYAML would keep the last."""
        keys = [key.value for key, _ in node.value]
        for number, (key, _) in enumerate(node.value):
            if key.value in keys[:number]:
                problem = f"{key.value}: given twice; delete one of the two"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in [
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)$", "-+.0123456789"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
]:
    _Yaml12Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)
_Yaml12Loader.add_constructor(
    "tag:yaml.org,2002:int",
    lambda loader, node: int(loader.construct_scalar(node)),  # 1.2: 010 is ten
)


# YAML takes nothing for null, which means something (of weights: fresh ones), and may be but a
# variable that is not set.
_EMPTY = "is empty; write a value, or null for none"


def read(path: Path) -> dict[str, Entry]:
    """Return the file's leaves by dotted key; lists are leaves and become tuples.

    Raises:
        ConfigError: the file is missing or unreadable, is not YAML, or has a key twice or without
            a value.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot read it: {_reason(error)}"]) from None
    return _flatten_text(text, str(path))


def parse_override(argument: str) -> tuple[str, Entry]:
    """Parse the command line's `key.sub=value`; the value follows YAML's rules.

    Raises:
        ConfigError: there is no `=`, no value, or the value is not YAML.
    """
    key, equals, text = argument.partition("=")
    if not equals or not key:
        raise ConfigError([f"'{argument}': not an override; write key.sub=value"])
    where = f"'{argument}'"
    if not text.strip():
        raise ConfigError([f"{where}: {key}: {_EMPTY}"])
    value = _flatten_text(f"value: {text}", where).get("value")
    if value is None:
        raise ConfigError([f"{where}: {key}: a mapping cannot be given here; override one key"])
    return key, Entry(value.value, where)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _flatten_text(text: str, where: str) -> dict[str, Entry]:
    loader = _Yaml12Loader(text)
    try:
        root = loader.get_single_node()
        problems: list[str] = []
        entries: dict[str, Entry] = {}
        if root is None or isinstance(root, yaml.MappingNode):
            if root is not None:
                _flatten(loader, root, "", where, entries, problems)
        else:
            problems.append(f"{where}: expected `key: value` lines")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{where}:{mark.line + 1}:{mark.column + 1}" if mark else where
        raise ConfigError([f"{place}: not valid YAML: {error.problem}"]) from None
    except yaml.YAMLError as error:
        raise ConfigError([f"{where}: not valid YAML: {error}"]) from None
    finally:
        loader.dispose()
    if problems:
        raise ConfigError(problems)
    return entries


def _flatten(
    loader: _Yaml12Loader,
    node: yaml.MappingNode,
    prefix: str,
    where: str,
    entries: dict[str, Entry],
    problems: list[str],
) -> None:
    seen = set()
    for key_node, value_node in node.value:
        mark = key_node.start_mark
        place = f"{where}:{mark.line + 1}:{mark.column + 1}"
        key = prefix + str(key_node.value)
        if key in seen:
            problems.append(f"{place}: {key}: given twice; delete one of the two")
        seen.add(key)
        if isinstance(value_node, yaml.MappingNode):
            _flatten(loader, value_node, f"{key}.", where, entries, problems)
            continue
        if isinstance(value_node, yaml.ScalarNode) and not (value_node.value or value_node.style):
            problems.append(f"{place}: {key}: {_EMPTY}")
            continue
        try:
            value = loader.construct_object(value_node, deep=True)
        except ValueError as error:
            problems.append(f"{place}: {key}: {error}")
            continue
        entries[key] = Entry(tuple(value) if isinstance(value, list) else value, place)
