"""YAML file, its `base:` chain and dotted overrides -> Config; and back to YAML."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydantic
import yaml

from configs.schema import MEANING_BEFORE, Config, Section
from configs.yaml_source import ConfigError, Entry, parse_override, read


def load(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Return the resolved configuration of `path` under `overrides` (`key.sub=value`).

    Raises:
        ConfigError: names every problem at once, each with file, line, key and the nearest key.
    """
    return _resolve(_with_bases(Path(path), ()), Path(path), overrides)


def load_recorded(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Return the configuration that a run directory holds, as `load`, whatever its age.

    Raises:
        ConfigError: as of `load`; or the run has settings that this version does not know.
    """
    entries = _recorded(path)
    unknown = [key for key in entries if key not in known_keys()]
    if unknown:
        raise ConfigError(
            [
                f"{path}: recorded by another version, with settings unknown to this one "
                f"({', '.join(unknown)}); use that version"
            ]
        )
    return _resolve(entries, path, overrides)


def recorded_settings(path: Path) -> dict[str, Any]:
    """Return what a run directory's config.yaml says, as `{dotted key: value}`.

    Nothing is checked, so that networks and paddings of any version can be tabulated.
    """
    return {key: entry.value for key, entry in _recorded(path).items()}


def dump(config: Config) -> str:
    """Return the YAML text that `load` turns into the same Config again."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def default_name(config: Config) -> str:
    """Return the name of a run that was given none."""
    return f"{config.model.arch}_{config.model.padding}_seed{config.seed}"


def flat(config: Config) -> dict[str, Any]:
    """Return the configuration as `{dotted key: value}`."""
    table = {}
    for name, value in config:
        if isinstance(value, Section):
            table |= {f"{name}.{leaf}": inner for leaf, inner in value}
        else:
            table[name] = value
    return table


def known_keys() -> list[str]:
    """Return every valid dotted key, in the schema's order."""
    keys = []
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            keys += [f"{name}.{leaf}" for leaf in field.annotation.model_fields]
        else:
            keys.append(name)
    return keys


def unknown_key(key: str, valid: Sequence[str]) -> str:
    """Return the message for a key that does not exist, with the nearest one that does."""
    nearest = difflib.get_close_matches(key, valid, n=1, cutoff=0.0)
    sections = {name.rpartition(".")[0] for name in valid}
    if key in sections - {""}:
        return f"{key}: is a section; write its keys below it"
    return f"{key}: unknown key; did you mean '{nearest[0]}'?"


def _resolve(entries: dict[str, Entry], path: Path, overrides: Sequence[str]) -> Config:
    problems: list[str] = []
    for argument in overrides:
        try:
            key, entry = parse_override(argument)
            entries[key] = entry
        except ConfigError as error:
            problems.append(str(error))
    return _validate(entries, path, problems)


def _recorded(path: Path) -> dict[str, Entry]:
    before = {key: Entry(value, f"{path} (before {key})") for key, value in MEANING_BEFORE.items()}
    return before | read(path)


def _with_bases(path: Path, below: tuple[Path, ...]) -> dict[str, Entry]:
    resolved = path.resolve()
    if resolved in below:
        raise ConfigError([f"{path}: base: the files inherit from each other in a circle"])
    entries = read(path)
    base = entries.pop("base", None)
    if base is None:
        return entries
    if not isinstance(base.value, str):
        raise ConfigError([f"{base.where}: base: expected the path of a YAML file"])
    base_path = path.parent / base.value
    if not base_path.is_file():
        raise ConfigError([f"{base.where}: base: there is no file {base_path}"])
    return _with_bases(base_path, (*below, resolved)) | entries


def _validate(entries: dict[str, Entry], path: Path, problems: list[str]) -> Config:
    valid = known_keys()
    nested: dict[str, Any] = {key.partition(".")[0]: {} for key in valid if "." in key}
    for key, entry in entries.items():
        if key not in valid:
            problems.append(f"{entry.where}: {unknown_key(key, valid)}")
            continue
        head, _, leaf = key.rpartition(".")
        (nested[head] if head else nested)[leaf] = entry.value
    config = None
    try:
        config = Config.model_validate(nested)
    except pydantic.ValidationError as error:
        problems += [_problem(item, entries, valid, path) for item in error.errors()]
    if config and config.data.eval_resize < config.data.image_size:
        problems.append(
            f"{entries['data.eval_resize'].where}: data.eval_resize: {config.data.eval_resize} is "
            f"below data.image_size ({config.data.image_size}): the centre crop would not fit"
        )
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    name = config.run.name or default_name(config)
    return config.model_copy(update={"run": config.run.model_copy(update={"name": name})})


def _problem(item: Any, entries: dict[str, Entry], valid: list[str], path: Path) -> str:
    """Say in the user's terms what pydantic found."""
    location = ".".join(str(part) for part in item["loc"])
    key = next(name for name in valid if f"{location}.".startswith(f"{name}."))
    if key not in entries:
        return f"{path}: {key}: missing; set it in the file, in its base or with {key}=..."
    value = entries[key].value
    text = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
    text = f"{key}: {text}, but is {'null' if value is None else repr(value)}"
    if item["type"] == "literal_error" and isinstance(value, str):
        choices = re.findall(r"'([^']+)'", item["ctx"]["expected"])
        nearest = difflib.get_close_matches(value, choices, n=1, cutoff=0.0)
        text += f"; did you mean '{nearest[0]}'?"
    return f"{entries[key].where}: {text}"
