"""The results as one HTML page that needs nothing else: no script, no font, no request.

It shows the tables of :mod:`cizsl.report.markdown`, the seen-unseen curves as inline SVG, and where
each number is from: run folder, seed, commit, checksums of the data files. The templates stand in
`cizsl/report/templates`.
"""

from collections.abc import Iterable

from cizsl.report import compare_text
from cizsl.report.captions import captions, heading
from cizsl.report.compare import Comparison
from cizsl.report.curves import chart
from cizsl.report.findings import beaten_by_baselines, lead, meaning
from cizsl.report.grouping import Row, Section, group
from cizsl.report.labels import description
from cizsl.report.published_numbers import BENCHMARKS
from cizsl.report.runs import Run
from cizsl.report.tables import tables
from repro.pages.html import render
from repro.pages.tables import Column, Line, Table

POINTS = 50_000  # of all curves together: keeps a page below 1 MB
ORIGINS = (
    Column(""),
    Column("Data"),
    *(Column(name, kind="number") for name in ("Seed", "top-1", "AUSUC", "Iterations", "Time")),
    Column("Device"),
    Column("Commit"),
    Column("Data files"),
    Column("Folder", kind="wide"),
)


def page(runs: list[Run], comparison: Comparison | None = None) -> str:
    """Return the whole document; a comparison, where there is one, comes first."""
    sections, left_out = group(runs)
    points = max(20, min(150, POINTS // max(1, len(runs))))
    return render(
        "cizsl.report",
        "page.html",
        title="Zero-shot recognition: results",
        lead=lead(sections, comparison),
        meaning=meaning(sections),
        comparison=_comparison(comparison) if comparison else None,
        sections=[_section(section, points) for section in sections],
        sources=_sources(sections),
        left_out=left_out,
        data_files=_data_files(sections),
    )


def _comparison(comparison: Comparison) -> dict:
    blocks = [
        {"table": compare_text.table(block), "sentences": compare_text.sentences(block)}
        for block in comparison.blocks
    ]
    return {
        "legend": compare_text.legend(comparison),
        "title": compare_text.TITLES[comparison.by],
        "rule": compare_text.RULES[comparison.by],
        "blocks": blocks,
        "left_out": comparison.left_out,
        "caution": compare_text.caution(comparison),
    }


def _section(section: Section, points: int) -> dict:
    overview, *between, details = tables(section)
    charts = (chart(cell, section, points) for cell in section.cells)
    return {
        "letter": section.letter,
        "heading": heading(section),
        "warns": section.kind != "published",
        "captions": captions(section),
        "overview": overview,
        "rows": [(name, description(row)) for name, row in section.named_rows],
        "finding": " ".join(beaten_by_baselines(section)),
        "between": between,
        "charts": [drawn for drawn in charts if drawn],
        "details": details,
        "origins": _origins(section.named_rows),
    }


def _sources(sections: Iterable[Section]) -> list[tuple[str, str]]:
    """Return name and source of the published numbers that are shown as comparable, or nearly."""
    shown = [s for s in sections if s.protocol == "reference" and s.kind not in ("own", "toy")]
    names = dict.fromkeys(section.benchmark_name for section in shown)
    return [
        (name, numbers["source"])
        for benchmark in names
        for name, numbers in BENCHMARKS[benchmark].published.items()
    ]


def _origins(named_rows: Iterable[tuple[str, Row]]) -> Table:
    """Return where each number is from: one line for each run."""
    lines = (_origin(name, run) for name, row in named_rows for run in row.runs)
    return Table("Runs, and where they are", ORIGINS, tuple(lines)).without_empty_columns()


def _origin(name: str, run: Run) -> Line:
    summary, scores = run.summary, (run.scores.top1, run.scores.ausuc)
    return Line(
        "run",
        (
            name,
            " ".join(run.cell),
            str(summary.seed),
            *(f"{100 * value:.2f}" for value in scores),
            str(summary.iterations),
            f"{summary.seconds:.0f} s",
            summary.device,
            _commit(run),
            run.data_id or "not recorded",
            str(run.folder),
        ),
    )


def _commit(run: Run) -> str:
    """Return enough digits to find the commit, and whether the source differed from it."""
    commit, sign, changes = (run.environment.git_commit or "not recorded").partition("+")
    return commit[:12] + sign + changes


def _data_files(sections: Iterable[Section]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return cell, number, and the checksums by file name, of every set of data files once."""
    runs = (run for section in sections for row in section.rows for run in row.runs)
    known = {run.data_id: run for run in runs if run.data_id}
    return [
        (" ".join(run.cell), data_id, sorted(run.data_files.items()))
        for data_id, run in known.items()
    ]
