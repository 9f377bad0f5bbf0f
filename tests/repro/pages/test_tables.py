"""Tables as Markdown, CSV and LaTeX, against what a reader of each makes of them."""

import csv
import io

from repro.pages.tables import Column, Line, Table, csv_text, latex, markdown

TABLE = Table(
    "50 % of A_B",
    (Column(""), Column("Method"), Column("top-1", "CUB", "number"), Column("H", "CUB", "number")),
    (
        Line("run", ("A1", "x|y\n\x1b[31m", "12.30 ± 0.40", "1.00")),
        Line("run", ("A2", "=cmd()", "-3.00", "")),
    ),
)


def test_markdown_keeps_a_cell_on_its_line():
    head, rule, first, second = markdown(TABLE).splitlines()
    assert head.split("|")[3].strip() == "CUB top-1" and set(rule) <= set("|- ")
    assert "x\\|y [31m" in first and "\x1b" not in first
    assert len({len(line) for line in (head, rule, first, second)}) == 1


def test_csv_has_a_column_for_the_deviation_and_no_formula():
    first, second = csv.DictReader(io.StringIO(csv_text([TABLE])))
    assert (first["CUB top-1"], first["CUB top-1 sd"], first["CUB H"]) == ("12.30", "0.40", "1.00")
    assert (second["Method"], second["CUB top-1"], second["CUB top-1 sd"]) == (
        "'=cmd()",
        "-3.00",
        "",
    )
    assert first["table"] == "50 % of A_B" and first["row"] == "A1"


def test_latex_escapes_what_it_would_interpret():
    text = latex(TABLE)
    assert r"\caption{50 \% of A\_B}" in text and r"\begin{tabular}{llrr}" in text
    assert r"\multicolumn{2}{l}{} & \multicolumn{2}{c}{CUB} \\" in text
    assert r"A1 & x|y [31m & 12.30 $\pm$ 0.40 & 1.00 \\" in text


def test_columns_without_text_go():
    blank = Table("t", TABLE.columns, (Line("run", ("A1", "", "1", "")),))
    kept = blank.without_empty_columns()
    assert [column.name for column in kept.columns] == ["", "top-1"]
    assert kept.lines == (Line("run", ("A1", "1")),)
