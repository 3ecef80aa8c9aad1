"""Numbers in sentences."""

from foundation.words import counted


def test_one_is_singular():
    assert [counted(n, "run") for n in (0, 1, 2, 1000)] == [
        "0 runs",
        "1 run",
        "2 runs",
        "1,000 runs",
    ]
    told = ("run is left", "runs are left")
    assert [counted(n, *told) for n in (1, 2)] == ["1 run is left", "2 runs are left"]
