"""Conditions on a run's settings: `{key.sub: the values that it may have}`."""

from collections.abc import Mapping
from typing import Any

Condition = Mapping[str, tuple[Any, ...]]


def meets(settings: Mapping[str, Any], condition: Condition) -> bool:
    """Return whether the settings (`{dotted key: value}`) have for every key one of its values."""
    return all(
        any(_equal(settings[key], value) for value in values) for key, values in condition.items()
    )


def _equal(one: Any, other: Any) -> bool:
    if isinstance(other, list):
        other = tuple(other)
    return one == other and isinstance(one, bool) == isinstance(other, bool)
