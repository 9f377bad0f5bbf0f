"""Data of one's own: the published layout under another name."""

import numpy as np
import pytest

from cizsl.data import birds_layout, birds_write, layouts, verify
from cizsl.data.birds_write import HEADING
from repro.errors import InputError
from tests.cizsl.data.test_birds import bird_split

TEXT = np.random.default_rng(1).random((6, 5))


def write(root, dataset="finches", splits=("easy", "islands")):
    made = {name: bird_split(seed) for seed, name in enumerate(splits)}
    return birds_write.write_birds(root, dataset, TEXT, list("abcde"), made), made


def test_the_published_layout_under_a_name_of_ones_own(tmp_path):
    folder, made = write(tmp_path)
    assert sorted(path.name for path in folder.glob("*islands*")) == [
        "labels_test_islands.pkl",
        "labels_train_islands.pkl",
        "pfc_feat_test_islands.mat",
        "pfc_feat_train_islands.mat",
        "train_test_split_islands.mat",
    ]
    for root in (tmp_path, folder):
        read = layouts.load(root, "finches", "islands")
        assert (read.dataset, read.split) == ("finches", "islands")
        np.testing.assert_array_equal(read.train_features, made["islands"].train_features)
        np.testing.assert_array_equal(read.test_labels, made["islands"].test_labels)
        np.testing.assert_array_equal(read.unseen_text, TEXT[[4, 1]].astype(np.float32))
        assert birds_layout.datasets_in(root) == [(folder, "finches")]
    assert birds_layout.dataset_of(folder) == "finches"
    assert birds_layout.splits_in(folder, "finches") == ["easy", "islands"]
    with pytest.raises(InputError, match=r"missing train_test_split_hard.mat.*docs/data.md says"):
        layouts.load(tmp_path, "finches", "hard")
    with pytest.raises(
        InputError, match=r"no folder wrens here, which holds finches; docs/data.md"
    ):
        layouts.load(tmp_path, "wrens")
    with pytest.raises(InputError, match="unknown layout 'hdf'; known: published"):
        layouts.load(tmp_path, "finches", "easy", "hdf")


def test_published_datasets_are_found_beside_ones_own(tmp_path):
    write(tmp_path, "CUB", ["easy", "hard"])
    write(tmp_path)
    found = [(tmp_path / "CUB2011", "CUB"), (tmp_path / "finches", "finches")]
    assert birds_layout.datasets_in(tmp_path) == found
    assert birds_layout.dataset_of(tmp_path / "CUB2011") == "CUB"
    assert birds_layout.splits_in(tmp_path / "CUB2011", "CUB") == ["easy", "hard"]


def test_the_same_arrays_give_the_same_bytes(tmp_path):
    """No date in the files; and no half-precision numbers, which MAT-files do not have."""
    one, _ = write(tmp_path / "one")
    two, _ = write(tmp_path / "two")
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()
        assert path.suffix == ".pkl" or path.read_bytes().startswith(HEADING)
    half = TEXT.astype(np.float16)
    birds_write.write_birds(tmp_path / "half", "finches", half, [], {"easy": bird_split()})
    read = layouts.load(tmp_path / "half", "finches")
    np.testing.assert_array_equal(read.unseen_text, half[[4, 1]].astype(np.float32))


def test_verify_tells_of_ones_own_data_what_it_tells_of_the_published(tmp_path):
    folder, _ = write(tmp_path)
    assert verify.verify(tmp_path) == [] and verify.run_verify(folder) == 0
    (folder / "classes.txt").write_text("only one\n")
    (folder / "finches_Porter_TFIDF_term.mat").unlink()
    (folder / "labels_test_islands.pkl").unlink()
    (folder / "pfc_feat_train_easy.mat").write_bytes(b"junk")
    found = [str(finding).replace(f"{folder}/", "") for finding in verify.verify(tmp_path)]
    assert found == [
        "error: pfc_feat_train_easy.mat: cut short, or damaged",
        "error: labels_test_islands.pkl: missing; docs/data.md says how to build it "
        "(`cizsl data text`, `images`, `splits`)",
        "note: finches_Porter_TFIDF_term.mat: missing (no training needs it)",
        "note: classes.txt: 1 names of classes, but the text has 6 rows",
    ]
    (folder / "classes.txt").write_bytes(b"caf\xe9")
    assert "classes.txt: not UTF-8 text" in str(verify.verify(tmp_path)[-1])
    for path in folder.glob("train_test_split*"):
        path.unlink()
    assert "no split (`cizsl data splits` makes some)" in str(verify.verify(tmp_path)[0])
    (folder / "finches_Porter_TFIDF.mat").rename(folder / "images.npz")  # no text any more
    assert birds_layout.datasets_in(tmp_path) == [(folder, "finches")]


def test_inspect_shows_ones_own_data_and_npz_files(tmp_path):
    write(tmp_path)
    arrays = {"text": np.ones((2, 3)), "class_names": np.array(["a", "b"]), "toy": np.array(True)}
    np.savez(tmp_path / "wrens.npz", **arrays, nothing=np.zeros(0))
    (tmp_path / "junk.npz").write_bytes(b"junk")
    lines = [line.split() for line in verify.inspect(tmp_path).splitlines()]
    assert ["finches/labels_train_easy.pkl", "(labels)", "(13,)", "uint16"] in [
        x[:4] for x in lines
    ]
    assert ["wrens.npz", "text", "(2,", "3)", "float64", "1", "to", "1"] in lines
    assert ["wrens.npz", "class_names", "(2,)", "<U1", "a", "to", "b"] in lines
    assert ["wrens.npz", "toy", "()", "bool", "1", "to", "1"] in lines
    assert ["wrens.npz", "nothing", "(0,)", "float64", "not", "read:"] in [x[:6] for x in lines]
    assert any(line[:2] == ["junk.npz", "unreadable"] for line in lines)
    found = [str(finding) for finding in verify.verify(tmp_path)]
    assert len(found) == 2 and all("junk.npz: not" in f or "wrens.npz: not" in f for f in found)
