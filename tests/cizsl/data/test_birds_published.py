"""The published bird files: their loader, number by number, and what scipy and pickle read."""

import pickle
import shutil

import numpy as np
import pytest
import scipy.io
import torch

from cizsl import classifiers
from cizsl.data import birds, birds_layout, matfile, normalise
from tests.helpers.rounding import float32_bound

COUNTS = {  # of the published files: seen, unseen, train images, test images
    ("CUB", "easy"): (150, 50, 8855, 2933),
    ("CUB", "hard"): (160, 40, 9410, 2378),
    ("NAB", "easy"): (323, 81, 39230, 9332),
    ("NAB", "hard"): (323, 81, 39699, 8863),
}


def recorded_loader(file, dataset, split):
    """The recorded numbers of the published loader for one dataset and split, by name."""
    arrays, prefix = np.load(file), f"{dataset}_{split}/"
    record = {n.removeprefix(prefix): arrays[n] for n in arrays if n.startswith(prefix)}
    return record | {"text": arrays[f"{dataset}/PredicateMatrix"]}


def write_recorded(root, dataset, split, record, other_files):
    """A folder in the published layout: recorded features and text; ``other_files(role, path)``
    writes labels and split."""
    layout = birds_layout.LAYOUTS[dataset]
    folder = root / layout["folder"]
    folder.mkdir()
    for role, name in layout[split].items():
        if role.endswith("features"):
            raw = record[f"raw_{role.removesuffix('_features')}_x100_uint16"] / 100
            scipy.io.savemat(folder / name, {"pfc_feat": raw})
        else:
            other_files(role, folder / name)
    scipy.io.savemat(folder / layout["text"], {"PredicateMatrix": record["text"]})


def assert_read_as_recorded(root, dataset, split, record):
    """Labels and texts are exact. A feature becomes (x - mean) / variance, with the float32 mean
    and variance of all numbers, which are sums by halves (about 16 levels); a centroid is the mean
    of at most 150 images."""
    read = birds.load_birds(root, dataset, split)
    sizes = read.num_seen, read.num_unseen, len(read.train_labels), len(read.test_labels)
    assert sizes == COUNTS[dataset, split]
    np.testing.assert_array_equal(read.train_labels, record["labels_train"])
    np.testing.assert_array_equal(read.test_labels, record["labels_test"])
    np.testing.assert_array_equal(read.seen_text, record["train_text"])
    np.testing.assert_array_equal(read.unseen_text, record["test_text"])
    raw, test = torch.from_numpy(read.train_features), torch.from_numpy(read.test_features)
    train, test = (normalise.normalise(x, raw, "published") for x in (raw, test))
    centroids = classifiers.class_centroids(
        train, torch.from_numpy(read.train_labels), read.num_seen
    )
    largest = train.abs().max().item()
    for ours, name, terms in (
        (train[:500], "norm_train_first500", 16),
        (test[:500], "norm_test_first500", 16),
        (centroids, "centroids", 150),
    ):
        close = {"rtol": 0, "atol": float32_bound(terms, largest)}
        np.testing.assert_allclose(ours, record[name], **close)


@pytest.mark.parametrize("split", ["easy", "hard"])
def test_published_loader(golden, tmp_path, split):
    """Random features, the labels and splits of CUB: every number as the published dataset.py."""
    record = recorded_loader(golden("cizsl/loader_cub.npz"), "CUB", split)

    def write(role, path):
        if role.endswith("labels"):
            path.write_bytes(pickle.dumps(record[f"labels_{role.removesuffix('_labels')}"], 2))
        else:
            scipy.io.savemat(path, {n: record[n].astype(float) for n in ("train_cid", "test_cid")})

    write_recorded(tmp_path, "CUB", split, record, write)
    assert_read_as_recorded(tmp_path, "CUB", split, record)


@pytest.mark.parametrize(("dataset", "split"), COUNTS)
def test_published_loader_on_the_published_files(shared, tmp_path, dataset, split):
    record = recorded_loader(shared / "golden/cizsl/loader.npz", dataset, split)
    real = shared / "data/birds_text" / birds_layout.LAYOUTS[dataset]["folder"]
    write_recorded(
        tmp_path, dataset, split, record, lambda _, path: shutil.copy(real / path.name, path)
    )
    assert_read_as_recorded(tmp_path, dataset, split, record)


def test_real_labels_are_what_pickle_makes_of_them(shared):
    """One is a list of numpy scalars; none may stay uint8, where 200 + 100 is 44."""
    paths = sorted((shared / "data/birds_text").glob("*/*.pkl"))
    assert len(paths) == 8
    for path in paths:
        with path.open("rb") as file:
            plain = np.asarray(pickle.load(file, encoding="latin1"))
        labels = birds_layout.read_labels(path)
        assert labels.dtype == plain.dtype
        np.testing.assert_array_equal(labels, plain)


def test_real_matrices_are_as_scipy_reads_them(shared):
    paths = sorted((shared / "data/birds_text").glob("*/*.mat"))
    assert len(paths) == 7
    for path in paths:
        for variable in matfile.mat_variables(path):
            if variable.dtype is not None:
                expected = scipy.io.loadmat(path)[variable.name].astype(np.float32)
                np.testing.assert_array_equal(variable.read(), expected)
