"""Tables, claims, figures and a report from run directories.

python -m results tables --runs runs --out tables --format latex
python -m results claims --runs runs
python -m results figures --runs runs --out figures
python -m results report --runs runs --out report.html
python -m results compare runs_a runs_b
"""

import argparse
import math
import sys
from pathlib import Path

from foundation.errors import UserError, run_command
from results.collect import Run, collect, has_runs, of_task
from results.output import NOTES_SUFFIX, show
from results.printed import MARGIN
from results.render import SUFFIXES
from results.tables.claims import claims_tables
from results.tables.epochs import epochs_table
from results.tables.errata import errata_table
from results.tables.make_tables import make_tables
from results.tables.measured import measured_tables


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m results",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, add in (
        ("tables", _add_tables),
        ("claims", _add_claims),
        ("figures", _add_figures),
        ("report", _add_report),
        ("compare", _add_compare),
    ):
        add(commands, name)
    arguments = parser.parse_args()
    arguments.do(arguments)


def _add_tables(commands: argparse._SubParsersAction, name: str) -> None:
    one = _command(commands, name, _tables, "Tables 1 to 7 beside the paper's")
    _add_runs(one, default=Path("runs"))
    one.add_argument(
        "--benchmarks",
        type=Path,
        help="folder of the benchmarks' JSON files, for Table 1 (default: RUNS/benchmarks)",
    )
    _add_form(one)
    one.add_argument(
        "--columns",
        choices=("all", "paper"),
        default="all",
        help="all: with intervals, p-values and the paper's numbers; paper: its own columns alone",
    )
    one.add_argument(
        "--stdev",
        choices=("sample", "paper"),
        default="sample",
        help="formula of Tables 2 and 3's stdev: the sample's, or the two that the paper mixes",
    )
    one.add_argument(
        "--seeds",
        type=_seeds,
        help="runs of a complete row (default: the paper's, 5 in Tables 2 to 4, 3 in 5 to 7)",
    )


def _benchmarks(arguments: argparse.Namespace) -> Path:
    """Return the folder of the benchmarks' files, which need not be there unless it was named."""
    named = arguments.benchmarks
    if named and not named.is_dir():
        raise UserError(f"--benchmarks {named}: there is no such folder")
    return named or arguments.runs / "benchmarks"


def _tables(arguments: argparse.Namespace) -> None:
    made = measured_tables(_benchmarks(arguments), arguments.columns)
    if not made or has_runs(arguments.runs):  # Table 1 needs no runs
        runs = collect(arguments.runs)
        made += make_tables(runs, arguments.seeds, arguments.stdev, arguments.columns)
    show(made, arguments.format, arguments.out)


def _add_claims(commands: argparse._SubParsersAction, name: str) -> None:
    one = _command(commands, name, _claims, "the paper's claims, tested on its runs and on ours")
    _add_runs(one, default=None)
    _add_form(one)
    one.add_argument(
        "--measure", choices=("best", "last5_avg"), default="best", help="Table 2's or Table 3's"
    )
    one.add_argument(
        "--margin",
        type=float,
        default=MARGIN,
        metavar="POINTS",
        help="below which paddings are called similar (default: %(default)g, about the smallest "
        "gain that the paper reports for partial padding)",
    )
    _add_accuracy(one)


def _add_accuracy(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--accuracy",
        type=float,
        metavar="PERCENT",
        help="count Fig. 3's epochs to this accuracy (default: each network's own, see the notes)",
    )


def _claims(arguments: argparse.Namespace) -> None:
    if not 0 < arguments.margin < math.inf:
        raise UserError(f"--margin {arguments.margin:g}: give a positive number of points")
    runs = collect(arguments.runs) if arguments.runs else []
    made = claims_tables(runs, arguments.measure, arguments.margin)
    if images := of_task(runs, "classification"):
        made.append(epochs_table(images, arguments.accuracy))
    made += [errata_table()] if images or not runs else []
    show(made, arguments.format, arguments.out)


def _add_figures(commands: argparse._SubParsersAction, name: str) -> None:
    one = _command(commands, name, _figures, "Figures 1 to 8, as SVG and PNG")
    told = "folder of run directories (default: runs; without it, Fig. 2 alone, which needs none)"
    one.add_argument("--runs", type=Path, help=told)
    one.add_argument("--out", type=Path, required=True, help="folder for the figures")
    _add_figure_sources(one)


def _add_figure_sources(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--data",
        type=Path,
        help="the images' folder, for Figs. 4 and 6 to 8 (default: the runs' data.root)",
    )
    one.add_argument("--activations", type=Path, help="what commands.activations wrote, for Fig. 5")


def _figures(arguments: argparse.Namespace) -> None:
    from results.figures.make import make_figures  # matplotlib, for those who draw

    runs = _runs_or_none(arguments.runs)
    for told in make_figures(runs, arguments.out, arguments.activations, arguments.data):
        print(told.line)


def _runs_or_none(named: Path | None) -> list[Run]:
    """Return the runs of a folder; of the default one none where there is no such folder."""
    root = named or Path("runs")
    if named is None and not root.exists():
        print(f"no folder {root}: what needs runs is not drawn (--runs)", file=sys.stderr)
        return []
    return collect(root)


def _add_report(commands: argparse._SubParsersAction, name: str) -> None:
    one = _command(commands, name, _report, "all of it as one HTML page that needs no network")
    _add_runs(one, default=Path("runs"))
    one.add_argument("--out", type=Path, default=Path("report.html"), help="(default: report.html)")
    one.add_argument("--benchmarks", type=Path, help="as for tables")
    one.add_argument("--seeds", type=_seeds, help="as for tables")
    _add_figure_sources(one)


def _report(arguments: argparse.Namespace) -> None:
    from results.report import write_report  # matplotlib and Jinja2, for those who draw

    sources = (_benchmarks(arguments), arguments.activations)
    write_report(arguments.runs, arguments.out, arguments.seeds, sources, arguments.data)
    print(f"{arguments.out}: written")


def _add_compare(commands: argparse._SubParsersAction, name: str) -> None:
    one = _command(commands, name, _compare, "two sets of runs side by side, class by class")
    one.add_argument("a", type=Path, help="a folder of run directories, or one of them")
    one.add_argument("b", type=Path, help="the other")
    one.add_argument(
        "--padding",
        help="of classification: whose evaluation to take (default: each run's own padding)",
    )
    _add_form(one)


def _compare(arguments: argparse.Namespace) -> None:
    from results.compare import compare_tables

    sides = [collect(side) for side in (arguments.a, arguments.b)]
    made = compare_tables(*sides, arguments.padding)
    show(made, arguments.format, arguments.out)


def _command(
    commands: argparse._SubParsersAction, name: str, do: object, told: str
) -> argparse.ArgumentParser:
    one = commands.add_parser(name, help=told, description=f"{told[0].upper()}{told[1:]}.")
    one.set_defaults(do=do)
    return one


def _add_runs(one: argparse.ArgumentParser, default: Path | None) -> None:
    told = "folder of run directories" + (f" (default: {default})" if default else "")
    one.add_argument("--runs", type=Path, default=default, help=told)


def _add_form(one: argparse.ArgumentParser) -> None:
    one.add_argument("--out", type=Path, help="write files here as well")
    one.add_argument(
        "--format",
        choices=SUFFIXES,
        default="markdown",
        help="(default: markdown) csv has its titles and notes on stderr, and with --out in "
        f"NAME{NOTES_SUFFIX} beside each file",
    )


def _seeds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: a row needs one run at least")
    return int(text)


if __name__ == "__main__":
    run_command(main)
