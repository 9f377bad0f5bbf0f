"""The site: `python -m sphinx -W -b html docs docs/_build`, or `bash scripts/docs.sh`."""

import re
import sys
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

import api_pages  # noqa: E402

api_pages.write()

project = "cizsl and sde"
copyright = "the authors; MIT licence"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

html_theme = "furo"
html_title = "cizsl and sde"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
pygments_style, pygments_dark_style = "friendly", "github-dark"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
html_math_renderer = "mathml"
smartquotes = False  # --seeds is an option, not a dash
highlight_language = "text"  # equations and commands; what is Python says so

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_inherit_docstrings = False
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
maximum_signature_line_length = 100
add_module_names = False


def as_restructured_text(app, what, name, obj, options, lines: list[str]) -> None:
    """Docstrings are plain text: prose as paragraphs, what is indented exactly as it stands."""
    text, verbatim = [], False
    for line in lines:
        indented = line.startswith("   ")
        if indented and not verbatim:
            text += ["", "::", ""]
        elif verbatim and line.strip() and not indented:
            text += [""]
        verbatim = indented or (verbatim and not line.strip())
        text.append(line if verbatim else _prose(line))
    lines[:] = [*text, ""]


def _prose(line: str) -> str:
    """A line whose code is code and whose other characters mean nothing."""
    pieces = re.split(r"(:\w+:`[^`]*`|`+[^`]*`+)", line)
    for i, piece in enumerate(pieces):
        pieces[i] = f"``{piece.split('`', 1)[1].strip('`')}``" if i % 2 else _escaped(piece)
    return "".join(pieces)


def _escaped(text: str) -> str:
    return re.sub(r"([\\*`|_])", r"\\\1", text)


def as_links_within(app, docname: str, source: list[str]) -> None:
    """Links to what GitHub shows as files lead to the pages that show them here."""
    up = "../" * docname.count("/")
    page = source[0].replace("](../data/README.md", f"]({up}published_files.md")
    source[0] = re.sub(
        r"\]\((?:\.\./)+((?:cizsl|sde|repro)/[\w/]+)\.py\)",
        lambda found: f"]({up}api/generated/{found[1].replace('/', '.')}.rst)",
        page,
    )


def inline_formula(writer, node) -> None:
    writer.body.append(_mathml(node))
    raise nodes.SkipNode


def formula(writer, node) -> None:
    writer.body.append(f'<div class="formula">{_mathml(node, display=True)}</div>\n')
    raise nodes.SkipNode


def _mathml(node, display: bool = False) -> str:
    """Formulas as MathML, which every browser shows without a script or a network."""
    return tex2mathml(node.astext(), as_block=display)


def setup(app) -> None:
    app.add_html_math_renderer("mathml", (inline_formula, None), (formula, None))
    app.connect("autodoc-process-docstring", as_restructured_text)
    app.connect("source-read", as_links_within)
