"""The neutral layout against what was written, its faults one by one, and the round trip."""

from pathlib import Path

import numpy as np
import pytest

from cizsl.data import birds_layout, layouts, npz
from cizsl.data.npz import check_npz, load_npz
from repro.errors import InputError

LABELS = np.array([4, 0, 1, 1, 3, 0, 4, 2])


def arrays(**changes):
    """A file of five classes and eight images; `None` leaves an array out."""
    random = np.random.default_rng(0)
    found = {"schema": np.array("cizsl 1"), "text": random.random((5, 3))}
    found |= {"features": random.normal(size=(8, 2)).astype(np.float16), "labels": LABELS}
    found |= {"odd/seen": np.array([4, 1, 0]), "odd/unseen": np.array([3, 2])}
    return {name: x for name, x in (found | changes).items() if x is not None}


def write(folder, name="wrens", **changes):
    path = folder / f"{name}.npz"
    np.savez(path, **arrays(**changes))
    return path


def test_a_split_by_hand(tmp_path):
    """Labels are places in seen [4, 1, 0] and unseen [3, 2]; images keep the file's order."""
    path = write(tmp_path)
    for root in (tmp_path, path):
        read = layouts.load(root, "wrens", "odd", "npz")
        assert read.train_labels.tolist() == [0, 2, 1, 1, 2, 0]
        assert read.test_labels.tolist() == [0, 1]
        rows = arrays()["features"].astype(np.float32)
        np.testing.assert_array_equal(read.train_features, rows[[0, 1, 2, 3, 5, 6]])
        np.testing.assert_array_equal(read.test_features, rows[[4, 7]])
        text = arrays()["text"].astype(np.float32)
        np.testing.assert_array_equal(read.seen_text, text[[4, 1, 0]])
        np.testing.assert_array_equal(read.unseen_text, text[[3, 2]])
        assert read.seen_ids.tolist() == [5, 2, 1] and read.unseen_ids.tolist() == [4, 3]
        assert read.seen_test_labels is None and read.validation_classes is None
        assert read.files == {"wrens.npz": birds_layout.sha256(path)} and not read.toy


def test_rows_of_a_split_that_are_given(tmp_path):
    more = {"odd/train": [6, 1, 2], "odd/test": [7], "odd/seen_test": [5], "odd/validation": [1]}
    write(tmp_path, toy=np.array(True), **{name: np.array(x) for name, x in more.items()})
    read = load_npz(tmp_path, "wrens", "odd")
    assert read.train_labels.tolist() == [0, 2, 1] and read.test_labels.tolist() == [1]
    assert read.seen_test_labels.tolist() == [2] and read.validation_classes.tolist() == [1]
    features = arrays()["features"].astype(np.float32)
    np.testing.assert_array_equal(read.train_features, features[[6, 1, 2]])
    np.testing.assert_array_equal(read.seen_test_features, features[[5]])
    assert read.toy


def test_what_measures_seen_accuracy_is_not_trained_on(tmp_path):
    """Where the file does not say what is: all other images of the seen classes."""
    write(tmp_path, **{"odd/seen_test": np.array([5, 2])})
    read = load_npz(tmp_path, "wrens", "odd")
    features = arrays()["features"].astype(np.float32)
    np.testing.assert_array_equal(read.train_features, features[[0, 1, 3, 6]])
    assert read.train_labels.tolist() == [0, 2, 1, 0]
    np.testing.assert_array_equal(read.seen_test_features, features[[5, 2]])


