"""The table of finished runs, as Markdown and (with :mod:`cizsl.report.html`) as one HTML page.

For each row and cell: mean and standard deviation (n - 1) over seeds, in %. Each protocol and each
kind of data has tables of its own. Published numbers stand beside the reference protocol only, in
the same table only where the data have the published size: they were chosen on the test classes,
as ``best_on_test`` is, and ``selected`` is not. Elsewhere they have a table that says so.
"""

from cizsl.report import compare_text
from cizsl.report.captions import findings, heading, notes
from cizsl.report.compare import Comparison
from cizsl.report.grouping import Row, group, letters
from cizsl.report.runs import Run
from cizsl.report.tables import Table, tables


def table(runs: list[Run]) -> str:
    """Every table as Markdown, and what is in none of them."""
    sections, left_out = group(runs)
    parts = [] if sections else ["No finished runs.\n"]
    for letter, section in letters(sections):
        parts.append(f"## {heading(section)}\n")
        parts += [f"{note}\n" for note in notes(section)]
        overview, *others = tables(letter, section)
        rows = enumerate(section.rows, 1)
        parts += [f"**{overview.title}**\n", _markdown(overview)]
        parts.append("".join(f"- {letter}{i}: {row.description}\n" for i, row in rows))
        parts += (
            [f"**Baselines.** {' '.join(said)}\n"] if (said := findings(letter, section)) else []
        )
        for content in others:
            parts += [f"**{content.title}**\n", _markdown(content)]
    if left_out:
        parts.append("## Not in the tables\n")
        parts.append("".join(f"- {_cell(f'`{run.folder}`: {run.note}')}\n" for run in left_out))
    return "\n".join(parts)


def compared(comparison: Comparison) -> str:
    """The comparison as Markdown."""
    parts = ["## A against B, seed by seed\n"]
    who = (
        f"{name}: {method}, `{given}`" for name, method, given in compare_text.legend(comparison)
    )
    parts.append("".join(f"- {_cell(line)}\n" for line in who))
    parts.append(f"{compare_text.RULE}\n")
    for block in comparison.blocks:
        content = compare_text.table(block)
        parts += [f"**{content.title}**\n", _markdown(content)]
        parts.append(f"{' '.join(compare_text.sentences(block))}\n")
    if comparison.left_out:
        parts.append("".join(f"- left out: {text}\n" for text in comparison.left_out))
    if caution := compare_text.caution(comparison):
        parts.append(f"{caution}\n")
    return "\n".join(parts)


def named(runs: list[Run]) -> dict[str, Row]:
    """Every row by its name in the tables, such as A1."""
    return {
        f"{letter}{number}": row
        for letter, section in letters(group(runs)[0])
        for number, row in enumerate(section.rows, 1)
    }


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
