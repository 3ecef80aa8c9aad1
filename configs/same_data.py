"""Whether two fingerprints, as run directories hold them, are of one data set."""

from itertools import zip_longest


def same_data(one: str | None, other: str | None) -> bool:
    """Tell whether two fingerprints can be of the same data set.

    A fingerprint is "<digest of names, labels and sizes>.<digest of the files' lengths>", of street
    scenes ".<digest of the validation images>" as well. What one of the two lacks decides nothing:
    older versions recorded the first part alone, and an evaluation without the training images has
    the last one alone. Something must be left to compare.
    """
    if one is None or other is None:
        return one is other
    pairs = [pair for pair in zip_longest(one.split("."), other.split(".")) if all(pair)]
    return bool(pairs) and all(mine == theirs for mine, theirs in pairs)
