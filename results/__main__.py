"""Tables from run directories.

python -m results tables --runs runs --out tables --format latex
"""

import argparse
from pathlib import Path

from foundation.errors import UserError, run_command
from results.collect import collect, has_runs
from results.render import SUFFIXES, render
from results.tables.accuracy import accuracy_table
from results.tables.cross import cross_table
from results.tables.measured import measured_tables


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m results", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    tables = commands.add_parser("tables", help="Tables 1 to 4 beside the paper's")
    tables.add_argument("--runs", type=Path, default=Path("runs"), help="folder of run directories")
    tables.add_argument(
        "--benchmarks",
        type=Path,
        help="folder of the benchmarks' JSON files, for Table 1 (default: RUNS/benchmarks)",
    )
    tables.add_argument("--out", type=Path, help="write files here as well")
    tables.add_argument("--format", choices=SUFFIXES, default="markdown")
    tables.add_argument(
        "--stdev",
        choices=("sample", "paper"),
        default="sample",
        help="formula of the stdev column: the sample stdev, or the two that the paper mixes",
    )
    tables.add_argument(
        "--seeds", type=int, default=5, help="runs of a complete row (default: the paper's 5)"
    )
    _tables(parser.parse_args())


def _tables(arguments: argparse.Namespace) -> None:
    made = measured_tables(arguments.benchmarks or arguments.runs / "benchmarks")
    if not made or has_runs(arguments.runs):  # Table 1 needs no runs
        runs, seeds = collect(arguments.runs), arguments.seeds
        made += [
            accuracy_table(runs, "best", seeds, arguments.stdev),
            accuracy_table(runs, "last5_avg", seeds, arguments.stdev),
            cross_table(runs, seeds),
        ]
    texts = {table.name: render(table, arguments.format) for table in made}
    if arguments.out:  # first: whoever reads what is printed may stop early
        try:
            arguments.out.mkdir(parents=True, exist_ok=True)
            for name, text in texts.items():
                (arguments.out / (name + SUFFIXES[arguments.format])).write_text(text)
        except OSError as error:
            raise UserError(f"{arguments.out}: cannot write there ({error.strerror})") from None
    print("\n".join(texts.values()))


if __name__ == "__main__":
    run_command(main)
