"""YAML file, its `base:` chain and dotted overrides -> Config; and back to YAML."""

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pydantic
import yaml

from configs.fields import Section
from configs.schema import CONFIGS, MEANING_BEFORE, Config
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
    known = known_keys(_task(entries))
    unknown = [key for key in entries if key not in known]
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
    split = f"_{config.data.split}" if config.task == "segmentation" else ""
    return f"{config.model.arch}{split}_{config.model.padding}_seed{config.seed}"


def flat(config: Config) -> dict[str, Any]:
    """Return the configuration as `{dotted key: value}`."""
    table = {}
    for name, value in config:
        if isinstance(value, Section):
            table |= {f"{name}.{leaf}": inner for leaf, inner in value}
        else:
            table[name] = value
    return table


def known_keys(task: str | None = None) -> list[str]:
    """Return every valid dotted key of a task, or of any, in the schemas' order."""
    keys = []
    for schema in [CONFIGS[task]] if task else CONFIGS.values():
        for name, field in schema.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                keys += [f"{name}.{leaf}" for leaf in field.annotation.model_fields]
            else:
                keys.append(name)
    return list(dict.fromkeys(keys))


def unknown_key(key: str, valid: Sequence[str], task: str = "") -> str:
    """Return the message for a key that does not exist, with the nearest one that does.

    Args:
        key: the key.
        valid: keys that exist.
        task: that they are of; '': of any.
    """
    if task and key in known_keys():
        return f"{key}: is not a key of task {task}"
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
    entries = read(path)
    if _task(entries, "classification") != "classification":
        return entries
    before = {key: Entry(value, f"{path} (before {key})") for key, value in MEANING_BEFORE.items()}
    return before | entries


def _task(entries: dict[str, Entry], unknown: str | None = None) -> str | None:
    """Return which task's schema the entries are of; `unknown` if none's."""
    task = entries["task"].value if "task" in entries else None
    return task if isinstance(task, str) and task in CONFIGS else unknown


def _with_bases(path: Path, below: tuple[Path, ...]) -> dict[str, Entry]:
    resolved = Path(os.path.realpath(path))  # Path's own raises where links lead in a circle
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
    task, no_task = _task(entries), ""
    if task is None:  # what else is wrong is told as of the task that most keys are of
        no_task = _no_task(entries, path)
        task = max(CONFIGS, key=lambda name: len(entries.keys() & set(known_keys(name))))
        entries = entries | {"task": Entry(task, "")}
    valid = known_keys(task)
    nested: dict[str, Any] = {key.partition(".")[0]: {} for key in valid if "." in key}
    for key, entry in entries.items():
        if key not in valid:
            problems.append(f"{entry.where}: {unknown_key(key, valid, task)}")
            continue
        head, _, leaf = key.rpartition(".")
        (nested[head] if head else nested)[leaf] = entry.value
    config = None
    try:
        config = CONFIGS[task].model_validate(nested)
    except pydantic.ValidationError as error:
        problems += [_problem(item, entries, valid, path) for item in error.errors()]
    if config:
        problems += [f"{entries[key].where}: {key}: {text}" for key, text in _misfits(config)]
    problems += [no_task] if no_task else []
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    assert config is not None
    name = config.run.name or default_name(config)
    return config.model_copy(update={"run": config.run.model_copy(update={"name": name})})


def _misfits(config: Config) -> Iterator[tuple[str, str]]:
    """Yield where settings that are right by themselves do not go together, as key and problem."""
    if config.task == "classification" and config.data.eval_resize < config.data.image_size:
        yield (
            "data.eval_resize",
            f"{config.data.eval_resize} is below data.image_size ({config.data.image_size}): the "
            f"centre crop would not fit",
        )


def _no_task(entries: dict[str, Entry], path: Path) -> str:
    choices = ", ".join(CONFIGS)
    if "task" not in entries:
        return (
            f"{path}: task: missing; set it in the file, in its base or with task=... ({choices})"
        )
    entry = entries["task"]
    nearest = difflib.get_close_matches(f"{entry.value}", CONFIGS, n=1, cutoff=0.0)
    return (
        f"{entry.where}: task: should be one of {choices}, but is {entry.value!r}; did you mean "
        f"'{nearest[0]}'?"
    )


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
