"""The two numbers that the paper reports of a run, as pure functions of its metrics."""

from typing import Any

from records.metrics_log import Row


def best(rows: list[Row]) -> Row:
    """Return the row of the highest val_top1, the earliest of equals (Table 2)."""
    return max(rows, key=lambda row: row["val_correct1"] / row["val_count"])


def last5_avg(rows: list[Row]) -> float:
    """Return the mean val_top1 of the last five epochs, in percent (Table 3).

    A shorter run is averaged whole.
    """
    last = rows[-5:]
    # From the integer counts: exact, whatever the order of the sum.
    return 100 * sum(r["val_correct1"] for r in last) / sum(r["val_count"] for r in last)


def summarize(rows: list[Row]) -> dict[str, Any]:
    """Return the content of summary.json."""
    top = best(rows)
    return {
        "best": {"epoch": top["epoch"], "val_top1": top["val_top1"]},
        "last5_avg": last5_avg(rows),
        "epochs": len(rows),
        "seconds": sum(row.get("seconds", 0.0) for row in rows),
    }
