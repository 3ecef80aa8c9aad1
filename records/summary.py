"""The two numbers that the paper reports of a run, as pure functions of its metrics."""

from typing import Any

from records.metrics_log import Row
from records.score import Score

LAST_EPOCHS = 5  # that last5_avg averages over; their weights are kept


def best(rows: list[Row], score: Score) -> Row:
    """Return the row of the highest score, the earliest of equals (Table 2)."""
    return max(rows, key=score.value)


def last5_avg(rows: list[Row], score: Score) -> float:
    """Return the mean score of the last five epochs, in percent (Table 3).

    A shorter run is averaged whole.
    """
    last = rows[-LAST_EPOCHS:]
    return float(sum(map(score.value, last)) / len(last))


def summarize(rows: list[Row], score: Score) -> dict[str, Any]:
    """Return the content of summary.json."""
    top = best(rows, score)
    return {
        "best": {"epoch": top["epoch"], score.key: top[score.key]},
        "last5_avg": last5_avg(rows, score),
        "epochs": len(rows),
        "seconds": sum(row.get("seconds", 0.0) for row in rows),
    }


def told(rows: list[Row], score: Score) -> str:
    """Return the summary as commands print it."""
    top = float(score.value(best(rows, score)))
    return f"best {top:.3f}, last5_avg {last5_avg(rows, score):.3f} ({score.title} in %)"
