"""The HTML page, on run folders made by hand."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from cizsl.cli.table import show
from cizsl.report.curves import thin
from cizsl.report.grouping import group
from cizsl.report.html import page as html
from cizsl.report.markdown import report as table
from cizsl.report.runs import collect
from repro.errors import InputError
from tests.helpers.run_folders import write_run


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def make(runs):
    return lambda name, *args, **changes: write_run(runs / name, *args, **changes)


class Page(HTMLParser):
    """Checks nesting; keeps attributes that could load something, and the text."""

    VOID = ("meta",)

    def __init__(self, content):
        super().__init__()
        self.open, self.links, self.tags, self.text = [], [], [], ""
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.links += [v for k, v in attributes if k in ("src", "href", "xlink:href", "action")]

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_is_whole_and_asks_for_nothing(make, runs):
    make("a", 0.1, seed=0)
    make("b", 0.2, seed=1)
    make("c", 0.3, toy=True, protocol="strict", curve=False)
    content = html(collect([runs]))
    page = Page(content)
    assert all(link.startswith("#") for link in page.links)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert "//" not in content and "@import" not in content and "url(" not in content
    assert page.tags.count("figure") == 1  # one cell with curves
    assert content.count("<polyline") == 2 + 1  # two seeds, one in the legend
    for text in ("15.00", "± 7.07", "0123456789ab", "0" * 64, str(runs / "b")):
        assert text in page.text


def test_text_is_escaped(make, runs):
    hostile = "<script>alert(1)</script>|x\n\x1b[31m"
    make("a <b>&", method=hostile, files={"<i>.mat": "0" * 64})
    page = Page(html(collect([runs])))
    assert not {"script", "b", "i"} & set(page.tags)
    assert "<script>alert(1)</script>" in page.text and "a <b>&" in page.text
    text = table(collect([runs]))
    assert "\x1b" not in text and "| A1  | <script>alert(1)</script>" in text


def test_curves_are_thinned_with_their_ends():
    seen, unseen = np.linspace(1, 0, 5001) ** 2, np.linspace(0, 1, 5001)
    few_seen, few_unseen = thin(seen, unseen, 100)
    assert len(few_seen) <= 100
    assert (few_seen[0], few_unseen[-1]) == (1, 1)
    exact, area = 1 / 3, np.trapezoid(few_seen, few_unseen)
    assert area == pytest.approx(exact, abs=1e-3)
    one = thin(np.array([0.5]), np.array([0.2]), 100)
    assert [len(part) for part in one] == [1, 1]


def test_the_page_stays_small(make, runs):
    for seed in range(40):
        make(f"{seed}", seed=seed)
    assert len(html(collect([runs]))) < 250_000


def test_a_run_with_the_least_that_is_promised(make, runs):
    """The keys of results.json that design promises, and no other file."""
    folder = make("a", 0.1, curve=False)
    summary = json.loads((folder / "results.json").read_text())
    for name in ("toy", "creativity", "feature_dim", "model"):
        del summary[name]
    (folder / "results.json").write_text(json.dumps(summary))
    (folder / "config.yaml").unlink()
    (folder / "environment.json").unlink()
    (found,), _ = group(collect([runs]))
    assert found.kind == "other" and "not recorded" in table(collect([runs]))
    Page(html(collect([runs])))


def test_a_broken_curve_is_named(make, runs):
    file = make("a") / "curves.npz"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match=r"curves\.npz"):
        html(collect([runs]))


def test_it_prints_the_table_the_page_and_what_it_is(make, runs, tmp_path, capsys):
    make("a", toy=True)
    assert show([runs], {"html": tmp_path / "new" / "page.html"}) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("On toy data, which are invented, the highest top-1")
    assert printed[2] == "## TOY DATA: reference protocol"
    assert f"page: {tmp_path / 'new' / 'page.html'}" in printed
    assert printed[-1].startswith("What the numbers are: on toy data")
    assert (tmp_path / "new" / "page.html").read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(InputError, match="cannot be written"):
        show([runs], {"html": runs})


def test_the_page_holds_what_the_tables_hold(make, runs):
    make("a", protocol="reference")
    make("b", protocol="strict")
    make("c", protocol="reference", toy=True, feature_dim=128)
    (runs / "half").mkdir()
    (runs / "half" / "config.yaml").write_text("seed: 0\n")
    page = Page(html(collect([runs])))
    assert page.text.count("published: CIZSL, ICCV 2019 (as commonly quoted)") == 2
    assert "TOY DATA: invented birds" in page.text
    assert f"{runs / 'half'}: unfinished" in page.text
