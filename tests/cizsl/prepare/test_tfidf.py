"""TF-IDF of Porter stems against a hand-made oracle, and against the published term list."""

from collections import Counter

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from cizsl.prepare.articles import read_articles
from cizsl.prepare.tfidf import stem_tokens, tfidf
from repro.errors import InputError, InputErrors
from tests.helpers.rounding import float32_bound

ROUNDED = float32_bound(1)  # the weights are computed in float64 and rounded once

ARTICLES = {
    "kite": "A hooked beak; it hooks fish. Its crown: grey.",
    "wren": "Grey crown, grey wings, and it eats seeds.",
    "dove": "Seeds! It eats seeds, seeds, seeds.",
}


def slow_tfidf(articles, terms):
    """The equations of `cizsl.prepare.tfidf`, entry by entry."""
    counts = [Counter(stem_tokens(article)) for article in articles.values()]
    text = np.zeros((len(counts), len(terms)))
    for c, count in enumerate(counts):
        for t, term in enumerate(terms):
            documents = sum(term in other for other in counts)
            text[c, t] = count[term] * (np.log((1 + len(counts)) / (1 + documents)) + 1)
        text[c] /= np.sqrt((text[c] ** 2).sum())
    return text


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        ("caresses", "caress"),  # Porter's own examples
        ("ponies", "poni"),
        ("relational", "relat"),
        ("hopping", "hop"),
        ("Hooked", "hook"),
        ("grey", "grey"),  # where the published terms leave his first paper
        ("displayed", "display"),
        ("flies", "fli"),
        ("fly", "fli"),
        ("using", "use"),
        ("eyed", "eye"),
        ("dies", "die"),
        ("visibly", "visibl"),
        ("zoology", "zoolog"),
        ("as", "as"),
        ("Yucatán", "yucatn"),
    ],
)
def test_stem_of_a_word(word, stem):
    assert stem_tokens(word) == [stem]


def test_tokens_keep_order_and_drop_punctuation_and_single_characters():
    text = "Red-eyed: a bird’s WING_tip, 12 m; ά"
    assert stem_tokens(text) == ["red", "eye", "bird", "wing", "tip", "12"]


@given(st.text())
def test_any_text_gives_lower_case_ascii_terms(text):
    for term in stem_tokens(text):
        assert term.isascii() and term.isalnum() and term == term.lower() and len(term) > 1


def test_tfidf_matches_the_slow_oracle():
    text, terms = tfidf(ARTICLES)
    assert terms == sorted(["hook", "beak", "fish", "crown", "grey", "wing", "eat", "seed"])
    assert text.dtype == np.float32
    np.testing.assert_allclose(text, slow_tfidf(ARTICLES, terms), rtol=0, atol=ROUNDED)
    np.testing.assert_allclose(np.linalg.norm(text.astype(float), axis=1), 1, atol=ROUNDED)


def test_two_articles_by_hand():
    """ "red" is in both: idf 1. "wing" is in one of two: idf ln(3/2) + 1. Counts 1 and 2."""
    text, terms = tfidf({"a": "red wing wings", "b": "red"})
    wing = 2 * (np.log(1.5) + 1)
    assert terms == ["red", "wing"]
    np.testing.assert_allclose(text[0], np.array([1, wing]) / np.hypot(1, wing), atol=ROUNDED)
    np.testing.assert_allclose(text[1], [1, 0], atol=ROUNDED)


def test_a_given_vocabulary_sets_the_columns_and_keeps_its_stop_words():
    vocabulary = ["seed", "it", "grey", "beak"]
    text, terms = tfidf(ARTICLES, vocabulary)
    assert terms == vocabulary
    np.testing.assert_allclose(text, slow_tfidf(ARTICLES, vocabulary), atol=ROUNDED)


def test_stop_words_of_ones_own_replace_the_english_ones():
    _, terms = tfidf(ARTICLES, stop_words={"grey", "seed"})
    assert "it" in terms and "grey" not in terms and "seed" not in terms
    _, terms = tfidf(ARTICLES, stop_words=())
    assert {"grey", "it", "and", "seed"} <= set(terms)


def test_articles_without_a_term_are_named_at_once():
    with pytest.raises(InputErrors) as caught:
        tfidf(ARTICLES, ["beak"])
    assert [line.split(":")[0] for line in caught.value.problems] == ["wren", "dove"]


def test_min_documents_drops_rare_terms():
    _, terms = tfidf(ARTICLES, min_documents=2)
    assert terms == ["crown", "eat", "grey", "seed"]


@pytest.mark.parametrize(
    ("articles", "arguments", "message"),
    [
        ({}, {}, "0 articles"),
        ({"a": "of the and"}, {}, "1 articles"),
        (ARTICLES, {"min_documents": 4}, "3 articles"),
        (ARTICLES, {"vocabulary": []}, "3 articles"),
        (ARTICLES, {"vocabulary": ["grey", "grey", "seed"]}, "repeats 1 terms"),
        (ARTICLES, {"vocabulary": ["grey"]}, "dove: the article holds none of the 1 terms"),
    ],
)
def test_bad_text_is_refused_in_one_line(articles, arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        tfidf(articles, **arguments)
    assert "\n" not in str(caught.value)


def test_real_articles_cover_the_published_terms(shared):
    birds = shared / "data" / "birds_text"
    published = scipy.io.loadmat(birds / "CUB2011" / "CUB_Porter_7551D_TFIDF_term.mat")
    published = [term.strip() for term in published["TFIDF_Term"]]
    articles = read_articles(birds / "cub_wikipedia")
    _, made = tfidf(articles)
    missed = set(published) - set(made)
    assert len(missed) <= 0.003 * len(published)
    words = [term for term in set(made) - set(published) if not term[0].isdigit()]
    assert len(words) <= 0.003 * len(published)  # and, numbers apart, hardly one too many
    text, terms = tfidf(articles, published)
    assert text.shape == (200, 7551) and terms == published
