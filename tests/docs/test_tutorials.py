"""The tutorials are programs: every cell of their notebooks runs, in order, in an empty folder, and
prints what the tutorial says, where lines of ``...`` stand for any other lines."""

import contextlib
import io
import json
import re
import shlex
import sys
from pathlib import Path

import matplotlib
import pytest

from cizsl.cli.parser import main as cizsl
from examples.make_notebooks import notebook
from sde.cli.parser import main as sde

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {"cizsl": cizsl, "sde": sde}
NAMES = ("birds", "scores")


def cells(name: str) -> list[dict]:
    """The code cells of a tutorial's notebook but the first, which changes the folder."""
    made = json.loads((ROOT / f"examples/tutorial_{name}.ipynb").read_text())
    first, *rest = (cell for cell in made["cells"] if cell["cell_type"] == "code")
    assert "chdir" in "".join(first["source"])
    return rest


def run_commands(text: str) -> None:
    """Run the commands in this process; each must end with exit code 0."""
    for line in text.replace("\\\n", " ").splitlines():
        name, *arguments = shlex.split(line.removeprefix("!"), comments=True)
        code = COMMANDS[name](arguments)
        assert code == 0, f"{line}: exit code {code}"


def run(source: str, namespace: dict) -> str:
    """Run a cell and return what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if named := re.match(r"%%writefile (\S+)\n", source):
            Path(named[1]).write_text(source[named.end() :] + "\n")
        elif source.startswith("!"):
            run_commands(source)
        else:
            exec(compile(source, "cell", "exec"), namespace)
    return printed.getvalue()


def check_output(expected: str, out: str) -> None:
    """Every line, in order; where there are no dots, nothing else."""
    rest = out
    for line in (line for line in expected.splitlines() if line != "..."):
        assert line in rest, f"not printed: {line!r}, but:\n{rest}"
        rest = rest[rest.index(line) + len(line) :]
    if "..." not in expected.splitlines():
        assert out.strip() == expected.strip()


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_those_of_the_tutorials(name):
    made = json.loads((ROOT / f"examples/tutorial_{name}.ipynb").read_text())
    page = (ROOT / f"docs/tutorials/{name}.md").read_text()
    assert made == notebook(page), "run: python -m examples.make_notebooks"
    assert sorted(p.stem for p in (ROOT / "docs/tutorials").glob("*.md")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    matplotlib.use("Agg")
    namespace, outputs = {"__name__": "tutorial"}, 0
    for cell in cells(name):
        out = run("".join(cell["source"]), namespace)
        for expected in cell["outputs"]:
            check_output(expected["text"], out)
            outputs += 1
    assert outputs >= 2
