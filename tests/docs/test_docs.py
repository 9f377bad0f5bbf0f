"""The README says what the code does: every symbol, test and command it names exists, every link
leads."""

import ast
import re
from pathlib import Path

import pytest

from cizsl.cli.parser import main as cizsl
from sde.cli.parser import main as sde

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py):(\w+)`", README)))
INDEX = [line for line in README.splitlines() if re.search(r"\| `tests/[\w/]+\.py:\w+` \|$", line)]
COMMANDS = re.findall(r"^    (cizsl|sde) ((?:data )?\w+)(.*?)(?:  #.*)?$", README, re.M)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "data" / "README.md"]
PAGES = [page for page in PAGES if not {"_build", "generated"} & set(page.parts)]


def test_the_readme_is_short_and_its_index_whole():
    assert len(README.splitlines()) <= 220
    assert len(INDEX) > 40
    for line in INDEX:
        concept, equation, code, test = (cell.strip() for cell in line.strip("|").split(" | "))
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
    for part in re.findall(r"configs/\S+", arguments):
        before, *choices = re.split(r"[{}]", part)
        names = [before + one + choices[1] for one in choices[0].split(",")] if choices else [part]
        assert all((ROOT / name).is_file() for name in names), names


@pytest.mark.parametrize(("file", "symbol"), NAMED)
def test_every_symbol_of_the_index_exists(file, symbol):
    tree = ast.parse((ROOT / file).read_text())
    assert symbol in {getattr(node, "name", None) for node in tree.body}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page):
    text = re.sub(r"`[^`]*`", "", page.read_text())  # code is not a link
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
