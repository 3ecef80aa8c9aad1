"""One HTML page of everything that a folder of runs shows; it needs no network."""

import base64
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from foundation.files import write_atomically, writing
from results.collect import Run, collect, of_task
from results.departures import departures, recipe_table
from results.figures.choices import Choices
from results.figures.make import make_figures
from results.figures.planned import Told
from results.numbers import MEASURES
from results.printed import MARGIN
from results.render import Table, html_table
from results.tables.claims import claims_tables
from results.tables.epochs import epochs_table
from results.tables.errata import errata_table
from results.tables.figure_numbers import known_tables
from results.tables.inventory import ledger_table, provenance_table
from results.tables.make_tables import make_tables
from results.tables.measured import measured_tables


def write_report(
    root: Path, out: Path, seeds: int | None, benchmarks: Path, choices: Choices
) -> None:
    """Write the page.

    Args:
        root: folder of run directories.
        out: file to write; an older one is replaced.
        seeds: runs of a complete row; None: the paper's.
        benchmarks: folder of the benchmarks' files.
        choices: what the figures are made of.

    Raises:
        RunError: as `collect`.
        FileError: `out` cannot be written.
    """
    runs = collect(root)
    with tempfile.TemporaryDirectory() as folder:
        made = make_figures(runs, Path(folder), choices)
        figures = [
            (told.caption, _alternative(told), _embedded(Path(folder), told.name))
            for told in made
            if told.reason is None
        ]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["html"] = lambda table: Markup(html_table(table))  # noqa: S704 - escaped
    page = environment.get_template("report.html.j2").render(
        title=f"Partial convolution based padding: {root.resolve().name}",
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        finished=sum(run.finished for run in runs),
        total=len(runs),
        departures=departures(runs),
        sections=_sections(runs, seeds, benchmarks, choices.accuracy),
        figures=figures,
        missing=[told.line for told in made if told.reason is not None],
    )
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, page.encode())


def _sections(
    runs: list[Run], seeds: int | None, benchmarks: Path, accuracy: float | None
) -> list[tuple[str, str, list[Table]]]:
    """Return the page's parts that are tables: anchor, heading, tables."""
    images, scenes = of_task(runs, "classification"), of_task(runs, "segmentation")
    claims = []
    for measure in MEASURES if images else ():
        claims += claims_tables(images, measure, MARGIN)
    claims += claims_tables(scenes, "best", MARGIN) if scenes else []
    claims += [epochs_table(images, accuracy), *known_tables(images)] if images else []
    tables = [*measured_tables(benchmarks), *make_tables(runs, seeds, "sample")]
    parts = [
        ("claims", "What the runs show", claims),
        ("tables", "The paper's tables", tables),
        ("ledger", "The runs", [ledger_table(runs)]),
        ("recipe", "The recipe", [recipe_table(part) for part in (images, scenes) if part]),
        ("provenance", "Provenance", [provenance_table(runs)]),
    ]
    if images:
        parts.append(("errata", "Erratum: the paper's stdev column", [errata_table()]))
    return parts


def _alternative(told: Told) -> str:
    """Return the text that stands for a figure, and where its numbers are."""
    below = f"{told.tabulated} are in the tables below" if told.tabulated else ""
    return "; ".join(filter(None, [told.caption, below]))


def _embedded(folder: Path, name: str) -> str:
    content = (folder / f"{name}.svg").read_bytes()
    return f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}"
