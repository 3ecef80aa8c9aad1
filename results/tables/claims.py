"""The paper's claims, tested on the paper's printed runs and on ours beside them."""

from results import printed, section_4_2
from results.collect import Run, of_task
from results.diverged import without_diverged
from results.findings import ALPHA, POOLED, Finding, Findings
from results.mode_scores import own_scores
from results.notes import about, few_epochs
from results.numbers import (
    Measure,
    evaluated,
    miou_numbers,
    numbers_of,
    printed_miou_numbers,
    printed_numbers,
)
from results.render import Table
from results.section_4_1 import ORDER, accuracy_findings, printed_cross, sooner
from results.tables.rows import p_cell
from results.time_to_accuracy import LEVEL


def claims_tables(runs: list[Run], measure: Measure, margin: float) -> list[Table]:
    """Return the claims of both halves of the paper, or of those that the runs are of.

    Args:
        runs: of `collect`; none: the paper's alone.
        measure, margin: as claims_table.
    """
    images, scenes = of_task(runs, "classification"), of_task(runs, "segmentation")
    made = [claims_table(images, measure, margin)] if images or not runs else []
    return made + ([scene_claims_table(scenes)] if scenes or not runs else [])


def claims_table(runs: list[Run], measure: Measure, margin: float) -> Table:
    """Return a row for each claim and network, the paper's runs and ours beside each other.

    Args:
        runs: of classification; none: the paper's alone.
        measure: Table 2's or Table 3's number of a run.
        margin: percentage points below which paddings are called similar.
    """
    number = 2 if measure == "best" else 3
    paper = accuracy_findings(printed_numbers(number), printed_cross(), margin, pair=False)
    kept, left = without_diverged(runs, (measure,))
    ours = accuracy_findings(numbers_of(kept, measure), evaluated(kept), margin, pair=True)
    ours |= sooner(runs)
    title = f"The paper's claims, on its own printed runs and on ours ({measure} top-1)"
    return _table((f"claims_{measure}", title), paper, ours, sorted(paper | ours, key=_place),
                  (*about(runs), *few_epochs(runs, measure), *left, *_notes(margin),
                   *((_SOONER,) if runs else ())))  # fmt: skip


def scene_claims_table(runs: list[Run]) -> Table:
    """Return the same of Section 4.2's claims.

    Args:
        runs: of segmentation; none: the paper's alone.

    Raises:
        RunError: as `own_scores`.
    """
    paper = section_4_2.miou_findings(printed_miou_numbers(), pair=False)
    paper |= section_4_2.gain_findings(section_4_2.printed_gains(), pair=False)
    kept, left = without_diverged(runs, ("best",))
    ours = section_4_2.miou_findings(miou_numbers(kept), pair=True)
    ours |= section_4_2.gain_findings(section_4_2.gains_of(own_scores(kept)), pair=True)
    order = {claim: place for place, claim in enumerate(section_4_2.ORDER)}
    keys = sorted(paper | ours, key=lambda key: (order[key[0]], key[1] == POOLED, key[1]))
    title = "Section 4.2's claims, on the paper's printed runs and on ours (mIoU)"
    notes = (*about(runs), *left, *_SCENE_NOTES)
    return _table(("claims_segmentation", title), paper, ours, keys, notes)


def _table(
    names: tuple[str, str],
    paper: Findings,
    ours: Findings,
    keys: list[tuple[str, str]],
    notes: tuple[str, ...],
) -> Table:
    nothing = Finding("", "", None, "")
    rows = [
        (claim, network, *_cells(paper.get(key, nothing)), *_cells(ours.get(key, nothing)))
        for key in keys
        for claim, network in [key]
    ]
    columns = ("test", "effect", "p (Holm)", "verdict", "seeds")
    sides = [f"{side}: {column}" for side in ("paper", "ours") for column in columns]
    return Table(
        name=names[0],
        title=names[1],
        names=2,
        columns=("claim", "network", *sides),
        rows=tuple(rows),
        notes=notes,
        bold=frozenset(
            (i, j)
            for i, row in enumerate(rows)
            for j, cell in enumerate(row)
            if cell in ("supported", "contradicted")
        ),
    )


def _place(key: tuple[str, str]) -> tuple:
    claim, network = key
    place = ORDER.index(claim) if claim in ORDER else len(ORDER)  # below: ONE_RUN, other paddings
    return place, network == POOLED, printed.place(network, "")


def _cells(finding: Finding) -> tuple[str, ...]:
    return (finding.test, finding.effect, p_cell(finding.p), finding.verdict, finding.seeds)


_SIDES = (
    "paper: its printed runs; whose seeds pair is not known, so Welch. ours: paired by seed "
    "(Welch where they share none, or one while both have more)."
)
_VERDICTS = (
    f"supported, contradicted: p < {ALPHA:g} in the claim's direction, against it. Not decided "
    "is no evidence of no effect."
)
_RUNS = (
    "seeds: runs a padding (and network) with which the effect is found in 80 % of studies, were "
    "effect and spreads as measured: t-test that it is not 0 (also beside a test against the "
    "margin), paired where the row's is; F-test for spreads; without correction."
)
_SOONER = (
    f"Fig. 3: {LEVEL[0].lower()}{LEVEL[1:]} Runs that diverged by their best epoch or their last "
    "five do not count there."
)
_POOLED = f"{POOLED}: those with two runs or more of both paddings; the test names the others."


def _notes(margin: float) -> tuple[str, ...]:
    return (
        _SIDES,
        "p: two-sided, but against the margin. Holm: partial, reflect and replicate against zero "
        "over all networks are one family (Table 2's 15); both claims of the margin, spreads, "
        "epochs and Table 4 one each; a pooled test stands alone. [ ]: 95 % intervals, without "
        "correction.",
        f"similar to zero or worse: less than {margin:g} points above it, one-sided (contradicted: "
        f"more). Within the margin: less than {margin:g} points apart, by two one-sided tests "
        "(TOST).",
        _POOLED,
        _VERDICTS,
        _RUNS,
    )


_SCENE_NOTES = (
    _SIDES,
    "p: two-sided. Holm: a family each claim, over networks and splits; the pooled test stands "
    "alone.",
    "Tables 6 and 7: by how much more partial gains than zero, from whole images to tiles, and "
    "from all of the tiles to what is left of them. The paper's are of one run each; whether it "
    "leaves out the centre of each image or of each tile is not known, so it stands in both rows.",
    _POOLED,
    _VERDICTS,
    _RUNS,
)
