"""Parts of a report in Markdown, for the tests that read it."""

QUOTED = "CIZSL, ICCV 2019 (as commonly quoted)"


def lines_of(text, start):
    """The Markdown lines that begin with ``start``, as lists of cells."""
    return [
        [cell.strip() for cell in line.strip("|\n").split(" | ")]
        for line in text.splitlines()
        if line.startswith(f"| {start} ")
    ]


def overview(text, start):
    """The line of a row in the overview of its section."""
    tables = [part.split("\n\n")[1] for part in text.split("**Overview")[1:]]
    (line,) = [line for table in tables for line in lines_of(table, start)]
    return line


def sections(text):
    """Heading of each section to its text."""
    parts = text.split("## ")[1:]
    return {part.splitlines()[0]: part for part in parts}
