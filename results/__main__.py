"""Tables, claims, figures and a report from run directories.

python -m results tables --runs runs --out tables --format latex
python -m results claims --runs runs
python -m results figures --runs runs --out figures
python -m results report --runs runs --out report.html
python -m results compare runs_a runs_b
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from foundation.errors import run_command
from results import actions
from results.numbers import MEASURES
from results.output import NOTES_SUFFIX
from results.printed import MARGIN
from results.render import SUFFIXES


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m results",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for add in (_add_tables, _add_claims, _add_figures, _add_report, _add_compare):
        add(commands)
    arguments = parser.parse_args()
    arguments.do(arguments)


def _add_tables(commands: argparse._SubParsersAction) -> None:
    one = _command(commands, actions.tables, "Tables 1 to 7 beside the paper's")
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


def _add_claims(commands: argparse._SubParsersAction) -> None:
    one = _command(commands, actions.claims, "the paper's claims, tested on its runs and on ours")
    _add_runs(one, default=None)
    _add_form(one)
    one.add_argument("--measure", choices=MEASURES, default="best", help="Table 2's or Table 3's")
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
        type=_percent,
        metavar="PERCENT",
        help="count Fig. 3's epochs to this accuracy (default: each network's own, see the notes)",
    )


def _add_figures(commands: argparse._SubParsersAction) -> None:
    one = _command(commands, actions.figures, "Figures 1 to 8, as SVG and PNG")
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
    _add_accuracy(one)


def _add_report(commands: argparse._SubParsersAction) -> None:
    one = _command(commands, actions.report, "all of it as one HTML page that needs no network")
    _add_runs(one, default=Path("runs"))
    one.add_argument("--out", type=Path, default=Path("report.html"), help="(default: report.html)")
    one.add_argument("--benchmarks", type=Path, help="as for tables")
    one.add_argument("--seeds", type=_seeds, help="as for tables")
    _add_figure_sources(one)


def _add_compare(commands: argparse._SubParsersAction) -> None:
    one = _command(commands, actions.compare, "two sets of runs side by side, class by class")
    one.add_argument("a", type=Path, help="a folder of run directories, or one of them")
    one.add_argument("b", type=Path, help="the other")
    one.add_argument(
        "--padding",
        help="of classification: whose evaluation to take (default: each run's own padding)",
    )
    _add_form(one)


def _command(
    commands: argparse._SubParsersAction, do: Callable[[argparse.Namespace], None], told: str
) -> argparse.ArgumentParser:
    """Add the command that is named as what it does."""
    one = commands.add_parser(do.__name__, help=told, description=f"{told[0].upper()}{told[1:]}.")
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


def _percent(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text}: an accuracy is from 0 to 100 percent")
    return value


def _seeds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: a row needs one run at least")
    return int(text)


if __name__ == "__main__":
    run_command(main)
