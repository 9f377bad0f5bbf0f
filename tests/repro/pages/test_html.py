"""Pages from templates: escaped by construction, and without scripts or requests."""

import re

import jinja2
import pytest

from repro.pages.html import render

HOSTILE = """<img src=x onerror=alert(1)>"'&"""


def test_every_value_is_escaped():
    page = render("repro.pages", "base.html", title=HOSTILE)
    assert "<img" not in page
    assert "<title>&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;</title>" in page


def test_a_missing_value_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="title"):
        render("repro.pages", "base.html")


def test_a_page_forbids_scripts_and_requests():
    page = render("repro.pages", "base.html", title="A page")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["script-src"] == "'none'"
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert "<script" not in page and "//" not in page and "url(" not in page
