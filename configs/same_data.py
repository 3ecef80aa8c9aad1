"""Whether two fingerprints, as run directories hold them, are of one data set."""


def same_data(one: str | None, other: str | None) -> bool:
    """Tell whether two fingerprints can be of the same data set.

    A fingerprint is "<digest of names, labels and sizes>.<digest of the files' lengths>"; those
    that older versions recorded lack the second part, which then decides nothing.
    """
    if one is None or other is None:
        return one is other
    (names, _, lengths), (other_names, _, other_lengths) = one.partition("."), other.partition(".")
    return names == other_names and (lengths == other_lengths or not (lengths and other_lengths))
