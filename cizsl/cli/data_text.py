"""``cizsl data text``: texts of classes from a folder of articles."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from cizsl.cli import data_options
from cizsl.cli.data import writing
from repro.cli import parser as parsing
from repro.errors import InputError

OF_TERMS = ("vocabulary", "stop_words", "min_documents", "max_share", "sublinear")


def add_parser(commands: Any) -> None:
    """Add the command and its options."""
    purpose = "make the text of each class from its article, a UTF-8 file NAME.txt: TF-IDF vectors"
    example = "text articles --out data/mine"
    command = data_options.command(commands, "text", purpose, example, text)
    command.description = (
        f"{command.description} With --encoder or --appearance, another description of the same "
        "articles. --out FILE.npz writes a further text, for data.texts of a configuration."
    )
    command.add_argument("source", type=parsing.path, metavar="DIR", help="folder of the articles")
    data_options.add_out(command, "; or file NAME.npz of a further text")
    _add_kinds(command)
    _add_terms(command)
    command.add_argument(
        "--encoding", default="utf-8", metavar="NAME", help="encoding of the articles"
    )


def _add_kinds(command: parsing.Parser) -> None:
    """Add what is made in the place of TF-IDF, and of which sentences."""
    kinds = command.add_mutually_exclusive_group()
    kinds.add_argument(
        "--encoder",
        metavar="package.module:callable",
        help="in place of TF-IDF, the mean embedding of the sentences; the callable maps a list of "
        "strings to an array, a row for each",
    )
    kinds.add_argument(
        "--appearance",
        action="store_true",
        help="in place of TF-IDF, the colours of parts of birds that the article names, weighted",
    )
    command.add_argument(
        "--sentences",
        choices=("all", "visual"),
        default="all",
        help="visual: only those that name three or more colours and parts of a bird; in the mean "
        "embedding they count by the number of these words",
    )


def _add_terms(command: parsing.Parser) -> None:
    """Add the options of TF-IDF."""
    command.add_argument(
        "--min-documents",
        type=parsing.positive,
        metavar="N",
        help="leave out terms that stand in fewer articles than this (default: 1)",
    )
    command.add_argument(
        "--max-share",
        type=parsing.number(0, 1),
        metavar="SHARE",
        help="leave out terms that stand in more than this share of the articles (default: 1)",
    )
    command.add_argument(
        "--sublinear",
        action="store_true",
        default=None,
        help="count a term that stands n times in an article 1 + ln n times",
    )
    command.add_argument(
        "--vocabulary",
        type=parsing.path,
        metavar="FILE",
        help="terms of the columns: a .mat file with TFIDF_Term, or a text file with one term a "
        "line (default: every term of the articles)",
    )
    command.add_argument(
        "--stop-words",
        metavar="FILE",
        help="words to leave out, one a line, or 'none' (default: scikit-learn's English ones)",
    )


def text(options) -> None:
    """Write the text of a dataset, or a file of a further text."""
    from cizsl.prepare.articles import make_text

    describe = _description(options)
    names = ("classes", "encoding", "overwrite")
    others = {name: getattr(options, name) for name in names}
    with writing(options.out):
        made, terms = make_text(options.source, options.out, describe, **others)
    columns = "terms" if options.encoder is None else "numbers"
    absent = int((~made.any(0)).sum())
    blank = f", {absent} of them in no article" if absent else ""
    print(f"wrote {options.out}: {len(made)} classes, {len(terms)} {columns}{blank}")


def _description(options) -> partial:
    """Return the function from articles to a text that the options ask for."""
    given = {name: value for name in OF_TERMS if (value := getattr(options, name)) is not None}
    visual = options.sentences == "visual"
    if options.encoder is None and not options.appearance:
        return partial(_terms, visual=visual, **given)
    kind = "--appearance" if options.appearance else "--encoder"
    if given:
        name = "--" + next(iter(given)).replace("_", "-")
        raise InputError(f"{name}: an option of TF-IDF, not of {kind}")
    if options.encoder is None:
        return partial(_appearance, visual=visual)
    from cizsl.prepare.sentences import embed, find_encoder

    return partial(embed, encoder=find_encoder(options.encoder), visual=visual)


def _terms(
    articles: Mapping[str, str],
    *,
    visual: bool,
    vocabulary=None,
    stop_words: str | None = None,
    **others,
) -> tuple[np.ndarray, list[str]]:
    """Return TF-IDF of the articles, or of their visual sentences."""
    from cizsl.prepare.articles import read_stop_words, read_vocabulary
    from cizsl.prepare.sentences import visual_articles
    from cizsl.prepare.tfidf import tfidf

    terms = None if vocabulary is None else read_vocabulary(vocabulary)
    words = read_stop_words(stop_words)
    articles = visual_articles(articles) if visual else articles
    return tfidf(articles, terms, stop_words=words, **others)


def _appearance(articles: Mapping[str, str], *, visual: bool) -> tuple[np.ndarray, list[str]]:
    """Return the colours of parts that the articles, or their visual sentences, name."""
    from cizsl.prepare.appearance import appearance
    from cizsl.prepare.sentences import visual_articles

    return appearance(visual_articles(articles) if visual else articles)
