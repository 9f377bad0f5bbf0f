"""CUB, compact features: the file of the package against its raw arrays and a ridge regression."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge

from cizsl import protocols
from cizsl.closed_form import baselines
from cizsl.data import birds_layout, compact_features, layouts, npz, verify
from cizsl.data.compact_features import load_compact
from cizsl.prepare.appearance import appearance
from cizsl.prepare.articles import read_articles
from cizsl.training.fit_baselines import measure
from repro.errors import InputError
from tests.fuzzing import Bounded, damaged, few_examples

FILE = compact_features.FOLDER / "CUB-compact.npz"
COUNTS = {"easy": (150, 50, 8855, 2933), "hard": (160, 40, 9410, 2378)}  # as published


@pytest.fixture(scope="module")
def raw():
    with np.load(FILE) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize("split", COUNTS)
def test_the_loader_against_the_raw_arrays(raw, split):
    read = layouts.load("nowhere", "CUB-compact", split, "compact")
    sizes = read.num_seen, read.num_unseen, len(read.train_labels), len(read.test_labels)
    assert sizes == COUNTS[split] and read.feature_dim == 256 and read.text_dim == 7551
    assert not read.toy and read.files == {FILE.name: birds_layout.sha256(FILE)}
    everything = raw["features"].astype(np.float32) * raw["scale"]
    text = csr_matrix(tuple(raw[f"text_{n}"] for n in ("data", "indices", "indptr")), (200, 7551))
    for side, part in (("seen", "train"), ("unseen", "test")):
        ids = raw[f"{split}_{side}"]
        rows = [i for i, label in enumerate(raw["labels"]) if label in ids]
        np.testing.assert_array_equal(getattr(read, f"{part}_features"), everything[rows])
        labels = getattr(read, f"{part}_labels")
        np.testing.assert_array_equal(getattr(read, f"{side}_ids")[labels], raw["labels"][rows])
        found = getattr(read, f"{side}_text")
        np.testing.assert_array_equal(found, text.toarray()[ids - 1].astype(np.float32))
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)  # of 300 terms


KINDS = {"attributes": 312, "sentences": 384, "appearance": 378}


@pytest.mark.parametrize(("kind", "dim"), KINDS.items())
def test_other_descriptions_of_the_classes(raw, kind, dim):
    read = load_compact(dataset=f"CUB-compact-{kind}", split="hard")
    expected = raw[kind][raw["hard_unseen"] - 1].astype(np.float32)
    np.testing.assert_array_equal(read.unseen_text, expected)
    assert read.text_dim == dim and read.dataset == f"CUB-compact-{kind}"


@pytest.mark.parametrize(("split", "accuracy"), [("easy", 0.360), ("hard", 0.109)])
def test_ridge_regression_recognises_unseen_birds(split, accuracy):
    """Scikit-learn's ridge regression and ours, within half a point of what the page says."""
    read = load_compact(split=split)
    task = protocols.reference_task(read, "none", torch.device("cpu"))
    ours = measure(baselines.Ridge(task), {"penalty": 0.1, "similarity": "cosine"}, task)
    centroids = task.centroids.numpy().astype(float)
    text = read.seen_text - read.seen_text.mean(0)
    penalty = 0.1 * np.trace(text @ text.T) / len(text)
    model = Ridge(alpha=penalty).fit(text.astype(float), centroids)
    predicted = model.predict((read.unseen_text - read.seen_text.mean(0)).astype(float))
    cosine = predicted / np.linalg.norm(predicted, axis=1, keepdims=True)
    top1 = ((read.test_features @ cosine.T).argmax(1) == read.test_labels).mean()
    assert abs(ours.top1 - top1) < 2 / len(read.test_labels)  # float32 scores may tie
    assert abs(top1 - accuracy) < 0.005


def test_the_components_never_saw_an_unseen_image(raw):
    """Over the images of classes seen in both splits, and no others, the components have mean zero
    and no correlation, up to the rounding to bytes, at most half a step of each component."""
    seen = np.intersect1d(raw["easy_seen"], raw["hard_seen"])
    rows = np.isin(raw["labels"], seen)
    assert len(seen) == 119
    numbers = raw["features"] * raw["scale"].astype(float)
    means = {
        name: np.abs(numbers[mask].mean(0)) / raw["scale"]
        for name, mask in (("seen", rows), ("unseen", ~rows), ("all", rows | True))
    }
    assert means["seen"].max() < 0.05 and means["unseen"].max() > 2 and means["all"].max() > 1
    correlation = np.corrcoef(numbers[rows].T) - np.eye(256)
    assert np.abs(correlation).max() < 0.05 < np.abs(np.corrcoef(numbers.T) - np.eye(256)).max()


def test_the_file_is_the_one_of_its_page(shared, raw):
    page = (compact_features.FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"`([0-9a-f]{64})`", page) == [birds_layout.sha256(FILE)]
    with np.load(shared / "data/real/cub_compact.npz") as file:
        for name in file.files:
            np.testing.assert_array_equal(raw[name], file[name])
    embeddings = np.load(shared / "data/real/cub_sentence_embeddings_visual.npy")
    np.testing.assert_array_equal(raw["sentences"], embeddings)


