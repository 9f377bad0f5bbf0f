"""Further texts of classes: which row a class has, in every layout, and every fault of a file."""

from pathlib import Path

import numpy as np
import pytest

from cizsl.cli.parser import main
from cizsl.data import layouts, texts, verify
from cizsl.data.birds_layout import sha256
from cizsl.data.names import families
from repro.errors import InputError
from tests.cizsl.data.test_npz import write

NAMES = np.array(["001.Sea_Eagle", "Winter Wren", "House_Wren", "Crow", "Rook"])
ROWS = np.arange(10, dtype=np.float64).reshape(5, 2)


def test_rows_are_those_of_the_names_whatever_their_order(tmp_path):
    """Classes seen [4, 1, 0] and unseen [3, 2]; the file has them backwards, and one more."""
    write(tmp_path, class_names=NAMES)
    names = ["ROOK", "9 crow", "house wren", "Winter_Wren", "sea_eagle", "Dodo"]
    more = np.concatenate([ROWS[::-1], [[7.0, 7.0]]])
    np.savez(tmp_path / "more.npz", text=more, class_names=np.array(names))
    own = layouts.load(tmp_path, "wrens", "odd", "npz")
    read = layouts.load(tmp_path, "wrens", "odd", "npz", ["more.npz"])
    np.testing.assert_array_equal(read.seen_text, np.hstack([own.seen_text, ROWS[[4, 1, 0]]]))
    np.testing.assert_array_equal(read.unseen_text, np.hstack([own.unseen_text, ROWS[[3, 2]]]))
    assert read.seen_text.dtype == np.float32 and read.text_blocks == (3, 2)
    assert read.files == own.files | {"more.npz": sha256(tmp_path / "more.npz")}
    assert read.class_names == own.class_names == tuple(NAMES[[4, 1, 0, 3, 2]])


def test_rows_without_names_are_in_the_order_of_the_class_numbers(tmp_path):
    """Two files one after another, beside the dataset given as a file, one by an absolute path."""
    path, elsewhere = write(tmp_path), tmp_path / "elsewhere"
    elsewhere.mkdir()
    np.savez(tmp_path / "a.npz", text=ROWS)
    np.savez(elsewhere / "b.npz", text=ROWS[:, :1] + 1, class_names=NAMES)
    read = layouts.load(path, "wrens", "odd", "npz", ["a.npz", str(elsewhere / "b.npz")])
    np.testing.assert_array_equal(read.seen_text[:, 3:5], ROWS[[4, 1, 0]])
    np.testing.assert_array_equal(read.unseen_text[:, 5:], ROWS[[3, 2], :1] + 1)
    assert read.text_blocks == (3, 2, 1)
    assert read.class_names == tuple(NAMES[[4, 1, 0, 3, 2]])  # the dataset had none
    assert read.families is not None and len(set(read.families)) == 3  # rook, wren, eagle


def test_the_family_is_the_last_word():
    found = families(["001.Sea_Eagle", "winter wren", "House_Wren", "Bald EAGLE"])
    assert found.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(("layout", "dataset"), [("published", "CUB"), ("compact", "CUB-compact")])
def test_a_text_of_other_layouts(toy, tmp_path, layout, dataset):
    own = layouts.load(toy, dataset, "hard", layout)
    count = max(own.seen_ids.max(), own.unseen_ids.max())
    np.savez(tmp_path / "x.npz", text=np.arange(count, dtype=np.float32)[:, None] + 1)
    read = layouts.load(toy, dataset, "hard", layout, [str(tmp_path / "x.npz")])
    np.testing.assert_array_equal(read.seen_text[:, -1], own.seen_ids)
    np.testing.assert_array_equal(read.unseen_text[:, -1], own.unseen_ids)
    np.testing.assert_array_equal(read.seen_text[:, :-1], own.seen_text)
    assert read.text_blocks == (own.text_dim, 1)


FAULTS = {
    "no array text": {"text": None, "x": ROWS},
    r"text is \(5, 2\) int64; expected a matrix of floats": {"text": ROWS.astype(int)},
    r"text is \(5,\) float64": {"text": ROWS[:, 0]},
    "text holds NaN, infinities or numbers beyond float32": {"text": ROWS * 1e300},
    r"class_names is \(4,\) <U13; expected a string for each row": {"class_names": NAMES[1:]},
    "class_names repeats rook": {"class_names": np.array(["a", "Rook", "b", "c", "rook"])},
    "no row for Winter Wren, Crow among its 5 class_names": {
        "class_names": np.array(["a", "b", *NAMES[::2]])
    },
    "3 rows, but classes have numbers up to 5; expected a row for each": {"text": ROWS[:3]},
}


@pytest.mark.parametrize("message", FAULTS)
def test_faults_are_one_line_with_the_file(tmp_path, message):
    write(tmp_path, class_names=NAMES)
    arrays = {"text": ROWS} | FAULTS[message]
    np.savez(tmp_path / "x.npz", **{name: x for name, x in arrays.items() if x is not None})
    with pytest.raises(InputError, match=rf"x\.npz: {message}"):
        layouts.load(tmp_path, "wrens", "odd", "npz", ["x.npz"])


def test_other_faults(tmp_path, capsys):
    path = write(tmp_path)
    with pytest.raises(InputError, match=r"nowhere\.npz: no such file; `cizsl data text"):
        layouts.load(tmp_path, "wrens", "odd", "npz", ["nowhere.npz"])
    with pytest.raises(InputError, match=r"wrens\.npz is the name of another file of the data"):
        layouts.load(tmp_path, "wrens", "odd", "npz", ["wrens.npz"])
    (tmp_path / "x.npz").write_text("no zip")
    with pytest.raises(InputError, match=r"x\.npz: not an \.npz file"):
        layouts.load(tmp_path, "wrens", "odd", "npz", ["x.npz"])
    where = ["data.layout=npz", f"data.root={path}", "data.dataset=wrens", "data.split=odd"]
    command = [
        "baselines",
        "toy_cub_easy_strict",
        *where,
        "data.texts=nowhere.npz",
        "--out",
        str(tmp_path / "r"),
    ]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "nowhere.npz: no such file" in error


def test_verify_knows_such_files(tmp_path):
    write(tmp_path)
    texts.write_text(tmp_path / "x.npz", ROWS, [*NAMES], ["a", "b"])
    assert verify.verify(tmp_path) == []
    np.savez(tmp_path / "y.npz", text=ROWS * np.nan)
    (found,) = verify.verify(tmp_path)
    assert found.level == "error" and Path(found.file).name == "y.npz"
    with pytest.raises(InputError, match=r"x\.npz: not of the neutral layout"):
        layouts.load(tmp_path, "x", "odd", "npz")
