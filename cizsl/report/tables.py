"""The tables of a section.

Each holds runs of one protocol and one kind of data. Published numbers stand beside the reference
protocol only, in the same table only where the data have the published size: they were chosen on
the test classes, as ``best_on_test`` is, and ``selected`` is not. Elsewhere they have a table whose
title says so.
"""

from collections.abc import Iterable
from itertools import product
from statistics import fmean, stdev

from cizsl.report.grouping import Cell, Row, Section
from cizsl.report.labels import label
from cizsl.report.runs import Run
from cizsl.training.records import CALIBRATED, CHOSEN, DISCRIMINATOR, EVERY, RETRIEVAL, SCORES
from repro.pages.tables import Column, Line, Table

HEADINGS = {"top1": "top-1", "per_class_top1": "per-class top-1", "ausuc": "AUSUC"}
HEADINGS |= {"seen": "seen", "unseen": "unseen", "harmonic": "H"}
HEADINGS |= {"calibrated_seen": "seen at offset", "calibrated_unseen": "unseen at offset"}
HEADINGS |= {"calibrated_harmonic": "H at offset"}
HEADINGS |= {"map25": "mAP 25 %", "map50": "mAP 50 %", "map100": "mAP 100 %"}
SHORT = {"per_class_top1": "T1", "unseen": "u", "seen": "s"}  # as GBU papers have it
EVALUATIONS = {"best_on_test": "best on test", "selected": "selected", "final": "final"}
EVALUATIONS |= {DISCRIMINATOR: "discriminator's classifier, final"}
AT_OFFSET = "Calibrated: all classes compete, at the offset that validation classes chose"
BESIDE = "Closed-form baselines on the same data, chosen on validation classes: strict protocol"
OWN = "the discriminator's own classifier, last evaluation, no synthetic features"
NOT_COMPARABLE = "Not comparable, for orientation: published numbers"
FIRST = (Column(""), Column("Method", kind="wide"), Column("Features"), Column("Seeds"))


def tables(section: Section) -> list[Table]:
    """Return the tables of a section: the overview, baselines and published numbers where they are
    not part of it, calibrated accuracies, retrieval, and the details last.

    Columns without any number are left out.
    """
    every = [overview(section), _beside(section), _orientation(section)]
    every += [_details(AT_OFFSET, section, CALIBRATED), _details("Retrieval", section, RETRIEVAL)]
    every += [_details("Details", section, SCORES)]
    return [table.without_empty_columns() for table in every if table.lines]


def overview(section: Section) -> Table:
    """Return the first scores of every row, with published numbers and the chance level."""
    lines = [_overview_line(name, row, section) for name, row in section.named_rows]
    lines += [_own_line(name, row, section) for name, row in section.named_rows if _has_own(row)]
    if section.kind == "published" and section.protocol == "reference":
        lines += published_lines(section)
    lines += _chance(section)
    chosen = EVALUATIONS[CHOSEN[section.protocol]]
    return Table(f"Overview, {chosen}", _columns(section), tuple(lines))


def every_score(sections: Iterable[Section]) -> Table:
    """Return one table of all sections with a line for each row, cell and evaluation."""
    names = ("Section", "", "Method", "Dataset", "Split", "Evaluation", "Seeds")
    lines = []
    for section in sections:
        first = f"{section.kind} data, {section.protocol} protocol"
        for cell, evaluation, (name, row) in _places(section):
            if runs := _with(evaluation, row.cells.get(cell, ())):
                scores = [_statistics_where_measured(runs, evaluation, score) for score in EVERY]
                where = (first, name, label(row, section), *cell, evaluation, _seeds(row, runs))
                lines.append(Line("run", (*where, *scores)))
        lines += _chance_lines(first, section)
    columns = (*map(Column, names), *(Column(name) for name in EVERY))
    return Table("Every score, in %", columns, tuple(lines))


def _chance_lines(first: str, section: Section) -> list[Line]:
    """Return the chance level of each cell as a line of :func:`every_score`."""
    lines = []
    for cell in section.cells:
        name = section.benchmark.scores[0]
        scores = [chance(section, cell) if score == name else "" for score in EVERY]
        if any(scores):
            lines.append(Line("chance", (first, "", "chance", *cell, "", "", *scores)))
    return lines


def statistics(values: list[float]) -> str:
    """Return mean ± standard deviation (n - 1) in %, from fractions; one value has no deviation."""
    spread = f" ± {100 * stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * fmean(values):.2f}{spread}"


def published_lines(section: Section) -> list[Line]:
    """Return the published numbers of the section's cells; none if one of them has no such."""
    benchmark = section.benchmark
    if not set(section.cells) <= set(benchmark.cells):
        return []
    places = [benchmark.cells.index(cell) for cell in section.cells]
    lines = []
    for name, numbers in benchmark.published.items():
        cells = [
            (numbers[score][place] if score in numbers else None) or ""
            for place in places
            for score in benchmark.scores
        ]
        if any(cells):
            who = ("", f"published: {name}", str(benchmark.feature_dim), "")
            lines.append(Line("published", (*who, *cells)))
    return lines


