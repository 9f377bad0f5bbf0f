"""Texts made of the sentences of an article: embeddings by any encoder, and what can be seen.

An encoder maps a list of n strings to an array (n, E). With e_i its embeddings of the sentences of
one article, each brought to length one, and weights w_i, the text of the class is

    t = sum_i w_i e_i / sum_i w_i

Of all sentences w_i = 1. Most sentences tell of nests, calls and ranges; the visual ones name three
or more colours, markings and parts of a bird (the words of `cizsl.prepare.appearance`), and their
weight w_i is the number of these words. A class without a visual sentence keeps all its sentences.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cizsl.prepare.appearance import visual_words
from repro.errors import InputError
from repro.plugins import is_plugin, resolve
from repro.wording import one_line, shown

Encoder = Callable[[list[str]], Any]
ENOUGH = 3  # visual words in a visual sentence, at least
END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")  # of a sentence within a line


def sentences(article: str) -> list[str]:
    """Return the sentences of an article in order; a line ends a sentence."""
    lines = (line.strip() for line in article.splitlines())
    return [sentence for line in lines if line for sentence in END.split(line)]


def weighted(article: str, visual: bool) -> dict[str, int]:
    """Return the sentences that take part, each with its weight, added over repetitions."""
    found: dict[str, int] = {}
    for sentence in sentences(article):
        weight = visual_words(sentence) if visual else 1
        if weight >= (ENOUGH if visual else 1):
            found[sentence] = found.get(sentence, 0) + weight
    return found if found or not visual else weighted(article, visual=False)


def visual_articles(articles: Mapping[str, str]) -> dict[str, str]:
    """Return the articles with their visual sentences only, by class name, a sentence a line."""
    return {name: "\n".join(weighted(text, visual=True)) for name, text in articles.items()}


def embed(
    articles: Mapping[str, str], encoder: Encoder, visual: bool = False
) -> tuple[np.ndarray, list[str]]:
    """Return the embeddings t of the module's docstring, and a name for each of their columns.

    Args:
        articles: class name to article, C of them; the rows keep their order.
        encoder: called once, with every sentence once.
        visual: whether visual sentences only take part.

    Returns (C, E) float32. Raises `InputError` where the encoder fails, or returns anything but a
    row of finite numbers for each sentence.
    """
    chosen = [weighted(article, visual) for article in articles.values()]
    place = {s: i for i, s in enumerate(dict.fromkeys(s for one in chosen for s in one))}
    units = _encoded(encoder, [*place])
    rows = [
        np.average(units[[place[s] for s in one]], axis=0, weights=[*one.values()])
        for one in chosen
    ]
    names = [f"embedding {number}" for number in range(1, units.shape[1] + 1)]
    return np.stack(rows).astype(np.float32), names


def _encoded(encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
    """Return embeddings of length one, float64."""
    try:
        found = np.asarray(encoder([*texts]))
    except Exception as error:  # whatever the encoder raises
        raise InputError(f"--encoder: failed ({one_line(error)})") from None
    if found.ndim != 2 or len(found) != len(texts) or found.dtype.kind not in "fiu":
        what = f"{found.shape} {found.dtype}"
        expected = f"a row of numbers for each of {len(texts)} sentences"
        raise InputError(f"--encoder: returned {what}; expected {expected}")
    units = found.astype(np.float64)
    if not np.isfinite(units).all():
        raise InputError("--encoder: returned NaN or infinities")
    return units / np.linalg.norm(units, axis=1, keepdims=True).clip(1e-12)


def find_encoder(name: str) -> Encoder:
    """Return the function behind `package.module:callable`. Raises `InputError` without one."""
    if not is_plugin(name):
        raise InputError(f"--encoder {shown(name)}: expected package.module:callable")
    encoder = resolve(name, {}, "encoder")
    if not callable(encoder):
        raise InputError(f"--encoder {name}: a {type(encoder).__name__}, which cannot be called")
    return encoder
