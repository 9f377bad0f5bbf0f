"""The tutorials are programs: every block of them runs, in order, in an empty folder.

A ``python`` block goes on where the last one ended. A ``yaml`` or ``python`` block whose first line
is ``# NAME`` is the file of that name. A ``bash`` block is commands. A ``text`` block is the output
of the block before it, in order, where lines of ``...`` stand for whatever came between.
"""

import contextlib
import io
import re
import shlex
import sys
from pathlib import Path

import matplotlib
import pytest

from cizsl.cli.parser import main as cizsl
from sde.cli.parser import main as sde

TUTORIALS = Path(__file__).resolve().parents[2] / "docs" / "tutorials"
COMMANDS = {"cizsl": cizsl, "sde": sde}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
FILE = re.compile(r"# ([\w.]+\.(?:py|yaml))\n")


def run_commands(text: str) -> str:
    """What the commands print; each must end with exit code 0."""
    out = io.StringIO()
    for line in text.replace("\\\n", " ").splitlines():
        name, *arguments = shlex.split(line, comments=True)
        with contextlib.redirect_stdout(out):
            code = COMMANDS[name](arguments)
        assert code == 0, f"{line}: exit code {code}"
    return out.getvalue()


def check_output(expected: str, out: str) -> None:
    """Every line, in order; where there are no dots, nothing else."""
    rest = out
    for line in (line for line in expected.splitlines() if line != "..."):
        assert line in rest, f"not printed: {line!r}, but:\n{rest}"
        rest = rest[rest.index(line) + len(line) :]
    if "..." not in expected.splitlines():
        assert out.strip() == expected.strip()


@pytest.mark.parametrize("name", ["birds", "scores"])
def test_every_block_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    matplotlib.use("Agg")
    blocks = BLOCK.findall((TUTORIALS / f"{name}.md").read_text())
    assert {kind for kind, _ in blocks} == {"python", "bash", "yaml", "text"}
    namespace, out, before = {"__name__": "tutorial"}, "", ""
    for kind, text in blocks:
        if named := FILE.match(text):
            Path(named[1]).write_text(text)
        elif kind == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(text, f"{name}.md", "exec"), namespace)
            out = printed.getvalue()
        elif kind == "bash":
            out = run_commands(text)
        else:
            assert kind == "text" and before in ("python", "bash"), "output of what?"
            check_output(text, out)
        before = kind