def test_texts_side_by_side(raw):
    read = load_compact(dataset="CUB-compact-descriptions", split="easy")
    assert read.text_blocks == (7551, 384, 378)
    assert load_compact(dataset="CUB-compact-texts").text_blocks == (7551, 384)
    expected = raw["appearance"][raw["easy_seen"] - 1]
    np.testing.assert_array_equal(read.seen_text[:, 7551 + 384 :], expected)


def test_the_appearance_is_made_from_the_articles(shared, raw):
    """Its terms are of the article: a cardinal is red, a blue jay blue."""
    articles = read_articles(shared / "data/birds_text/cub_wikipedia")
    features, terms = appearance(articles)
    np.testing.assert_array_equal(raw["appearance"], features)
    assert raw["appearance_terms"].tolist() == terms
    for name, colour in (("Cardinal", "red"), ("Blue_Jay", "blue")):
        row = next(i for i, one in enumerate(raw["classes"]) if str(one).endswith(name))
        mean = features[:, terms.index(colour)].mean()
        assert features[row, terms.index(colour)] > 2 * mean


def small():
    """A compact file of four classes and eight images."""
    random = np.random.default_rng(0)
    return {
        "features": random.integers(-127, 128, (8, 3)).astype(np.int8),
        "scale": np.array([0.1, 0.2, 0.3], np.float32),
        "labels": np.array([1, 1, 2, 2, 3, 3, 4, 4]),
        "text_data": np.ones(4, np.float32),
        "text_indices": np.array([0, 1, 0, 1]),
        "text_indptr": np.array([0, 1, 2, 3, 4]),
        "terms": np.array(["a", "b"]),
        "odd_seen": np.array([4, 1]),
        "odd_unseen": np.array([3, 2]),
    }


FAULTS = {
    "no array labels": {"labels": None},
    "no split 'odd'; expected": {"odd_unseen": None},
    r"scale is \(2,\) float64; expected \(3,\)": {"scale": np.ones(2)},
    "features is .*float64": {"features": np.ones((8, 3))},
    "labels holds 1 to 9; expected 1 to 4": {"labels": np.array([1, 1, 2, 2, 3, 3, 4, 9])},
    "text_indices holds 0 to 2": {"text_indices": np.array([0, 1, 2, 1])},
    "text_indptr: expected": {"text_indptr": np.array([0, 2, 1, 3, 4])},
    "odd_seen: repeats a class": {"odd_seen": np.array([4, 4])},
    "classes both seen and unseen": {"odd_seen": np.array([4, 3])},
    "odd_seen holds 0 to 4; expected 1 to 4": {"odd_seen": np.array([4, 0])},
    "scale holds NaN": {"scale": np.array([1, np.nan, 1])},
}


@pytest.mark.parametrize("message", FAULTS)
def test_every_fault_is_named(tmp_path, message):
    changed = {n: x for n, x in (small() | FAULTS[message]).items() if x is not None}
    np.savez(tmp_path / "wrens.npz", **changed)
    with pytest.raises(InputError, match=f"wrens.npz: .*{message}"):
        load_compact(tmp_path, "wrens", "odd")
    assert verify.verify(tmp_path)[0].level == "error"


def test_a_text_that_no_memory_holds_is_refused(tmp_path):
    """Rows without numbers take no space in the file: 3 MB of it stood for 48 GB."""
    starts = np.concatenate([np.zeros(60_000, np.int64), [4]])
    many = {"text_indptr": starts, "terms": np.full(200_000, "a")}
    np.savez_compressed(tmp_path / "wrens.npz", **small() | many)
    with pytest.raises(InputError, match=r"wrens.npz: text of 60000 classes and 200000 terms"):
        load_compact(tmp_path, "wrens", "odd")


def test_a_file_of_ones_own(tmp_path):
    with pytest.raises(InputError, match=r"no file wrens.npz here; CUB-compact is built in"):
        load_compact(tmp_path, "wrens", "odd")
    np.savez(tmp_path / "wrens.npz", **small())
    assert load_compact(tmp_path, "wrens", "odd").train_labels.tolist() == [1, 1, 0, 0]
    assert verify.verify(tmp_path) == [] and npz.check_npz(tmp_path / "wrens.npz")[1] == []
    with pytest.raises(InputError, match="no array attributes"):
        load_compact(tmp_path, "wrens-attributes", "odd")
    with pytest.raises(InputError, match="no array sentences, appearance"):
        load_compact(tmp_path, "wrens-descriptions", "odd")


def content():
    import io

    file = io.BytesIO()
    np.savez(file, **small())
    return file.getvalue()


@pytest.fixture
def bounded(tmp_path):
    return Bounded(tmp_path)


@given(content=damaged([content()]) | st.binary(max_size=99))
@few_examples
def test_damaged_files(bounded, content):
    (bounded.folder / "wrens.npz").write_bytes(content)
    found = bounded(lambda: load_compact(bounded.folder, "wrens", "odd"))
    assert found is None or np.isfinite(found.train_features).all()
    assert Path(bounded.folder / "wrens.npz").exists()
