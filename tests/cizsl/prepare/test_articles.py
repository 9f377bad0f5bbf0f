"""A folder of articles: its order, every fault at once, and the files that are made of it."""

from functools import partial

import numpy as np
import pytest
import scipy.io

from cizsl.data import birds_layout
from cizsl.data.matfile import mat_strings
from cizsl.prepare.articles import make_text, read_articles, read_vocabulary
from cizsl.prepare.class_names import class_list, clean, in_order, read_class_list
from cizsl.prepare.tfidf import tfidf
from repro.errors import InputError, InputErrors

ARTICLES = {
    "10.Winter Wren": "A brown bird; it sings.",
    "2.Sea_Eagle": "Brown, and it eats fish.",
    "1.House_Wren": "Grey wings.",
}


def write(folder, articles):
    folder.mkdir(exist_ok=True)
    for name, article in articles.items():
        (folder / f"{name}.txt").write_text(article, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("001.Black_footed_Albatross", "Black_footed_Albatross"),
        ("1 001.Black_footed_Albatross", "Black_footed_Albatross"),
        ("12_Sea  Eagle ", "Sea_Eagle"),
        ("7 - Wren", "Wren"),
        ("2001", "2001"),
        ("B52", "B52"),
        (" Wren", "Wren"),
    ],
)
def test_names_without_their_numbers(name, cleaned):
    assert clean(name) == cleaned


def test_numbers_order_as_numbers_and_come_before_names():
    assert in_order(["b", "10.x", "A", "2.y"]) == ["2.y", "10.x", "A", "b"]


def test_articles_in_the_order_of_their_numbers(tmp_path):
    write(tmp_path, ARTICLES)
    (tmp_path / "notes.md").write_text("not an article")
    assert read_articles(tmp_path) == {
        "House_Wren": "Grey wings.",
        "Sea_Eagle": "Brown, and it eats fish.",
        "Winter_Wren": "A brown bird; it sings.",
    }
    assert list(read_articles(tmp_path)) == ["House_Wren", "Sea_Eagle", "Winter_Wren"]


def test_articles_in_the_order_of_a_list(tmp_path):
    write(tmp_path / "a", ARTICLES)
    (tmp_path / "list").write_text("1 sea eagle\n\n2 winter_wren\n")
    names = class_list(tmp_path, tmp_path / "list")
    assert list(read_articles(tmp_path / "a", names)) == ["sea_eagle", "winter_wren"]


def test_every_fault_of_a_folder_is_named_at_once(tmp_path):
    folder = write(tmp_path / "a", ARTICLES | {"Winter_wren": "Again.", "Crow": " \n"})
    (folder / "Rook.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InputErrors) as caught:
        read_articles(folder, ["Sea_Eagle", "Winter_Wren", "Crow", "Rook", "Dodo"])
    assert caught.value.problems == [
        f"{folder}: the files 10.Winter Wren.txt, Winter_wren.txt for the class Winter_Wren; "
        "expected one file",
        f"{folder / 'Crow.txt'}: the article is empty",
        f"{folder / 'Rook.txt'}: not UTF-8 text (byte 3)",
        f"{folder}: no article for the class Dodo; expected one file",
    ]
    assert read_articles(folder, ["Rook"], "latin-1") == {"Rook": "café"}
    with pytest.raises(InputError, match="no encoding 'klingon'"):
        read_articles(folder, ["Rook"], "klingon")
    with pytest.raises(InputError, match="no such folder"):
        read_articles(tmp_path / "nowhere")


def test_lists_of_classes(tmp_path):
    path = tmp_path / "list"
    with pytest.raises(InputError, match="no such file; expected a list of classes"):
        read_class_list(path)
    path.write_text("a b\n1.A_B\nc\n2 C\n")
    with pytest.raises(InputErrors) as caught:
        read_class_list(path)
    assert [line.split()[-1] for line in caught.value.problems] == ["A_B", "C"]
    path.write_text("\n")
    with pytest.raises(InputError, match="empty; expected"):
        read_class_list(path)
    path.write_bytes(b"caf\xe9\n")
    with pytest.raises(InputError, match="list: not UTF-8 text"):
        read_class_list(path)
    path.write_text("b\na\n")
    (tmp_path / "classes.txt").write_text("a\nb\n")
    assert class_list(tmp_path, None) == ["a", "b"]
    with pytest.raises(InputError, match=r"not the classes, in their order, of .*classes.txt"):
        class_list(tmp_path, path)


@pytest.mark.parametrize("name", ["finches", "CUB2011"])
def test_the_text_of_a_dataset(tmp_path, name):
    """What is written is the TF-IDF of the articles, under the names that the reader looks for."""
    folder = tmp_path / name
    text, terms = make_text(write(tmp_path / "a", ARTICLES), folder)
    assert (folder / "classes.txt").read_text().split() == [
        "House_Wren",
        "Sea_Eagle",
        "Winter_Wren",
    ]
    files = birds_layout.dataset_layout("CUB" if name == "CUB2011" else name)
    np.testing.assert_array_equal(scipy.io.loadmat(folder / files["text"])["PredicateMatrix"], text)
    assert mat_strings(folder / files["terms"], "TFIDF_Term") == terms
    again, _ = tfidf(read_articles(tmp_path / "a"))
    np.testing.assert_array_equal(text, again)
    with pytest.raises(InputError, match=r"is there already; --overwrite replaces it"):
        make_text(tmp_path / "a", folder)
    (tmp_path / "terms.txt").write_text("grey\nfish\nbrown\né\n", encoding="utf-8")
    given = partial(tfidf, vocabulary=read_vocabulary(tmp_path / "terms.txt"))
    text, terms = make_text(tmp_path / "a", folder, given, overwrite=True)
    assert terms == ["grey", "fish", "brown", "é"] and not text[:, 3].any()
    assert read_vocabulary(folder / files["terms"]) == terms
    with pytest.raises(InputError, match=r"terms\.mat: (not a MAT-file|cut short)"):
        (tmp_path / "terms.mat").write_text("grey")
        read_vocabulary(tmp_path / "terms.mat")
    with pytest.raises(InputError, match="no such file; expected a list of terms"):
        read_vocabulary(tmp_path / "nowhere")


def test_real_articles_give_the_published_columns(shared, tmp_path):
    """Of the 7551 published terms, 99.7 % occur in what is made of the 200 articles."""
    birds = shared / "data" / "birds_text"
    published = birds / "CUB2011" / "CUB_Porter_7551D_TFIDF_term.mat"
    text, terms = make_text(birds / "cub_wikipedia", tmp_path / "own")
    covered = len(set(read_vocabulary(published)) & set(terms)) / 7551
    assert text.shape[0] == 200 and 0.997 < covered < 0.998
    given = partial(tfidf, vocabulary=read_vocabulary(published))
    text, terms = make_text(birds / "cub_wikipedia", tmp_path / "CUB2011", given)
    assert text.shape == (200, 7551)
    assert text.any(0).mean() == pytest.approx(covered, abs=3e-4)
    names = (tmp_path / "own" / "classes.txt").read_text().splitlines()
    assert names[0] == "Black_footed_Albatross" and names[-1] == "Common_Yellowthroat"
