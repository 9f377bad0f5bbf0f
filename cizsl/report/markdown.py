"""The tables of finished runs as Markdown, which ``cizsl table`` prints.

For each row and cell: mean and standard deviation (n - 1) over seeds, in %. Each protocol and each
kind of data has tables of its own.
"""

from collections.abc import Iterable

from cizsl.report import compare_text
from cizsl.report.captions import captions, heading
from cizsl.report.compare import Comparison
from cizsl.report.findings import beaten_by_baselines, lead
from cizsl.report.grouping import Section, group
from cizsl.report.labels import description
from cizsl.report.runs import Run
from cizsl.report.tables import tables
from repro.pages.tables import Table, markdown, markdown_text


def report(runs: Iterable[Run]) -> str:
    """Return what was found, every table, and the runs that are in none of them."""
    sections, left_out = group(runs)
    parts = [f"{markdown_text(lead(sections))}\n"]
    for section in sections:
        parts += _section(section)
    if left_out:
        parts.append("## Not in the tables\n")
        parts.append(_listed(f"`{run.folder}`: {run.note}" for run in left_out))
    return "\n".join(parts)


def comparison_report(comparison: Comparison) -> str:
    """Return the comparison: a table and sentences for each protocol and cell."""
    parts = [f"## {compare_text.TITLES[comparison.by]}\n"]
    parts.append(
        _listed(
            f"{name}: {method}, `{given}`"
            for name, method, given in compare_text.legend(comparison)
        )
    )
    parts.append(f"{compare_text.RULES[comparison.by]}\n")
    for block in comparison.blocks:
        parts += _titled(compare_text.table(block))
        parts.append(f"{' '.join(compare_text.sentences(block))}\n")
    if comparison.left_out:
        parts.append(_listed(f"left out: {text}" for text in comparison.left_out))
    if caution := compare_text.caution(comparison):
        parts.append(f"{caution}\n")
    return "\n".join(parts)


def _section(section: Section) -> list[str]:
    overview, *others = tables(section)
    parts = [f"## {heading(section)}\n", *(f"{text}\n" for text in captions(section))]
    parts += _titled(overview)
    parts.append(_listed(f"{name}: {description(row)}" for name, row in section.named_rows))
    if said := beaten_by_baselines(section):
        parts.append(f"**Baselines.** {markdown_text(' '.join(said))}\n")
    for content in others:
        parts += _titled(content)
    return parts


def _titled(content: Table) -> list[str]:
    return [f"**{markdown_text(content.title)}**\n", markdown(content)]


def _listed(lines: Iterable[str]) -> str:
    return "".join(f"- {markdown_text(line)}\n" for line in lines)
