"""Tables as text in cells, written as Markdown, CSV or LaTeX.

The HTML form is the macro `table` of `repro/pages/templates/table.html`. A cell may hold a mean and
its standard deviation, "12.3 ± 0.4": CSV has two columns for it.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

SPREAD = " ± "
FORMULA = ("=", "+", "-", "@")  # a spreadsheet would execute a text that begins with one of these
LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"±": r"$\pm$", "−": "$-$", "<": r"\textless{}", ">": r"\textgreater{}"}
)


class Column(NamedTuple):
    """A column; ``kind`` is "number" (aligned to the right), "wide" (may break lines) or empty.

    Columns beside each other that share a ``group`` have a common heading.
    """

    name: str
    group: str = ""
    kind: str = ""

    @property
    def heading(self) -> str:
        """The group and the name on one line."""
        return f"{self.group} {self.name}".strip()


class Line(NamedTuple):
    """The cells of one line; ``kind`` says what it holds, for a page to style it."""

    kind: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A title, columns, and lines of as many cells."""

    title: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Each group of neighbouring columns, with the number of its columns."""
        named = groupby(column.group for column in self.columns)
        return [(name, len(list(same))) for name, same in named]

    def without_empty_columns(self) -> "Table":
        """Return the table without the columns in which no line has any text."""
        kept = [place for place in range(len(self.columns)) if any(c[place] for _, c in self.lines)]
        lines = (Line(kind, tuple(cells[place] for place in kept)) for kind, cells in self.lines)
        return Table(self.title, tuple(self.columns[place] for place in kept), tuple(lines))


def markdown(table: Table) -> str:
    """Return the table as Markdown, its columns padded to equal widths."""
    lines = [[column.heading for column in table.columns], *(cells for _, cells in table.lines)]
    lines = [[markdown_text(cell) for cell in cells] for cells in lines]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    padded = ([c.ljust(w) for c, w in zip(line, widths, strict=True)] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in padded)


def markdown_text(text: str) -> str:
    """Return ``text`` on one line, without characters that end a cell or steer a terminal."""
    return one_line(text).replace("|", "\\|")


def one_line(text: str) -> str:
    """Return ``text`` on one line, with a space for every character that cannot be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def csv_text(tables: Iterable[Table]) -> str:
    """Return the tables as one CSV file, whose first column is the title of the table.

    A column of means with standard deviations becomes two, the second named "... sd".
    """
    records = [record for table in tables for record in _records(table)]
    names = dict.fromkeys(name for record in records for name in record)
    output = io.StringIO()
    writer = csv.DictWriter(output, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return output.getvalue()


def _records(table: Table) -> Iterable[dict[str, str]]:
    for _, cells in table.lines:
        record = {"table": _spreadsheet_text(table.title)}
        for column, cell in zip(table.columns, cells, strict=True):
            mean, sign, spread = cell.partition(SPREAD)
            record[column.heading or "row"] = _spreadsheet_text(mean)
            if sign:
                record[f"{column.heading} sd"] = spread
        yield record


def _spreadsheet_text(text: str) -> str:
    """Return ``text`` on one line, marked as text where a spreadsheet would execute it."""
    plain = one_line(text)
    return f"'{plain}" if plain.startswith(FORMULA) and not _is_number(plain) else plain


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def latex(table: Table) -> str:
    """Return the table as a LaTeX `table` with the rules of the package booktabs."""
    align = "".join("r" if column.kind == "number" else "l" for column in table.columns)
    names = _latex_line(column.name for column in table.columns)
    body = [_latex_line(cells) for _, cells in table.lines]
    head = [_latex_groups(table), names] if len(table.groups) > 1 else [names]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_text(table.title)}}}",
            rf"\begin{{tabular}}{{{align}}}",
            r"\toprule",
            *head,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def latex_text(text: str) -> str:
    """Return ``text`` on one line, with LaTeX's special characters escaped."""
    return one_line(text).translate(LATEX)


def _latex_line(cells: Iterable[str]) -> str:
    return " & ".join(map(latex_text, cells)) + r" \\"


def _latex_groups(table: Table) -> str:
    cells = (
        rf"\multicolumn{{{width}}}{{{'c' if name else 'l'}}}{{{latex_text(name)}}}"
        for name, width in table.groups
    )
    return " & ".join(cells) + r" \\"
