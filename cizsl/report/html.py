"""The results as one HTML page that needs nothing else: no script, no font, no request.

It shows the tables of :mod:`cizsl.report.markdown`, the seen-unseen curves as inline SVG, and where
each number is from: run folder, seed, commit, checksums of the data files. It follows the reader's
light or dark setting; on a phone each line of a table becomes a card.
"""

from collections.abc import Iterable
from html import escape
from itertools import groupby

from cizsl.report import compare_text
from cizsl.report.captions import findings, heading, meaning, notes
from cizsl.report.compare import Comparison
from cizsl.report.compare_text import COLUMNS
from cizsl.report.curves import chart
from cizsl.report.grouping import Row, Section, group, letters
from cizsl.report.published_numbers import BENCHMARKS
from cizsl.report.runs import Run
from cizsl.report.tables import HEADINGS, SHORT, Table, tables
from repro.html import FOOT, head

STYLE = """
.warn { border: 1px solid var(--warn-line); border-left-width: 5px; background: var(--warn);
  color: var(--warn-ink); padding: .6rem .9rem; border-radius: 4px; font-weight: 600; }
nav ul, .legend { list-style: none; margin: .75rem 0; padding: 0; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; }
thead th[colspan] { text-align: center; color: var(--ink); border-bottom: 0; padding-bottom: 0; }
.spread { color: var(--soft); font-size: .85em; }
.overview .spread { display: block; }
@media (min-width: 70rem) { /* the overview and what stands below it in the same columns */
  .overview th:nth-child(1), .overview td:nth-child(1) { width: 2.75rem; }
  .overview td:nth-child(3), .overview td:nth-child(4) { width: 5rem; }
  .overview .number { width: 4.75rem; } .overview thead th[colspan] { width: auto; }
}
td:nth-child(-n+2):not(.wide) { white-space: nowrap; }
.published td { background: var(--tint); font-style: italic; }
.chance td { color: var(--soft); }
.baseline td { background: var(--tint); }
.finding { border-left: 5px solid var(--c0); padding: .1rem .9rem; }
td.wide { min-width: 13rem; overflow-wrap: anywhere; }
.legend { font-size: .875rem; color: var(--soft); }
.charts { display: grid; gap: 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.charts > figure { max-width: 32rem; }
.charts .legend { display: flex; flex-wrap: wrap; gap: 0 1.25rem; margin: .25rem 0 0; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.swatch { width: 1.75rem; height: .6rem; display: inline-block; margin-right: .4rem; }
.files { columns: 2 24rem; column-gap: 2rem; }
.files div { break-inside: avoid; margin-bottom: .35rem; font-size: .85rem; }
.files code { display: block; color: var(--soft); }
@media (max-width: 44rem) {
  tr.published, tr.baseline { background: var(--tint); }
  tr.published td[data-label="Features"] { grid-column: 1 / -1; }
  .overview .spread { display: inline; }
}
@media print {
  @page { size: A4 landscape; margin: 12mm; }
  body { padding: 0; max-width: none; font-size: 10pt; }
  table { font-size: 7.5pt; } th, td { padding: .2rem .3rem; }
  tr { break-inside: avoid; } nav { display: none; } h2, h3, summary { break-after: avoid; }
  .charts { grid-template-columns: repeat(4, 1fr); }
  details::details-content { content-visibility: visible; block-size: auto; }
}
"""
NUMBERS = {*HEADINGS.values(), *SHORT.values(), "Iterations", "Time", *COLUMNS[1:6]}


