"""Compact files of other datasets: what the components are fitted on, and what is kept."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from cizsl.cli.parser import main
from cizsl.data import birds
from cizsl.data.compact_features import load_compact
from cizsl.data.npz import Dataset, Split
from cizsl.prepare.compact import compact_arrays, described
from repro.errors import InputError

TERMS = np.array(["a", "b", "c"])


def dataset(seed=0, **changes):
    """Six classes of 40 images whose features are not centred; two splits, classes 0 to 3 or 2 to 5
    seen."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(6), 40)
    mixing = random.normal(size=(8, 12))
    features = (random.normal(size=(240, 8)) * [9, 7, 5, 3, 2, 1, 1, 1]) @ mixing + 20
    splits = {}
    for name, seen in (("one", np.arange(4)), ("two", np.arange(2, 6))):
        unseen = np.setdiff1d(np.arange(6), seen)
        rows = (np.flatnonzero(np.isin(labels, classes)) for classes in (seen, unseen))
        splits[name] = Split(seen, unseen, *rows)
    text = random.random((6, 3)) * (random.random((6, 3)) > 0.5)
    fields = dict(text=text, features=features, labels=labels, splits=splits, terms=TERMS)
    return Dataset(**(fields | changes))


def test_the_components_are_scikit_learns_on_the_seen_images():
    data = dataset()
    arrays, kept = compact_arrays(data, 3)
    fitted = np.isin(data.labels, [2, 3])  # seen in both splits
    model = PCA(3).fit(data.features[fitted])
    expected = model.transform(data.features)
    found = arrays["features"] * arrays["scale"]
    signs = np.sign((found * expected).sum(0))
    beyond = np.abs(expected) > 127.5 * arrays["scale"]  # cut off; of seen images none
    step = arrays["scale"] * 0.5001  # half a step of rounding, and float32
    assert (np.abs(found - signs * expected) <= step)[~beyond].all() and not beyond[fitted].any()
    assert kept == pytest.approx(model.explained_variance_ratio_.sum(), rel=1e-9)


def test_unseen_images_change_nothing_but_themselves():
    data, other = dataset(), dataset()
    unseen = ~np.isin(data.labels, [2, 3])
    other.features[unseen] = 7 * other.features[unseen] ** 2
    (one, kept), (two, again) = compact_arrays(data, 3), compact_arrays(other, 3)
    np.testing.assert_array_equal(one["scale"], two["scale"])
    np.testing.assert_array_equal(one["features"][~unseen], two["features"][~unseen])
    assert kept == again and (one["features"][unseen] != two["features"][unseen]).any()


def test_square_roots_have_length_one_before_the_components():
    data = dataset()
    features = np.abs(data.features)
    arrays, _ = compact_arrays(dataset(features=features), 12, square_root=True)
    roots = np.sqrt(features) / np.linalg.norm(np.sqrt(features), axis=1, keepdims=True)
    mean = roots[np.isin(data.labels, [2, 3])].mean(0)
    lengths = np.linalg.norm(arrays["features"] * arrays["scale"], axis=1)
    expected = np.linalg.norm(roots - mean, axis=1)  # all 12 components: a rotation
    seen = np.isin(data.labels, [2, 3])
    error = np.linalg.norm(arrays["scale"]) / 2
    np.testing.assert_allclose(lengths[seen], expected[seen], rtol=0, atol=1.001 * error)
    with pytest.raises(InputError, match="not negative"):
        compact_arrays(dataset(features=-features), 3, square_root=True)


def test_what_the_layout_has_no_place_for():
    data = dataset()
    with pytest.raises(InputError, match="no list of terms"):
        compact_arrays(dataset(terms=None), 3)
    split = data.splits["one"]
    fewer = Split(split.seen, split.unseen, split.train[1:], split.test)
    with pytest.raises(InputError, match="one: does not take every image"):
        compact_arrays(dataset(splits={"one": fewer}), 3)
    with pytest.raises(InputError, match="--components 13: expected 1 to 12"):
        compact_arrays(data, 13)


def test_the_command_makes_a_file_of_the_toy_birds(toy, tmp_path, capsys):
    target = tmp_path / "toy-compact.npz"
    words = ["data", "compact", str(toy / "CUB2011"), str(target), "--components", "20"]
    assert main(words) == 0 and "20 components" in capsys.readouterr().out
    small, full = (
        load_compact(tmp_path, "toy-compact", "hard"),
        birds.load_birds(toy, "CUB", "hard"),
    )
    np.testing.assert_array_equal(small.unseen_text, full.unseen_text)
    np.testing.assert_array_equal(np.bincount(small.train_labels), np.bincount(full.train_labels))
    assert small.feature_dim == 20
    assert main(words) == 2 and "is there already" in capsys.readouterr().err


def test_articles_add_the_appearance_that_they_describe(tmp_path):
    names = np.array([f"{letter} wren" for letter in "abcdef"])
    for name, colour in zip(names, ("red", "blue", "green", "grey", "white", "red"), strict=True):
        (tmp_path / f"{name}.txt").write_text(f"It has a {colour} tail.")
    found = described(tmp_path, names)
    place = found["appearance_terms"].tolist().index("red tail")
    assert np.flatnonzero(found["appearance"][:, place]).tolist() == [0, 5]
    with pytest.raises(InputError, match="does not name its classes"):
        described(tmp_path, None)
