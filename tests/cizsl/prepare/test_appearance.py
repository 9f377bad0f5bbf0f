"""Colours and parts of birds in articles: pairs by hand, weights by their formula."""

from math import log

import numpy as np
import pytest

from cizsl.prepare.appearance import appearance, counts
from repro.errors import InputError


@pytest.mark.parametrize(
    ("sentence", "pairs"),
    [
        ("a black head and white belly", {"black head", "white belly"}),
        ("a white head and black belly", {"white head", "black belly"}),
        ("The breast is bright yellow.", {"yellow breast"}),
        ("it has greyish-brown upper parts", {"grey upperparts", "brown upperparts"}),
        ("a slaty cap, two wing bars", {"grey crown"}),
        ("black\nhead", set()),  # of two sentences
        ("white eggs in a nest on the ground", set()),
    ],
)
def test_pairs_of_a_sentence(sentence, pairs):
    assert {name for name in counts(sentence) if " " in name} == pairs


def test_counts_of_an_article():
    article = "The head is black.\nA black cap and a red bill.\nThe beak of the female is red."
    expected = {"black": 2, "red": 2, "head": 1, "crown": 1, "bill": 2}
    expected |= {"black head": 1, "black crown": 1, "red bill": 2}
    assert counts(article) == expected


def test_the_weights_are_those_of_the_formula():
    """idf(k) = ln((1 + C) / (1 + df(k))) + 1 of C = 3 articles."""
    features, names = appearance({"a": "red bill\nred bill", "b": "red tail", "c": "it sings"})
    assert names == ["bill", "red", "red bill", "red tail", "tail"]
    once, twice = log(4 / 2) + 1, log(4 / 3) + 1
    rows = np.array([[once, twice, once, 0, 0], [0, twice, 0, once, once]])
    rows[0] *= 1 + log(2)
    expected = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(features[:2], expected, rtol=1e-6)  # float32
    assert not features[2].any()


def test_articles_without_a_bird_are_one_line():
    with pytest.raises(InputError, match="none of the 2 articles names a colour"):
        appearance({"a": "about ships", "b": "about cars"})
