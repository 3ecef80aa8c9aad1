"""Which runs of two sets may be averaged beside each other: those of the same networks."""

from collections.abc import Sequence
from typing import TypeVar

from results import printed

T = TypeVar("T")
Key = tuple[str, str]  # network, padding
Groups = dict[Key, list[T]]  # runs, or their evaluations

NOT_ALIKE = (
    "No comparison by classes: the sides have no network and padding in common, and more than one "
    "on a side; give folders or run directories of one each."
)


def alike(a: Groups[T], b: Groups[T]) -> tuple[Groups[T], Groups[T]] | None:
    """Return the groups that both sides have, or the only one of each; None where neither is."""
    common = [key for key in a if key in b]
    if common:
        return {key: a[key] for key in common}, {key: b[key] for key in common}
    return (a, b) if len(a) == len(b) == 1 else None


def left_out(matched: tuple[Groups, Groups], *sides: Groups) -> list[str]:
    """Return the note that names the groups which only one of the two sides has."""
    told = []
    for name, kept, side in zip("AB", matched, sides, strict=True):
        alone = [printed.network(*key) for key in side if key not in kept]
        told += [f"{', '.join(alone)} of {name}"] if alone else []
    return [f"Classes are without what the other side lacks: {'; '.join(told)}."] if told else []


def title_of(title: str, a: Groups, b: Groups) -> str:
    """Return a title, with the names of what is compared where it is of two kinds."""
    if a.keys() == b.keys():
        return title
    return f"{title}: A {names_of(a)}, B {names_of(b)}"


def names_of(groups: Groups) -> str:
    """Return the groups' names in the paper's words."""
    return ", ".join(printed.network(*key) for key in groups)


def means_of(a: Groups, b: Groups, what: str) -> str:
    """Return the note that says of what the means are, each group counting alike."""
    counts = [sum(map(len, side.values())) for side in (a, b)]
    of = "" if a.keys() != b.keys() else f" of {names_of(a)}"
    alike = ", each network and padding counting alike" if len(a) > 1 else ""
    return f"Means of {counts[0]} and {counts[1]} runs' {what}{of}{alike}"


def flat(groups: Groups[T]) -> Sequence[T]:
    """Return what all groups hold."""
    return [one for group in groups.values() for one in group]