def page(runs: list[Run], comparison: Comparison | None = None) -> str:
    """The whole document; a comparison comes first, since somebody asked for it."""
    sections, left_out = group(runs)
    lettered = list(letters(sections))
    points = max(20, min(150, 50_000 // max(1, len(runs))))  # of each curve: below 1 MB in all
    parts = [_head(meaning(runs), lettered, comparison is not None)]
    parts += [_compared(comparison)] if comparison else []
    parts += [_section(letter, section, points) for letter, section in lettered]
    shown = dict.fromkeys(
        section.benchmark
        for section in sections
        if section.protocol == "reference" and section.kind not in ("own", "toy")
    )
    if shown:
        items = "".join(
            f"<li><strong>{escape(name)}</strong>: {escape(numbers['source'])}</li>"
            for benchmark in shown
            for name, numbers in BENCHMARKS[benchmark].published.items()
        )
        parts.append(f'<h2>Sources of the published numbers</h2><ul class="notes">{items}</ul>')
    if left_out:
        items = "".join(
            f"<li><code>{escape(str(run.folder))}</code>: {escape(run.note)}</li>"
            for run in left_out
        )
        parts.append(f"<h2>Not in the tables</h2><ul>{items}</ul>")
    parts.append(
        _data_files(run for section in sections for row in section.rows for run in row.runs)
    )
    return "\n".join([*parts, FOOT])


def _head(lead: str, lettered: list[tuple[str, Section]], compares: bool) -> str:
    links = '<li><a href="#compared">A against B</a></li>' if compares else ""
    links += "".join(
        f'<li><a href="#{letter}">{letter}. {escape(heading(section))}</a></li>'
        for letter, section in lettered
    )
    return f"""{head("CIZSL: results", STYLE)}
<h1>Zero-shot recognition: results</h1>
<p class="lead">{escape(lead)}</p>
<nav><ul>{links}</ul></nav>"""


def _compared(comparison: Comparison) -> str:
    who = "".join(
        f"<li><strong>{name}</strong> {escape(method)}, <code>{escape(given)}</code></li>"
        for name, method, given in compare_text.legend(comparison)
    )
    parts = [
        f'<h2 id="compared">A against B, seed by seed</h2><ul class="legend">{who}</ul>',
        f'<p class="notes">{escape(compare_text.RULE)}</p>',
    ]
    for block in comparison.blocks:
        first, *limits = compare_text.sentences(block)
        parts.append(_titled(compare_text.table(block)))
        parts.append(f'<p class="finding">{_prose(first)}</p>')
        parts += [f'<p class="notes">{escape(limit)}</p>' for limit in limits]
    left_out = "".join(f"<li>Left out: {escape(text)}</li>" for text in comparison.left_out)
    parts += [f'<ul class="legend">{left_out}</ul>'] if left_out else []
    return "\n".join([*parts, f'<p class="notes">{escape(compare_text.caution(comparison))}</p>'])


def _section(letter: str, section: Section, points: int) -> str:
    first, *others = notes(section)
    kind = "notes" if section.kind == "published" else "warn"
    overview, *rest = tables(letter, section)
    named = list(_named(letter, section))
    legend = "".join(
        f"<li><strong>{name}</strong> {escape(row.description)}</li>" for name, row in named
    )
    charts = "".join(chart(cell, section, named, points) for cell in section.cells)
    said = " ".join(findings(letter, section))
    *between, details = rest
    return "\n".join(
        [
            f'<h2 id="{letter}">{letter}. {escape(heading(section))}</h2>',
            f'<p class="{kind}">{escape(first)}</p>',
            *(f'<p class="notes">{escape(note)}</p>' for note in others),
            _titled(overview),
            f'<ul class="legend">{legend}</ul>',
            f'<p class="finding">{_prose(said)}</p>' if said else "",
            *(_titled(content) for content in between),
            f'<h3>Seen-unseen curves</h3><div class="charts">{charts}</div>' if charts else "",
            _folded(details),
            _folded(_origins(named)),
        ]
    )


def _named(letter: str, section: Section) -> Iterable[tuple[str, Row]]:
    return ((f"{letter}{number}", row) for number, row in enumerate(section.rows, 1))


def _origins(named: list[tuple[str, Row]]) -> Table:
    """Where each number is from: one line for each run."""
    names = ("", "Data", "Seed", "top-1", "AUSUC", "Iterations", "Time", "Device", "Commit")
    header = tuple(("", name) for name in (*names, "Data files", "Folder"))
    lines = []
    for name, row in named:
        for run in row.runs:
            summary = run.summary
            scores = (f"{100 * value:.2f}" for value in (run.scores.top1, run.scores.ausuc))
            cells = (name, " ".join(run.cell), str(summary.seed), *scores, str(summary.iterations))
            cells += (f"{summary.seconds:.0f} s", summary.device, _commit(run))
            lines.append(("run", (*cells, run.data_id or "not recorded", str(run.folder))))
    return Table("Runs, and where they are", header, tuple(lines))


def _commit(run: Run) -> str:
    """Enough digits to find the commit, and whether the tree differed from it."""
    commit, sign, changes = str(run.environment.get("git_commit") or "not recorded").partition("+")
    return commit[:12] + sign + changes


def _folded(content: Table) -> str:
    return f"<details open><summary>{escape(content.title)}</summary>{_table(content)}</details>"


def _titled(content: Table) -> str:
    wide = any(group for group, _ in content.header)
    return f"<h3>{escape(content.title)}</h3>{_table(content, 'overview' if wide else '')}"


def _table(content: Table, style: str = "") -> str:
    """A table; columns with a group have a second header line above their names."""
    groups = [(name, len(list(same))) for name, same in groupby(g for g, _ in content.header)]
    top = "".join(f'<th colspan="{width}">{escape(name)}</th>' for name, width in groups)
    names = "".join(f"<th{_style(name)}>{escape(name)}</th>" for _, name in content.header)
    lines = "".join(
        f'<tr class="{kind}">{"".join(map(_cell, content.header, cells))}</tr>\n'
        for kind, cells in content.lines
    )
    head = (f"<tr>{top}</tr>" if len(groups) > 1 else "") + f"<tr>{names}</tr>"
    table = f'<table class="{style}"><thead>{head}</thead>\n<tbody>\n{lines}</tbody></table>'
    return f'<div class="scroll">{table}</div>'


def _cell(heading: tuple[str, str], text: str) -> str:
    label = escape(" ".join(heading).strip())
    mean, sign, spread = escape(text).partition(" ± ")
    spread = f' <span class="spread">± {spread}</span>' if sign else ""
    return f'<td{_style(heading[1])} data-label="{label}">{mean}{spread}</td>'


def _prose(text: str) -> str:
    """A sentence whose numbers keep their units."""
    return escape(text).replace(" %", "&nbsp;%")


def _style(name: str) -> str:
    if name in NUMBERS:
        return ' class="number"'
    return ' class="wide"' if name in ("Method", "Folder") else ""


def _data_files(runs: Iterable[Run]) -> str:
    """The checksums of every set of data files, once."""
    known = {run.data_id: run for run in runs if run.data_id}
    blocks = []
    for name, run in known.items():
        files = "".join(
            f"<div>{escape(file)}<code>{escape(str(digest))}</code></div>"
            for file, digest in sorted(run.data_files.items())
        )
        place = escape(" ".join(run.cell))
        blocks.append(f'<h3>{place}: <code>{name}</code></h3><div class="files">{files}</div>')
    return "<h2>Data files, by SHA-256</h2>" + "".join(blocks) if blocks else ""
