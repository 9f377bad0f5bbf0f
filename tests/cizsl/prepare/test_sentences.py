"""Sentences of articles, their embeddings against sums by hand, and the command for both."""

import numpy as np
import pytest

from cizsl.cli.parser import main
from cizsl.data.texts import read_text
from cizsl.prepare.appearance import appearance, visual_words
from cizsl.prepare.articles import read_articles
from cizsl.prepare.sentences import embed, find_encoder, sentences, visual_articles
from cizsl.prepare.tfidf import tfidf
from repro.errors import InputError

ARTICLE = (
    'It nests in trees. The head is black, the belly white!  "It sings" (often).\nfound in st. ives'
)
LOOKS = "The head is black, the belly white!"
ARTICLES = {
    "Crow": f"{ARTICLE}\nA red bill and yellow feet. It nests in trees.",
    "Rook": "Unlike any other.",
}
ENCODER = """
import numpy as np

def encode(texts):
    assert isinstance(texts, list)
    return [[len(text), text.count(" "), 3] for text in texts]

def cut(texts):
    return np.ones((1, 2))

def broken(texts):
    return np.full((len(texts), 2), np.nan)

def failing(texts):
    raise RuntimeError("no weights")

number = 3
"""


@pytest.fixture
def encoders(tmp_path, monkeypatch):
    (tmp_path / "tiny_encoders.py").write_text(ENCODER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "articles"
    folder.mkdir()
    for number, (name, article) in enumerate(ARTICLES.items(), 1):
        (folder / f"{number}.{name}.txt").write_text(article)
    return tmp_path


def test_sentences_end_at_marks_before_capitals_and_at_lines():
    assert sentences(ARTICLE) == [
        "It nests in trees.",
        LOOKS,
        '"It sings" (often).',
        "found in st. ives",
    ]


def test_visual_sentences_name_three_colours_and_parts():
    assert visual_words(LOOKS) == 4 and visual_words("a BLACK-crowned night heron") == 1
    kept = visual_articles(ARTICLES)
    assert kept["Crow"] == f"{LOOKS}\nA red bill and yellow feet."
    assert kept["Rook"] == ARTICLES["Rook"]  # none is visual: all of them


def _unit(sentence):
    vector = np.array([len(sentence), sentence.count(" "), 3.0])
    return vector / np.linalg.norm(vector)


def test_embeddings_are_weighted_means_of_vectors_of_length_one():
    encoder = lambda texts: [[len(t), t.count(" "), 3] for t in texts]  # noqa: E731
    text, names = embed(ARTICLES, encoder)
    every = sentences(ARTICLES["Crow"])
    assert len(every) == 6  # one of them twice
    np.testing.assert_allclose(text[0], np.mean([*map(_unit, every)], 0), rtol=1e-6)
    np.testing.assert_allclose(text[1], _unit(ARTICLES["Rook"]), rtol=1e-6)
    assert text.dtype == np.float32 and names == ["embedding 1", "embedding 2", "embedding 3"]
    text, _ = embed(ARTICLES, encoder, visual=True)
    expected = (4 * _unit(LOOKS) + 4 * _unit("A red bill and yellow feet.")) / 8
    np.testing.assert_allclose(text[0], expected, rtol=1e-6)


def test_the_command_writes_a_text_by_class_name(encoders, capsys):
    out = encoders / "sentences.npz"
    command = ["data", "text", "articles", "--out", str(out), "--encoder", "tiny_encoders:encode"]
    assert main([*command, "--sentences", "visual"]) == 0
    assert capsys.readouterr().out == f"wrote {out}: 2 classes, 3 numbers\n"
    text, names = read_text(out)
    assert names == ("Crow", "Rook")
    expected, _ = embed(ARTICLES, find_encoder("tiny_encoders:encode"), visual=True)
    np.testing.assert_array_equal(text, expected)
    assert main(command) == 2
    assert "is there already; --overwrite replaces it" in capsys.readouterr().err


def test_the_command_writes_appearance_and_weighted_terms(encoders, capsys):
    articles = read_articles("articles")
    assert main(["data", "text", "articles", "--out", "look.npz", "--appearance"]) == 0
    np.testing.assert_array_equal(read_text(encoders / "look.npz")[0], appearance(articles)[0])
    options = ["--sublinear", "--max-share", "0.5", "--sentences", "visual"]
    assert main(["data", "text", "articles", "--out", "terms.npz", *options]) == 0
    expected, _ = tfidf(visual_articles(articles), max_share=0.5, sublinear=True)
    np.testing.assert_array_equal(read_text(encoders / "terms.npz")[0], expected)
    assert main(["data", "text", "articles", "--out", "corvids", "--appearance"]) == 0
    assert (encoders / "corvids" / "classes.txt").read_text().split() == ["Crow", "Rook"]
    assert capsys.readouterr().out.count("wrote ") == 3


FAULTS = {
    "tiny_encoders:cut": r"--encoder: returned (1, 2) float64; expected a row of numbers for each",
    "tiny_encoders:broken": "--encoder: returned NaN or infinities",
    "tiny_encoders:failing": "--encoder: failed (RuntimeError: no weights)",
    "tiny_encoders:number": "--encoder tiny_encoders:number: a int, which cannot be called",
    "tiny_encoders:encod": "tiny_encoders has no 'encod'; did you mean 'encode'?",
    "tiny_encoders": "--encoder 'tiny_encoders': expected package.module:callable",
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_an_encoder_are_one_line(encoders, capsys, name):
    assert main(["data", "text", "articles", "--out", "x.npz", "--encoder", name]) == 2
    error = capsys.readouterr().err
    assert FAULTS[name] in error and error.count("\n") == 1
    assert not (encoders / "x.npz").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--appearance", "--sublinear"], "--sublinear: an option of TF-IDF, not of --appearance"),
        (["--min-documents", "9"], "no text features from 2 articles"),
        (["--max-share", "2"], "expected a number from 0 to 1"),
    ],
)
def test_options_that_do_not_fit(encoders, capsys, options, message):
    try:
        code = main(["data", "text", "articles", "--out", "x.npz", *options])
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2 and message in capsys.readouterr().err


def test_sublinear_counts_by_hand():
    """Five times wing and once tail, which is in both articles: (1 + ln 5) idf and idf."""
    with pytest.raises(InputError):
        tfidf({"x": "ab ab", "y": "ab"}, max_share=0.5)
    text, terms = tfidf({"x": "wing wing wing wing wing tail", "y": "tail"}, sublinear=True)
    idf = np.array([1.0, np.log(3 / 2) + 1])  # tail is in both
    expected = np.array([1, 1 + np.log(5)]) * idf
    assert terms == ["tail", "wing"]
    np.testing.assert_allclose(text[0], expected / np.linalg.norm(expected), rtol=1e-6)
