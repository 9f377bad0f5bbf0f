"""The README says what the code does: every symbol and test it names exists, every link leads."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py):(\w+)`", README)))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "data" / "README.md"]


def test_the_index_names_something():
    assert len(NAMED) > 15


@pytest.mark.parametrize(("file", "symbol"), NAMED)
def test_every_symbol_of_the_index_exists(file, symbol):
    tree = ast.parse((ROOT / file).read_text())
    assert symbol in {getattr(node, "name", None) for node in tree.body}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page):
    text = re.sub(r"`[^`]*`", "", page.read_text())  # code is not a link
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
