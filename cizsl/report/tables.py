"""The tables of a section, as text in cells: :mod:`cizsl.report.markdown` and
:mod:`cizsl.report.html` show them.

Every one holds runs of one protocol and one kind of data; what is not comparable with them stands
in a table of its own with a title that says so.
"""

from dataclasses import dataclass
from itertools import product
from statistics import fmean, stdev

from cizsl.report.grouping import Row, Section
from cizsl.report.published_numbers import BENCHMARKS
from cizsl.report.runs import CHOSEN, Run
from cizsl.training.results import RETRIEVAL, SCORES

HEADINGS = {"top1": "top-1", "per_class_top1": "per-class top-1", "ausuc": "AUSUC"}
HEADINGS |= {"seen": "seen", "unseen": "unseen", "harmonic": "H"}
HEADINGS |= {"map25": "mAP 25 %", "map50": "mAP 50 %", "map100": "mAP 100 %"}
SHORT = {"per_class_top1": "T1", "unseen": "u", "seen": "s"}  # as GBU papers have it
EVALUATIONS = {"best_on_test": "best on test", "selected": "selected", "final": "final"}
NOT_COMPARABLE = "Not comparable, for orientation: published numbers"


BESIDE = "Closed-form baselines on the same data, chosen on validation classes: strict protocol"


@dataclass(frozen=True)
class Table:
    """``header``: (group, name) of each column; ``lines``: kind and cells of each row, the kind
    being "run", "baseline", "published" or "chance"."""

    title: str
    header: tuple[tuple[str, str], ...]
    lines: tuple[tuple[str, tuple[str, ...]], ...]


def tables(letter: str, section: Section) -> list[Table]:
    """The tables of a section: the overview, baselines and published numbers where they are not
    part of it, retrieval, the details."""
    chosen = EVALUATIONS[CHOSEN[section.protocol]]
    header = [("", name) for name in ("", "Method", "Features", "Seeds")]
    benchmark, headings = BENCHMARKS[section.benchmark], HEADINGS
    if section.benchmark == "gbu":
        headings = HEADINGS | SHORT
    for dataset, split in section.cells:
        header += [(f"{dataset} {split}", headings[name]) for name in benchmark.scores]
    lines = [_overview(f"{letter}{i}", row, section) for i, row in enumerate(section.rows, 1)]
    published = _published(section) if section.protocol == "reference" else []
    if section.kind == "published":
        lines += [*published, _chance(section)]
    result = [Table(f"Overview, {chosen}", tuple(header), tuple(lines))]
    if section.protocol == "reference" and section.baselines:
        beside = tuple(_overview("", row, section) for row in section.baselines)
        result.append(Table(BESIDE, tuple(header), beside))
    if section.kind != "published" and published:
        title = f"{NOT_COMPARABLE}, on {benchmark.feature_dim} features"
        result.append(Table(title, tuple(header), tuple(published)))
    retrieval = _details("Retrieval", letter, section, RETRIEVAL)
    result += [retrieval] if retrieval.lines else []
    return [*result, _details("Details", letter, section, SCORES)]


def statistics(values: list[float]) -> str:
    """Mean ± standard deviation in %, from fractions; one value has no deviation."""
    spread = f" ± {100 * stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * fmean(values):.2f}{spread}"


def _overview(name: str, row: Row, section: Section) -> tuple[str, tuple[str, ...]]:
    features = str(row.runs[0].summary.feature_dim or "not recorded")
    cells = [name, section.label(row), features, _counts(row)]
    for cell in section.cells:
        runs = row.cells.get(cell, ())
        for score in BENCHMARKS[section.benchmark].scores:
            cells.append(statistics([getattr(r.scores, score) for r in runs]) if runs else "")
    return "run" if row.is_trained else "baseline", tuple(cells)


def _counts(row: Row) -> str:
    if not row.is_trained:
        return "any"
    counts = [str(len(runs)) for runs in row.cells.values()]
    return counts[0] if len(set(counts)) == 1 else " / ".join(counts)


def _published(section: Section) -> list[tuple[str, tuple[str, ...]]]:
    """The published numbers of the section's cells; none where one of them has no such numbers."""
    benchmark = BENCHMARKS[section.benchmark]
    if not set(section.cells) <= set(benchmark.cells):
        return []
    places = [benchmark.cells.index(cell) for cell in section.cells]
    lines = []
    for name, numbers in benchmark.published.items():
        cells = [numbers[score][place] or "" for place in places for score in benchmark.scores]
        who = ("", f"published: {name}", str(benchmark.feature_dim), "")
        lines.append(("published", (*who, *cells)))
    return lines


def _chance(section: Section) -> tuple[str, tuple[str, ...]]:
    """What a blind choice among the unseen classes gets, in the first score of each cell."""
    benchmark, cells = BENCHMARKS[section.benchmark], []
    for cell in section.cells:
        count = benchmark.unseen_classes[benchmark.cells.index(cell)]
        cells += [f"{100 / count:.2f}", *[""] * (len(benchmark.scores) - 1)]
    return "chance", ("", "chance, 1 / unseen classes", "", "", *cells)


def _details(title: str, letter: str, section: Section, names: tuple[str, ...]) -> Table:
    """A line for each row, cell and evaluation, over the runs that have measured ``names``."""
    header = ("", "Data", "Evaluation", "Seeds", *(HEADINGS[name] for name in names))
    lines = []
    kinds = ["best_on_test", "final"] if section.protocol == "reference" else ["selected"]
    for cell, kind in product(section.cells, kinds):
        for number, row in enumerate(section.rows, 1):
            runs = [r for r in row.cells.get(cell, ()) if _measured(r, kind, names)]
            if runs:
                seeds = ", ".join(str(run.summary.seed) for run in runs)
                scores = [run.summary.metrics[kind] for run in runs]
                cells = [statistics([getattr(s, name) for s in scores]) for name in names]
                where = (f"{letter}{number}", " ".join(cell), EVALUATIONS[kind])
                lines.append(("run", (*where, seeds if row.is_trained else "any", *cells)))
    return Table(title, tuple(("", name) for name in header), tuple(lines))


def _measured(run: Run, kind: str, names: tuple[str, ...]) -> bool:
    return all(getattr(run.summary.metrics[kind], name) is not None for name in names)
