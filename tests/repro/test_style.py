"""The house rules that a machine can check."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.waiting import ENOUGH

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(p for name in ("cizsl", "sde", "repro") for p in (ROOT / name).rglob("*.py"))


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff(command):
    folders = ["cizsl", "sde", "repro", "tests", "benchmarks", "examples", "docs", "setup.py"]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, *folders],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=ENOUGH,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_public_names_have_docstrings(path):
    """Modules, public classes and public functions; methods where they take part in a formula
    are read with their class."""
    tree = ast.parse(path.read_text())
    public = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    if path.name not in ("__main__.py", "commands.py", "data.py"):  # --help says it
        missing = [node.name for node in public if not ast.get_docstring(node)]
        assert not missing, f"{path}: no docstring on {missing}"
    assert ast.get_docstring(tree), f"{path}: no module docstring"


@pytest.mark.parametrize("path", sorted((ROOT / "scripts").glob("*.sh")), ids=lambda p: p.name)
def test_scripts_are_short_and_pass_their_arguments_on(path):
    text = path.read_text()
    code = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(code) <= 16
    assert path.name == "setup.sh" or '"$@"' in text
