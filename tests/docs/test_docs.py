"""Every symbol, test and command that the documents name exists, and every link leads somewhere."""

import ast
import re
from pathlib import Path

import pytest

from cizsl.cli.parser import main as cizsl
from repro.locate import find
from sde.cli.parser import main as sde

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
EQUATIONS = (ROOT / "docs/equations.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py):(\w+)`", EQUATIONS)))
ROW = re.compile(r"^\| .* \| `tests/[\w/]+\.py:\w+` \|$", re.M)
COMMANDS = re.findall(r"^    (cizsl|sde) ((?:data )?\w+)(.*?)(?:  #.*)?$", README, re.M)
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "data" / "README.md"]
PAGES = [page for page in PAGES if not {"_build", "generated"} & set(page.parts)]


def test_the_readme_is_short():
    assert len(README.split()) <= 700


def test_the_index_of_equations_is_whole():
    rows = ROW.findall(EQUATIONS)
    assert len(rows) > 40
    for row in rows:
        concept, equation, code, test = (cell.strip() for cell in row.strip("|").split(" | "))
        assert concept and equation and code.strip("`").split("/")[0] in ("cizsl", "sde", "repro")
        assert test.split(":")[1].startswith("test_")


@pytest.mark.parametrize(("program", "command", "arguments"), COMMANDS, ids=" ".join)
def test_every_command_of_the_readme_exists(program, command, arguments, capsys):
    main = {"cizsl": cizsl, "sde": sde}[program]
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    for option in re.findall(r"(?<= )--?[a-z]+", arguments):
        assert option in told, f"{program} {command} has no {option}"
    if command == "train":
        assert find(arguments.split()[0], program).is_file()


@pytest.mark.parametrize(("file", "symbol"), NAMED)
def test_every_symbol_of_the_index_exists(file, symbol):
    tree = ast.parse((ROOT / file).read_text())
    assert symbol in {getattr(node, "name", None) for node in tree.body}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page):
    text = re.sub(r"`[^`]*`", "", page.read_text())  # code is not a link
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
