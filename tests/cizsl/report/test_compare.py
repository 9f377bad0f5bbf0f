"""Which runs pair, which are refused or left out, and what is said of them."""

import pytest

from cizsl.cli.parser import main
from cizsl.report import compare_text
from cizsl.report.compare import compare
from cizsl.report.grouping import group, rows_by_name
from cizsl.report.html import page as html
from cizsl.report.markdown import report as table
from cizsl.report.runs import collect
from repro.errors import InputError
from tests.helpers.run_folders import write_baseline, write_run

GAZSL = {"method": "GAZSL", "creativity": None}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # patterns are relative to where the user is
    return tmp_path / "runs"


@pytest.fixture
def pairs(runs):
    """``pairs(n, gain)``: GAZSL in runs/a at 10 % and CIZSL in runs/b ``gain[i]`` above it."""

    def make(gains, **changes):
        for seed, gain in enumerate(gains):
            write_run(runs / "a" / f"{seed}", 0.1, seed=seed, **GAZSL, **changes)
            write_run(runs / "b" / f"{seed}", 0.1 + gain, seed=seed, **changes)
        return str(runs / "a"), str(runs / "b")

    return make


def test_differences_are_taken_seed_by_seed(pairs):
    """Six gains of 1 to 6 points: mean 3.5, the smallest p of six pairs."""
    found = compare(*pairs([0.01, 0.02, 0.03, 0.04, 0.05, 0.06]))
    (block,) = found.blocks
    assert (block.protocol, block.cell, block.seeds) == (
        "reference",
        ("CUB", "easy"),
        (0, 1, 2, 3, 4, 5),
    )
    assert list(block.differences) == [
        "top1", "per_class_top1", "ausuc", "seen", "unseen", "harmonic"
    ]  # fmt: skip
    ausuc = block.differences["ausuc"]
    assert (ausuc.first, ausuc.second) == (pytest.approx(0.12), pytest.approx(0.155))
    assert ausuc.mean == pytest.approx(-0.035) and ausuc.p == pytest.approx(2 / 64)
    assert block.methods == ("GAZSL", "CIZSL, Sharma-Mittal, published form")
    verdict, *limits = compare_text.sentences(block)
    assert verdict.startswith("The data support that B is higher in top-1 (by 3.50 points)")
    assert "best of many evaluations on the test classes" in limits[0]
    assert found.left_out == ()
    line = compare_text.table(block).lines[0][1]
    assert line[:4] == ("top-1", "10.00", "13.50", "-3.50")
    assert line[5:] == ("0.0312", "B is higher")
    assert compare_text.caution(found).startswith("6 tests at 5 %")


def test_differences_of_both_signs_support_nothing(pairs):
    (block,) = compare(*pairs([0.01, -0.02, 0.03, -0.01, 0.02, -0.03, 0.01])).blocks
    assert compare_text.sentences(block)[0] == "The data support no difference in any metric."
    assert compare_text.table(block).lines[0][1][6] == "no difference"


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, "One pair of runs gives no interval and no test"),
        (3, "smallest p of the test is 0.25. At least six pairs are needed. An interval of so few"),
        (5, "smallest p of the test is 0.0625. At least six pairs are needed."),
    ],
)
def test_too_few_pairs_say_so(pairs, count, said):
    """However large the difference."""
    (block,) = compare(*pairs([0.3 + 0.01 * i for i in range(count)])).blocks
    assert said in compare_text.sentences(block)[0]
    line = compare_text.table(block).lines[0][1]
    assert line[-1] == "cannot tell" and (len(line) == 5) == (count == 1)
    assert "no difference" not in line


def test_only_what_both_have_is_paired(pairs, runs):
    sides = pairs([0.01] * 3)
    write_run(runs / "a" / "7", seed=7, **GAZSL)
    write_run(runs / "a" / "hard", split="hard", **GAZSL)
    write_run(runs / "b" / "strict", protocol="strict")
    write_run(runs / "a" / "8", seed=8, **GAZSL, files={"a.mat": "1" * 64})
    write_run(runs / "b" / "8", seed=8, files={"a.mat": "2" * 64})
    (runs / "b" / "half").mkdir()
    (runs / "b" / "half" / "config.yaml").write_text("seed: 9\n")
    found = compare(*sides)
    (block,) = found.blocks
    assert block.seeds == (0, 1, 2)
    assert set(found.left_out) == {
        "CUB easy, reference protocol: seed 8 on different data files",
        "CUB easy, reference protocol: seed 7 only in A",
        "CUB hard, reference protocol: only in A",
        "CUB easy, strict protocol: only in B",
    }


def test_every_cell_and_protocol_is_a_block_of_its_own(runs):
    for split in ("hard", "easy"):
        for protocol in ("strict", "reference"):
            more = {"split": split, "protocol": protocol}
            write_run(runs / "a" / f"{split}{protocol}", 0.1, **GAZSL, **more)
            write_run(runs / "b" / f"{split}{protocol}", 0.2, **more)
    found = compare(str(runs / "a"), str(runs / "b"))
    assert [block.title for block in found.blocks] == [
        "CUB easy, reference protocol",
        "CUB hard, reference protocol",
        "CUB easy, strict protocol",
        "CUB hard, strict protocol",
    ]


