"""One HTML page of everything that a folder of runs shows; it needs no network."""

import base64
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from foundation.files import write_atomically, writing
from results.collect import Run, collect, of_task
from results.departures import departures, recipe_table
from results.figures.make import make_figures
from results.figures.side_by_side import RULE
from results.render import Table, html_table
from results.tables.claims import claims_tables
from results.tables.epochs import epochs_table
from results.tables.errata import errata_table
from results.tables.figure_numbers import known_tables
from results.tables.inventory import ledger_table, provenance_table
from results.tables.make_tables import make_tables
from results.tables.measured import measured_tables

_MARGIN = 0.25  # as `claims`


def write_report(
    root: Path, out: Path, seeds: int | None, sources: tuple[Path, Path | None], data: Path | None
) -> None:
    """Write the page.

    Args:
        root: folder of run directories.
        out: file to write; an older one is replaced.
        seeds: runs of a complete row; None: the paper's.
        sources: the folder of the benchmarks' files, and that of commands.activations or None.
        data: the images' folder; None: the runs' own data.root.

    Raises:
        RunError: as `collect`.
        FileError: `out` cannot be written.
    """
    runs = collect(root)
    benchmarks, activations = sources
    with tempfile.TemporaryDirectory() as folder:
        told = make_figures(runs, Path(folder), activations, data)
        drawn = [name for name in told if ": " not in name]
        figures = [
            (_caption(name), _caption(name) + _tabulated(name), _embedded(Path(folder), name))
            for name in drawn
        ]
    missing = [line for line in told if ": " in line]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        title=f"Partial convolution based padding: {root.resolve().name}",
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        finished=sum(run.finished for run in runs),
        total=len(runs),
        departures=departures(runs),
        sections=_sections(runs, seeds, benchmarks),
        figures=figures,
        missing=missing,
    )
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, page.encode())


def _sections(
    runs: list[Run], seeds: int | None, benchmarks: Path
) -> list[tuple[str, str, list[Markup]]]:
    """Return the page's parts that are tables: anchor, heading, tables."""
    images, scenes = of_task(runs, "classification"), of_task(runs, "segmentation")
    claims = claims_tables(runs, "best", _MARGIN)
    claims += [epochs_table(images), *known_tables(images)] if images else []
    tables = [*measured_tables(benchmarks), *make_tables(runs, seeds, "sample")]
    parts: list[tuple[str, str, Iterable[Table]]] = [
        ("claims", "What the runs show", claims),
        ("tables", "The paper's tables", tables),
        ("ledger", "The runs", [ledger_table(runs)]),
        ("recipe", "The recipe", [recipe_table(part) for part in (images, scenes) if part]),
        ("provenance", "Provenance", [provenance_table(runs)]),
    ]
    if images:
        parts.append(("errata", "Erratum: the paper's stdev column", [errata_table()]))
    return [
        (anchor, heading, [Markup(html_table(table)) for table in made])  # noqa: S704 - escaped
        for anchor, heading, made in parts
    ]


_CAPTIONS = {
    "fig_1_best": "Fig. 1: the best epoch's top-1; every run, means and their intervals",
    "fig_1_last5_avg": "Fig. 1: the mean of the last five epochs; every run, means and intervals",
    "fig_2_padding": "Fig. 2: what partial convolution based padding does",
    "fig_3": "Fig. 3: accuracy over the epochs",
    "fig_4": "Fig. 4: images that partial padding gets right and zero padding does not",
    "fig_5": "Fig. 5: activation maps",
    "where": "Where partial padding helps",
    "miou_best": "The best epoch's mIoU; every run, means and their intervals (Table 5)",
    "fig_6": f"Fig. 6: image, truth, zero, partial, on tiles with 1/3 overlap: {RULE}",
    "fig_7_left_out": "Fig. 7: what Table 7's proportions leave out of the centre",
    "fig_8": f"Fig. 8: image, truth, zero, partial, on tiles without overlap: {RULE}",
    "border": "mIoU by the distance to the border",
    "curves": "mIoU over the iterations",
    "runs": "Every run's curves",
}


# Whose numbers stand in tables; the others' alone in the picture.
_TABULATED = {"fig_1_best", "fig_1_last5_avg", "fig_4", "where", "miou_best", "border"}


def _start(name: str) -> str:
    return next((start for start in _CAPTIONS if name.startswith(start)), "")


def _tabulated(name: str) -> str:
    """Return what a text that stands for a figure says of where its numbers are."""
    start = _start(name)
    if start == "fig_3":
        return "; the epochs that it marks are in the tables below"
    return "; its numbers are in the tables below" if start in _TABULATED else ""


def _caption(name: str) -> str:
    """Return what a figure shows; what its name has more is the network's."""
    start = _start(name)
    rest = name.removeprefix(start).strip("_")
    return ", ".join(filter(None, [_CAPTIONS.get(start, ""), rest]))


def _embedded(folder: Path, name: str) -> str:
    content = (folder / f"{name}.svg").read_bytes()
    return f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}"
