"""Numbers in sentences."""


def counted(count: int, one: str, more: str = "") -> str:
    """Return a count with its words: '1 run is left', '2 runs are left', '1,000 runs are left'.

    Args:
        count: 0 or more.
        one: what follows a 1.
        more: what follows any other count; '': `one` with an s.
    """
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"
