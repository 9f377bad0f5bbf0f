"""The table of finished runs, as Markdown and (with :mod:`cizsl.page`) as one HTML page.

For each row and cell: mean and standard deviation (n - 1) over seeds, in %. Each protocol and each
kind of data has tables of its own. Published numbers stand beside the reference protocol only, in
the same table only where the data have the published size: they were chosen on the test classes,
as ``best_on_test`` is, and ``selected`` is not. Elsewhere they have a table that says so.
"""

from collections.abc import Iterable
from pathlib import Path
from string import ascii_uppercase

from cizsl import verdicts
from cizsl.compare import Comparison, compare, find
from cizsl.notes import findings, heading, meaning, notes
from cizsl.rows import Row, Section, group
from cizsl.runs import Run, collect
from cizsl.tables import Table, tables
from repro.checkpoint import write_atomically
from repro.errors import InputError


def run_table(
    paths: Iterable[Path],
    html_path: Path | None = None,
    sides: tuple[str, str] | None = None,
) -> int:
    """Print the tables of the runs at ``paths`` and compare two ``sides``, whose runs are shown
    where there are no paths; write the page, if asked to. The exit code."""
    if not (paths := list(paths)) and not sides:
        raise InputError("table: expected run folders, folders of them, or --compare A B")
    runs = collect(paths) if paths else [run for side in sides for run in find(side, {})]
    comparison = compare(*sides, named(runs)) if sides else None
    print(table(runs))
    if comparison:
        print(compared(comparison))
    if html_path is not None:
        content = html(runs, comparison).encode()
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
    who = (f"{name}: {method}, `{given}`" for name, method, given in verdicts.legend(comparison))
    parts.append("".join(f"- {_cell(line)}\n" for line in who))
    parts.append(f"{verdicts.RULE}\n")
    for block in comparison.blocks:
        content = verdicts.table(block)
        parts += [f"**{content.title}**\n", _markdown(content)]
        parts.append(f"{' '.join(verdicts.sentences(block))}\n")
    if comparison.left_out:
        parts.append("".join(f"- left out: {text}\n" for text in comparison.left_out))
    if caution := verdicts.caution(comparison):
        parts.append(f"{caution}\n")
    return "\n".join(parts)


def html(runs: list[Run], comparison: Comparison | None = None) -> str:
    """The same as one self-contained page, with the curves and where each number is from."""
    from cizsl.page import page  # which reads this module

    return page(runs, comparison)


def named(runs: list[Run]) -> dict[str, Row]:
    """Every row by its name in the tables, such as A1."""
    return {
        f"{letter}{number}": row
        for letter, section in letters(group(runs)[0])
        for number, row in enumerate(section.rows, 1)
    }


def letters(sections: list[Section]) -> Iterable[tuple[str, Section]]:
    """Sections with the letter that their rows' names begin with."""
    return zip(ascii_uppercase, sections, strict=False)


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
