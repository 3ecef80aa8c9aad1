"""What each command of results does, with its parsed arguments."""

import argparse
import math
import sys
from pathlib import Path

from foundation.errors import UserError
from results.collect import Run, collect, has_runs, of_task
from results.figures.choices import Choices
from results.output import show
from results.tables.claims import claims_tables
from results.tables.epochs import epochs_table
from results.tables.errata import errata_table
from results.tables.make_tables import make_tables
from results.tables.measured import measured_tables


def tables(arguments: argparse.Namespace) -> None:
    """Show Table 1 of the measurements at hand, and what the runs give of Tables 2 to 7."""
    made = measured_tables(_benchmarks(arguments), arguments.columns)
    if not made or has_runs(arguments.runs):  # Table 1 needs no runs
        runs = collect(arguments.runs)
        made += make_tables(runs, arguments.seeds, arguments.stdev, arguments.columns)
    show(made, arguments.format, arguments.out)


def claims(arguments: argparse.Namespace) -> None:
    """Show what the runs say to the paper's claims; without runs, what its own do."""
    if not 0 < arguments.margin < math.inf:
        raise UserError(f"--margin {arguments.margin:g}: give a positive number of points")
    runs = collect(arguments.runs) if arguments.runs else []
    made = claims_tables(runs, arguments.measure, arguments.margin)
    if images := of_task(runs, "classification"):
        made.append(epochs_table(images, arguments.accuracy))
    made += [errata_table()] if images or not runs else []
    show(made, arguments.format, arguments.out)


def figures(arguments: argparse.Namespace) -> None:
    """Draw what can be drawn, and say what cannot."""
    from results.figures.make import make_figures  # matplotlib, for those who draw

    runs = _runs_or_none(arguments.runs)
    for told in make_figures(runs, arguments.out, _choices(arguments)):
        print(told.line)


def report(arguments: argparse.Namespace) -> None:
    """Write the page."""
    from results.report import write_report  # matplotlib and Jinja2, for those who draw

    benchmarks, choices = _benchmarks(arguments), _choices(arguments)
    write_report(arguments.runs, arguments.out, arguments.seeds, benchmarks, choices)
    print(f"{arguments.out}: written")


def compare(arguments: argparse.Namespace) -> None:
    """Show two sets of runs side by side."""
    from results.compare import compare_tables

    sides = [collect(side) for side in (arguments.a, arguments.b)]
    made = compare_tables(*sides, arguments.padding)
    show(made, arguments.format, arguments.out)


def _benchmarks(arguments: argparse.Namespace) -> Path:
    """Return the folder of the benchmarks' files, which need not be there unless it was named."""
    named = arguments.benchmarks
    if named and not named.is_dir():
        raise UserError(f"--benchmarks {named}: there is no such folder")
    return named or arguments.runs / "benchmarks"


def _choices(arguments: argparse.Namespace) -> Choices:
    return Choices(arguments.activations, arguments.data, arguments.accuracy)


def _runs_or_none(named: Path | None) -> list[Run]:
    """Return the runs of a folder; of the default one none where there is no such folder."""
    root = named or Path("runs")
    if named is None and not root.exists():
        print(f"no folder {root}: what needs runs is not drawn (--runs)", file=sys.stderr)
        return []
    return collect(root)
