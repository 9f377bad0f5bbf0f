"""Write the tutorials of docs/tutorials as notebooks: python -m examples.make_notebooks.

A ``python`` block becomes a code cell, a ``bash`` block a cell of shell commands, and a block whose
first line is ``# NAME`` a cell that writes this file. A ``text`` block is the output of the cell
before it. Everything else is text.
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
FILE = re.compile(r"# ([\w.]+\.(?:py|yaml))\n")
FOLDER = "import os\nimport tempfile\n\nos.chdir(tempfile.mkdtemp())\n"  # work in an empty folder


def notebook(page: str) -> dict:
    """Return the notebook (nbformat 4.5) of a tutorial in Markdown."""
    cells = [cell("code", FOLDER)]
    end = 0
    for found in BLOCK.finditer(page):
        if words := page[end : found.start()].strip():
            cells.append(cell("markdown", relinked(words)))
        end = found.end()
        if found[1] == "text":
            cells[-1]["outputs"] = [{"name": "stdout", "output_type": "stream", "text": found[2]}]
        else:
            cells.append(cell("code", code(*found.groups())))
    cells.append(cell("markdown", relinked(page[end:].strip())))
    cells[0], cells[1] = cells[1], cells[0]  # the title comes first
    for number, made in enumerate(cells):
        made["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}


def cell(kind: str, source: str) -> dict:
    """Return a cell; code has not been run."""
    made = {"cell_type": kind, "metadata": {}, "source": source.rstrip("\n").splitlines(True)}
    return made | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def code(language: str, text: str) -> str:
    """Return the source of a code cell: Python, shell commands, or a file to write."""
    if named := FILE.match(text):
        return f"%%writefile {named[1]}\n{text}"
    if language == "bash":
        return re.sub(r"^(?=cizsl|sde)", "!", text, flags=re.M)
    return text


def relinked(text: str) -> str:
    """Return the text with links relative to this folder, in place of docs/tutorials."""
    text = re.sub(r"\]\(\.\./(?!\.\./)", "](../docs/", text)
    return text.replace("](../../", "](../")


def main() -> None:
    """Write one notebook for each tutorial beside this file."""
    for page in sorted((ROOT / "docs" / "tutorials").glob("*.md")):
        text = json.dumps(notebook(page.read_text()), indent=1, ensure_ascii=False) + "\n"
        (ROOT / "examples" / f"tutorial_{page.stem}.ipynb").write_text(text)


if __name__ == "__main__":
    main()