FAULTS = {
    "no array text, labels": {"text": None, "labels": None},
    "schema is '2'; expected 'cizsl 1'": {"schema": np.array("2")},
    r"text is \(5, 3\) int64; expected a matrix of floats": {"text": np.ones((5, 3), int)},
    r"features is \(8,\) float64": {"features": np.ones(8)},
    "features holds NaN": {"features": np.full((8, 2), np.nan)},
    "text holds NaN, infinities or numbers beyond float32": {"text": np.full((5, 3), 1e300)},
    r"labels is \(7,\) int64; expected an integer for each row": {"labels": LABELS[1:]},
    r"labels is \(8,\) float64": {"labels": LABELS * 1.0},
    "labels holds -1, 5; expected 0 to 4": {"labels": np.array([4, 0, 1, 1, 3, -1, 5, 2])},
    r"terms is \(2,\) <U1; expected a string for each of the columns": {
        "terms": np.array(["a"] * 2)
    },
    "class_names repeats wren": {"class_names": np.array(["wren", "wren", "a", "b", "c"])},
    "expected a string for each of the rows of features": {"image_names": np.arange(8)},
    "no split": {"odd/seen": None, "odd/unseen": None},
    "no array odd/unseen": {"odd/unseen": None},
    "odd/seen holds 5; expected 0 to 4": {"odd/seen": np.array([0, 5])},
    "odd/seen repeats": {"odd/seen": np.array([0, 1, 1])},
    "odd/train holds 8; expected 0 to 7": {"odd/train": np.array([0, 8])},
    r"odd/test is \(1, 1\) int64; expected a list of integers": {"odd/test": np.array([[4]])},
    "odd: classes both seen and unseen: 3": {"odd/seen": np.array([4, 3])},
    "odd/train: images of the classes 2, not seen": {"odd/train": np.array([0, 7])},
    "odd: images in both train and seen_test: 2, 5": {
        "odd/train": np.array([5, 2, 0]),
        "odd/seen_test": np.array([2, 3, 5]),
    },
    "odd/train: no image of a class that is seen": {
        "odd/seen_test": np.array([0, 1, 2, 3, 5, 6]),
    },
    "odd/validation: leaves fewer than two seen": {"odd/validation": np.array([4, 1])},
    "odd/validation: classes that are not seen: 3": {"odd/validation": np.array([4, 3])},
    "odd/test: no image of a class that is unseen": {"labels": np.array([4, 0, 1, 1, 4, 0, 4, 4])},
}


@pytest.mark.parametrize("message", FAULTS)
def test_every_fault_is_named(tmp_path, message):
    path = write(tmp_path, **FAULTS[message])
    with pytest.raises(InputError, match=f"wrens.npz: .*{message}"):
        load_npz(tmp_path, "wrens", "odd")
    assert any(finding.level == "error" for finding in check_npz(path)[1])


def test_no_fault_and_two_notes(tmp_path):
    assert check_npz(write(tmp_path))[1] == []
    rows = {"odd/train": np.array([0, 1])}
    path = write(tmp_path, colour=np.ones(1), toy=np.array(True), **rows)
    messages = [(finding.level, finding.message) for finding in check_npz(path)[1]]
    assert messages == [
        ("note", "toy data: no number on them is a paper's"),
        ("note", "arrays of no known meaning: colour"),
        ("note", "odd/train: no images of the classes 1"),
    ]


class Hostile:
    def __reduce__(self):
        return Path.touch, (Path("marker"),)


def test_nothing_in_a_file_can_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "wrens.npz", **arrays(terms=np.array([Hostile()] * 3, object)))
    with pytest.raises(InputError, match=r"array .terms.: Python objects, which are pickles"):
        load_npz(tmp_path, "wrens", "odd")
    np.save(tmp_path / "one.npy", np.array([Hostile()]))
    (tmp_path / "one.npy").rename(tmp_path / "wrens.npz")
    with pytest.raises(InputError, match=r"a single array, expected an .npz file"):
        load_npz(tmp_path, "wrens", "odd")
    assert not (tmp_path / "marker").exists()


def test_missing_or_damaged_files(tmp_path):
    with pytest.raises(InputError, match=r"no file wrens.npz here \(`cizsl data convert`"):
        load_npz(tmp_path, "wrens", "odd")
    path = write(tmp_path)
    with pytest.raises(InputError, match="no split 'easy'; expected odd"):
        load_npz(tmp_path, "wrens", "easy")
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(InputError, match="cut short or damaged"):
        load_npz(tmp_path, "wrens", "odd")
    np.save(path.with_suffix(".npy"), np.ones(3))
    path.with_suffix(".npy").rename(path)
    with pytest.raises(InputError, match=r"a single array, expected an .npz file"):
        load_npz(tmp_path, "wrens", "odd")


def test_the_loader_is_one_of_the_layouts():
    assert layouts.LAYOUT_READERS["npz"] is npz.load_npz
