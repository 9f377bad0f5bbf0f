"""The table of finished runs, as Markdown and (with :mod:`cizsl.page`) as one HTML page.

For each row and cell: mean and standard deviation (n - 1) over seeds, in %. Each protocol and each
kind of data has tables of its own. Published numbers stand beside the reference protocol only, in
the same table only where the data have the published size: they were chosen on the test classes,
as ``best_on_test`` is, and ``selected`` is not. Elsewhere they have a table that says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from string import ascii_uppercase

from cizsl.published import CELLS, FEATURE_DIM, PUBLISHED, UNSEEN_CLASSES
from cizsl.results import SCORES
from cizsl.rows import Row, Section, group
from cizsl.runs import CHOSEN, Run, collect
from repro.checkpoint import write_atomically
from repro.errors import InputError

HEADINGS = {"top1": "top-1", "per_class_top1": "per-class top-1", "ausuc": "AUSUC"}
HEADINGS |= {"seen": "seen", "unseen": "unseen", "harmonic": "H"}
EVALUATIONS = {"best_on_test": "best on test", "selected": "selected", "final": "final"}
KIND_TITLES = {
    "published": "Data of the published size",
    "other": "NOT THE PUBLISHED DATA",
    "own": "DATA OF ONE'S OWN",
    "toy": "TOY DATA",
}
PROTOCOL_NOTES = {
    "reference": "Best on test: the best top-1 and the best AUSUC, each on its own, among all "
    "evaluations on the test classes (per-class top-1 is from the first of the two; seen, unseen "
    "and H are from the second). So all of these are optimistic.",
    "strict": "Selected: validation classes, carved from the seen ones, decided how long to train; "
    "then came one training on all seen classes and one look at the test classes. Seen accuracy is "
    "on held-out images.",
}
PUBLISHED_NOTES = {
    "reference": "The published numbers were selected on the test classes too.",
    "strict": "The published numbers are not shown here, because they were selected on the test "
    "classes and measure seen accuracy on training images: they are not comparable.",
}
KIND_NOTES = {
    "published": f"These data have the published size, {FEATURE_DIM} features. That does not prove "
    "them to be the published files, whose checksums are unknown for features and text.",
    "other": "Real classes and labels may stand behind these runs, but not the published visual "
    f"features: another number of them than {FEATURE_DIM} (see the column), or other labels or "
    "class splits. No number here can be compared with a published one.",
    "own": "Neither CUB nor NAB: no published number belongs beside these.",
    "toy": "TOY DATA: invented birds. CUB and NAB only name the file layout; no number here says "
    "anything about real birds or compares with a published number.",
}
SPREAD = "In %: the mean over seeds, ± the standard deviation where there are several."
NOT_COMPARABLE = f"Not comparable, for orientation: published numbers, on {FEATURE_DIM} features"


@dataclass(frozen=True)
class Table:
    """``header``: (group, name) of each column; ``lines``: kind and cells of each row, the kind
    being "run", "published" or "chance"."""

    title: str
    header: tuple[tuple[str, str], ...]
    lines: tuple[tuple[str, tuple[str, ...]], ...]


def run_table(paths: Iterable[Path], html_path: Path | None = None) -> int:
    """Print the tables of the runs at ``paths``; write the page, if asked to. The exit code."""
    runs = collect(paths)
    print(table(runs))
    if html_path is not None:
        content = html(runs).encode()
        try:
            write_atomically(Path(html_path), lambda file: file.write(content))
        except OSError as error:
            raise InputError(f"{html_path}: cannot be written: {error.strerror}") from None
        print(f"page: {html_path}\n")
    print(meaning(runs))
    return 0


def table(runs: list[Run]) -> str:
    """Every table as Markdown, and what is in none of them."""
    sections, left_out = group(runs)
    parts = [] if sections else ["No finished runs.\n"]
    for letter, section in lettered(sections):
        parts.append(f"## {heading(section)}\n")
        parts += [f"{note}\n" for note in notes(section)]
        overview, *others = tables(letter, section)
        rows = enumerate(section.rows, 1)
        parts += [f"**{overview.title}**\n", _markdown(overview)]
        parts.append("".join(f"- {letter}{i}: {row.description}\n" for i, row in rows))
        for content in others:
            parts += [f"**{content.title}**\n", _markdown(content)]
    if left_out:
        parts.append("## Not in the tables\n")
        parts.append("".join(f"- {_cell(f'`{run.folder}`: {run.note}')}\n" for run in left_out))
    return "\n".join(parts)


def html(runs: list[Run]) -> str:
    """The same as one self-contained page, with the curves and where each number is from."""
    from cizsl.page import page  # which reads this module

    return page(runs)


def meaning(runs: list[Run]) -> str:
    """One sentence that says what the numbers are."""
    sections, _ = group(runs)
    kinds, protocols = {s.kind for s in sections}, {s.protocol for s in sections}
    clauses = {
        "toy": "on toy data they show that the code works and say nothing about real birds",
        "other": "on data other than the published they compare with no published number",
        "own": "on data of one's own they compare with no published number",
        "published": "on data of the published size the reference protocol compares with the "
        "published numbers",
        "reference": "the reference protocol reports the best on the test classes, so it is "
        "optimistic",
        "strict": "the strict protocol looked at the test classes once",
    }
    said = [text for name, text in clauses.items() if name in kinds | protocols]
    return f"What the numbers are: {'; '.join(said) or 'there are none yet'}."


def lettered(sections: list[Section]) -> Iterable[tuple[str, Section]]:
    """Sections with the letter that their rows' names begin with."""
    return zip(ascii_uppercase, sections, strict=False)


