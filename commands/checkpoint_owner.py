"""The run that a checkpoint given by its path lies in, and what it says of the checkpoint."""

import os
from pathlib import Path
from typing import Any

from configs.load import flat, recorded_settings
from configs.schema import Config
from configs.yaml_source import ConfigError
from records.errors import RunError

_SAME = ("task", "model.arch", "data.split")  # what a checkpoint's numbers are of


def recorded_by(file: str | Path) -> dict[str, Any]:
    """Return the settings of the run that a file is a checkpoint of; {}: it lies in none.

    Links are followed: the file is of the run that wrote it.
    """
    folder = Path(os.path.realpath(os.path.expanduser(file))).parent
    config = folder.parent / "config.yaml"
    if folder.name != "checkpoints" or not os.path.isfile(config):
        return {}
    try:
        settings = recorded_settings(config)
    except ConfigError:  # another program's: a run's own is written whole or not at all
        return {}
    return settings if "model.padding" in settings else {}


def check_owner(file: Path, config: Config) -> None:
    """Refuse to evaluate a run with the checkpoint of one that has learnt something else.

    A network that was trained on another split has seen the images it would be evaluated on.

    Args:
        file: the checkpoint.
        config: of the run that it is to be evaluated as.

    Raises:
        RunError: it is of a run of another task, network or split.
    """
    theirs, own = recorded_by(file), flat(config)
    for key in _SAME:
        if theirs and theirs.get(key) != own.get(key):
            raise RunError(
                f"{file}: of a run with {key} {theirs.get(key)}, not {own.get(key)}; evaluate the "
                f"run that it lies in, with --checkpoint {file}"
            )