def chance(section: Section, cell: Cell) -> str:
    """Return what a blind choice among the unseen classes of ``cell`` gets, in %.

    Several numbers stand where runs differ in their unseen classes; empty where none says.
    """
    runs = [run for row in section.rows for run in row.cells.get(cell, ())]
    counts = sorted({run.unseen_classes for run in runs if run.unseen_classes})
    return " / ".join(f"{100 / count:.2f}" for count in counts)


def _columns(section: Section) -> tuple[Column, ...]:
    headings = HEADINGS | SHORT if section.benchmark_name == "gbu" else HEADINGS
    scores = [
        Column(headings[score], " ".join(cell), "number")
        for cell in section.cells
        for score in section.benchmark.scores
    ]
    return (*FIRST, *scores)


def _overview_line(name: str, row: Row, section: Section) -> Line:
    features = str(row.runs[0].summary.feature_dim or "not recorded")
    cells = [name, label(row, section), features, _counts(row)]
    for cell in section.cells:
        runs = row.cells.get(cell, ())
        for score in section.benchmark.scores:
            cells.append(statistics([getattr(r.scores, score) for r in runs]) if runs else "")
    return Line("run" if row.is_trained else "baseline", tuple(cells))


def _has_own(row: Row) -> bool:
    return bool(_with(DISCRIMINATOR, row.runs))


def _own_line(name: str, row: Row, section: Section) -> Line:
    """The overview's line of the classifier that the discriminator of a row is, at the end."""
    cells = ["", f"{name}: {OWN}", str(row.runs[0].summary.feature_dim or "not recorded"), ""]
    for cell in section.cells:
        runs = _with(DISCRIMINATOR, row.cells.get(cell, ()))
        cells += [
            _statistics_where_measured(runs, DISCRIMINATOR, score)
            for score in section.benchmark.scores
        ]
    return Line("run", tuple(cells))


def _counts(row: Row) -> str:
    """Return the number of seeds, one for each cell where they differ."""
    if not row.is_trained:
        return "any"
    counts = [str(len(runs)) for runs in row.cells.values()]
    return counts[0] if len(set(counts)) == 1 else " / ".join(counts)


def _chance(section: Section) -> list[Line]:
    """Return the line of the chance level, which the first score of each cell has."""
    blank = [""] * (len(section.benchmark.scores) - 1)
    cells = [text for cell in section.cells for text in (chance(section, cell), *blank)]
    name = "chance, 1 / unseen classes"
    return [Line("chance", ("", name, "", "", *cells))] if any(cells) else []


def _beside(section: Section) -> Table:
    """Return the table of the baselines that stands below the runs of the reference protocol."""
    rows = section.baselines if section.protocol == "reference" else ()
    lines = tuple(_overview_line("", row, section) for row in rows)
    return Table(BESIDE, _columns(section), lines)


def _orientation(section: Section) -> Table:
    """Return the published numbers where they are not comparable with the runs."""
    shown = section.protocol == "reference" and section.kind != "published"
    title = f"{NOT_COMPARABLE}, on {section.benchmark.feature_dim} features"
    return Table(title, _columns(section), tuple(published_lines(section) if shown else ()))


def _details(title: str, section: Section, names: tuple[str, ...]) -> Table:
    """Return a line for each row, cell and evaluation, over the runs that measured ``names``."""
    lines = []
    for cell, evaluation, (name, row) in _places(section):
        there = _with(evaluation, row.cells.get(cell, ()))
        runs = [run for run in there if _measured(run, evaluation, names)]
        if runs:
            scores = [_statistics_where_measured(runs, evaluation, score) for score in names]
            where = (name, " ".join(cell), EVALUATIONS[evaluation], _seeds(row, runs))
            lines.append(Line("run", (*where, *scores)))
    first = tuple(map(Column, ("", "Data", "Evaluation", "Seeds")))
    scores = tuple(Column(HEADINGS[name], kind="number") for name in names)
    return Table(title, first + scores, tuple(lines))


def _places(section: Section) -> Iterable[tuple[Cell, str, tuple[str, Row]]]:
    """Yield every cell, evaluation and named row of a section."""
    kinds = ["best_on_test", "final"] if section.protocol == "reference" else ["selected"]
    return product(section.cells, [*kinds, DISCRIMINATOR], section.named_rows)


def _with(evaluation: str, runs: Iterable[Run]) -> list[Run]:
    return [run for run in runs if evaluation in run.summary.metrics]


def _seeds(row: Row, runs: Iterable[Run]) -> str:
    return ", ".join(str(run.summary.seed) for run in runs) if row.is_trained else "any"


def _measured(run: Run, evaluation: str, names: tuple[str, ...]) -> bool:
    scores = run.summary.metrics[evaluation]
    return all(getattr(scores, name) is not None for name in names)


def _statistics_where_measured(runs: Iterable[Run], evaluation: str, score: str) -> str:
    values = [getattr(run.summary.metrics[evaluation], score) for run in runs]
    known = [value for value in values if value is not None]
    return statistics(known) if known else ""