def test_rows_and_patterns_name_sides_too(pairs, runs):
    pairs([0.01, 0.02])
    rows = rows_by_name(group(collect([runs]))[0])
    by_row = compare("A1", "A2", rows).blocks
    by_pattern = compare("runs/a", "runs/[b]*", rows).blocks
    assert by_row[0].differences == by_pattern[0].differences
    assert by_row[0].differences["top1"].mean == pytest.approx(-0.015)


def test_a_baseline_pairs_with_every_seed(runs):
    for seed in range(6):
        write_run(runs / "a" / f"{seed}", 0.1 + seed / 100, seed=seed, protocol="strict")
    write_baseline(runs / "b", 0.3)
    (block,) = compare(str(runs / "a"), str(runs / "b")).blocks
    assert block.seeds == (0, 1, 2, 3, 4, 5)
    assert block.differences["top1"].mean == pytest.approx(0.125 - 0.3)
    assert block.differences["top1"].supported and block.other_settings() == []


def test_a_run_that_is_there_twice_counts_once_and_is_named(pairs, runs):
    sides = pairs([0.01, 0.02])
    again = write_run(runs / "b" / "again", 0.9, seed=1)
    found = compare(*sides)
    assert found.blocks[0].seeds == (0, 1)
    assert found.blocks[0].differences["top1"].second == pytest.approx(0.115)
    assert found.left_out == (f"{again}: the same seed and data as {runs / 'b' / '1'}",)


def test_other_settings_are_named(pairs, runs):
    sides = pairs([0.01] * 2)
    for run in (runs / "b").iterdir():
        file = run / "config.yaml"
        file.write_text(file.read_text().replace("hidden_dim: 4086", "hidden_dim: 64"))
    (block,) = compare(*sides).blocks
    assert block.other_settings() == ["hidden dim 4086 / 64"]
    assert "A and B differ in: hidden dim 4086 / 64." in compare_text.sentences(block)[-1]


def refusals(runs):
    write_run(runs / "a" / "0", **GAZSL)
    write_run(runs / "b" / "0", protocol="strict")
    write_run(runs / "two" / "x", seed=0)
    write_run(runs / "two" / "y", seed=1, config={"model": {"hidden_dim": 9}})
    write_run(runs / "other" / "0", files={"a.mat": "1" * 64})
    folder = write_run(runs / "unknown" / "0")
    (folder / "environment.json").unlink()
    (runs / "half").mkdir()
    (runs / "half" / "config.yaml").write_text("seed: 0\n")
    return [
        ("a", "b", "no two runs pair: CUB easy, reference protocol: only in A; CUB easy, strict"),
        ("a", "other", "no two runs pair: CUB easy, reference protocol: seed 0 on different data"),
        ("a", "two", "several settings, as in"),
        ("a", "unknown", "no checksums of its data"),
        ("a", "half", "no finished run"),
        ("a", "a/0", "is in both"),
        ("a", "nowhere", "neither a folder nor a pattern of folders"),
    ]


@pytest.mark.parametrize("number", range(7))
def test_what_cannot_be_compared_is_refused_in_one_line(runs, number, capsys):
    first, second, said = refusals(runs)[number]
    assert main(["table", "--compare", str(runs / first), str(runs / second)]) == 2
    printed = capsys.readouterr()
    assert said in printed.err and len(printed.err.splitlines()) == 1
    with pytest.raises(InputError):
        compare(str(runs / first), str(runs / second))


def test_the_command_prints_tables_then_the_comparison_and_writes_the_page(pairs, runs, capsys):
    sides = pairs([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
    page = runs / "page.html"
    assert main(["table", "--compare", *sides, "--html", str(page)]) == 0
    printed = capsys.readouterr().out
    assert printed.index("**Overview") < printed.index("## A against B, seed by seed")
    assert "| top-1           | 10.00 | 13.50 | -3.50 |" in printed
    content = page.read_text()
    assert "B is higher" in content and 'id="compared"' in content
    assert main(["table", str(runs), "--compare", "A1", "A2"]) == 0
    assert "-3.50" in capsys.readouterr().out
    assert main(["table"]) == 2
    assert main(["table", str(runs), "--compare", "A1", "C7"]) == 2
    assert "nor one of the rows A1, A2" in capsys.readouterr().err


def test_names_are_escaped_in_the_page(pairs):
    comparison = compare(*pairs([0.01], dataset="x"))
    hostile = type(comparison)(("<b>", "<i>"), comparison.blocks, ("<u>",))
    content = html(collect([comparison.given[0]]), hostile)
    assert "<b>" not in content and "<i>" not in content and "<u>" not in content
    assert "A against B" not in table(collect([comparison.given[0]]))