def heading(section: Section) -> str:
    """The title of a section: kind of data and protocol."""
    return f"{KIND_TITLES[section.kind]}: {section.protocol} protocol"


def notes(section: Section) -> list[str]:
    """What a reader must know before reading the section's numbers."""
    protocol = [PROTOCOL_NOTES[section.protocol]]
    if section.cells == CELLS:
        protocol.append(PUBLISHED_NOTES[section.protocol])
    return [KIND_NOTES[section.kind], " ".join(protocol), SPREAD]


def tables(letter: str, section: Section) -> list[Table]:
    """The tables of a section: the overview, published numbers where they belong, the details."""
    chosen = EVALUATIONS[CHOSEN[section.protocol]]
    header = [("", name) for name in ("", "Method", "Features", "Seeds")]
    for dataset, split in section.cells:
        header += [(f"{dataset} {split}", HEADINGS[name]) for name in ("top1", "ausuc")]
    lines = [_overview(f"{letter}{i}", row, section) for i, row in enumerate(section.rows, 1)]
    compares = section.protocol == "reference" and section.cells == CELLS
    published = _published() if compares else []
    if section.kind == "published":
        lines += [*published, _chance()]
    result = [Table(f"Overview, {chosen}", tuple(header), tuple(lines))]
    if section.kind != "published" and published:
        result.append(Table(NOT_COMPARABLE, tuple(header), tuple(published)))
    return [*result, _details(letter, section)]


def statistics(values: list[float]) -> str:
    """Mean ± standard deviation in %, from fractions; one value has no deviation."""
    spread = f" ± {100 * stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * fmean(values):.2f}{spread}"


def _overview(name: str, row: Row, section: Section) -> tuple[str, tuple[str, ...]]:
    features = str(row.runs[0].summary.feature_dim or "not recorded")
    cells = [name, section.label(row), features, _counts(row)]
    for cell in section.cells:
        runs = row.cells.get(cell, ())
        for score in ("top1", "ausuc"):
            cells.append(statistics([getattr(r.scores, score) for r in runs]) if runs else "")
    return "run", tuple(cells)


def _counts(row: Row) -> str:
    counts = [str(len(runs)) for runs in row.cells.values()]
    return counts[0] if len(set(counts)) == 1 else " / ".join(counts)


def _published() -> list[tuple[str, tuple[str, ...]]]:
    lines = []
    for name, numbers in PUBLISHED.items():
        pairs = zip(numbers["top1"], numbers["ausuc"], strict=True)
        cells = [value or "" for pair in pairs for value in pair]
        lines.append(("published", ("", f"published: {name}", str(FEATURE_DIM), "", *cells)))
    return lines


def _chance() -> tuple[str, tuple[str, ...]]:
    cells = [text for count in UNSEEN_CLASSES for text in (f"{100 / count:.2f}", "")]
    return "chance", ("", "chance, 1 / unseen classes", "", "", *cells)


def _details(letter: str, section: Section) -> Table:
    header = ("", "Data", "Evaluation", "Seeds", *(HEADINGS[name] for name in SCORES))
    lines = []
    kinds = ["best_on_test", "final"] if section.protocol == "reference" else ["selected"]
    for cell, kind in product(section.cells, kinds):
        for number, row in enumerate(section.rows, 1):
            if runs := row.cells.get(cell):
                seeds = ", ".join(str(run.summary.seed) for run in runs)
                scores = [run.summary.metrics[kind] for run in runs]
                cells = [statistics([getattr(s, name) for s in scores]) for name in SCORES]
                where = (f"{letter}{number}", " ".join(cell), EVALUATIONS[kind], seeds)
                lines.append(("run", (*where, *cells)))
    return Table("Details", tuple(("", name) for name in header), tuple(lines))


def _markdown(content: Table) -> str:
    names = [f"{group} {name}".strip() for group, name in content.header]
    lines = [[_cell(cell) for cell in cells] for cells in (names, *(c for _, c in content.lines))]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    padded = ([c.ljust(w) for c, w in zip(line, widths, strict=True)] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in padded)


def _cell(text: str) -> str:
    """The text on one line, without what would end the cell or steer a terminal."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(plain.replace("|", "\\|").split())
