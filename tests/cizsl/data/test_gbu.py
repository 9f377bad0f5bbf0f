"""The GBU layout: what is read, what is refused, and who may see which image."""

import hashlib
import tracemalloc

import numpy as np
import pytest
import scipy.io
import torch

from cizsl import protocols
from cizsl.data import gbu, gbu_validate
from cizsl.prepare import toy_gbu
from repro.errors import InputError
from tests.helpers.rounding import float32_bound

CPU = torch.device("cpu")
COUNTS = {  # of the published files: classes, attributes, images
    "AWA1": (50, 85, 30475),
    "AWA2": (50, 85, 37322),
    "SUN": (717, 102, 14340),
    "APY": (32, 64, 15339),
}
# ten images of classes 1 to 5, in no order: classes 2 and 5 are unseen, 4 and 3 validate
LABELS = np.array([4, 1, 2, 5, 1, 4, 3, 6, 3, 2, 4, 6])
VARIABLES = {
    "trainval_loc": [11, 2, 1, 9, 12],
    "test_seen_loc": [5, 6, 7, 8],
    "test_unseen_loc": [10, 4, 3],
    "train_loc": [2, 5, 12],
    "val_loc": [1, 6, 9, 7],
}


def write(root, dataset="MINE", compress=False, **changes):
    """A tiny dataset as MATLAB would write it; `changes` replace variables, None leaves one out."""
    rng = np.random.default_rng(0)
    att = rng.random((3, 6)) + 0.1
    variables = {
        **{name: np.array(loc, np.uint16)[:, None] for name, loc in VARIABLES.items()},
        "allclasses_names": np.array([[f"class {c}"] for c in range(6)], dtype=object),
        "att": att / np.linalg.norm(att, axis=0),
        "original_att": att,
        "features": rng.random((4, 12)),
        "image_files": np.array([[f"{i}.jpg"] for i in range(12)], dtype=object),
        "labels": LABELS[:, None].astype(np.uint8),
    } | changes
    folder = root / dataset
    folder.mkdir(parents=True, exist_ok=True)
    images = ("features", "image_files", "labels")
    for file, wanted in ((gbu.FEATURES, True), (gbu.SPLITS, False)):
        chosen = {n: x for n, x in variables.items() if (n in images) == wanted and x is not None}
        scipy.io.savemat(folder / file, chosen, do_compression=compress)
    return folder, variables


@pytest.mark.parametrize("compress", [False, True])
def test_loads_what_was_written(tmp_path, compress):
    folder, variables = write(tmp_path, compress=compress)
    x, att = variables["features"].T.astype(np.float32), variables["att"].T.astype(np.float32)
    for root in (tmp_path, folder, str(folder)):
        data = gbu.load_gbu(root, "MINE")
        np.testing.assert_array_equal(data.seen_ids, [1, 3, 4, 6])
        np.testing.assert_array_equal(data.unseen_ids, [2, 5])
        np.testing.assert_array_equal(data.seen_text, att[[0, 2, 3, 5]])
        np.testing.assert_array_equal(data.unseen_text, att[[1, 4]])
        np.testing.assert_array_equal(data.train_features, x[[10, 1, 0, 8, 11]])
        np.testing.assert_array_equal(data.train_labels, [2, 0, 2, 1, 3])
        np.testing.assert_array_equal(data.seen_test_features, x[[4, 5, 6, 7]])
        np.testing.assert_array_equal(data.seen_test_labels, [0, 2, 1, 3])
        np.testing.assert_array_equal(data.test_features, x[[9, 3, 2]])
        np.testing.assert_array_equal(data.test_labels, [0, 1, 0])
        np.testing.assert_array_equal(data.validation_classes, [1, 2])  # of the classes 3 and 4
        assert data.train_features.dtype == np.float32 and data.test_features.flags.c_contiguous
    assert (data.dataset, data.split, data.toy) == ("MINE", "PS", False)
    for name, digest in data.files.items():
        assert digest == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert len(data.files) == 2
    (folder / "TOY.md").touch()
    assert gbu.load_gbu(tmp_path, "MINE").toy


def test_the_archive_as_it_unpacks(tmp_path):
    write(tmp_path / "xlsa17" / "data", "AWA2")
    assert gbu.load_gbu(tmp_path, "AWA2").num_seen == 4
    assert [f.name for f in gbu.folders(tmp_path)] == ["AWA2"]


@pytest.mark.parametrize("dataset", COUNTS)
def test_real_splits(shared, tmp_path, monkeypatch, dataset):
    """Counts as in the paper, attributes as scipy reads them, and nothing to complain about."""
    monkeypatch.setattr(toy_gbu, "DIM", 5)
    source = shared / "data/gbu_splits"
    (folder,) = [f for f in toy_gbu.make_gbu_toy(tmp_path, source) if f.name == dataset]
    data, real = gbu.load_gbu(tmp_path, dataset), scipy.io.loadmat(source / dataset / gbu.SPLITS)
    images, classes, attributes = gbu_validate.PUBLISHED[dataset]
    labels = (data.train_labels, data.seen_test_labels, data.test_labels)
    assert tuple(map(len, labels)) == images
    assert (data.num_seen, data.num_unseen) == classes
    assert (sum(classes), attributes, sum(images)) == COUNTS[dataset]
    assert data.text_dim == attributes
    att = np.empty((sum(classes), attributes))
    att[data.seen_ids - 1], att[data.unseen_ids - 1] = data.seen_text, data.unseen_text
    np.testing.assert_array_equal(att, real["att"].T.astype(np.float32))
    lengths = np.linalg.norm(att.astype(float), axis=1)  # of rows that were rounded once
    np.testing.assert_allclose(lengths, 1, rtol=0, atol=float32_bound(1))
    assert [f.message for f in gbu.verify_gbu(folder)] == [
        "toy data: no number on them is a paper's"
    ]
    (folder / "TOY.md").unlink()
    assert gbu.verify_gbu(folder) == []


def test_one_copy_of_the_features(tmp_path):
    count, dim = 3000, 512
    labels = np.repeat(np.arange(1, 7), 500)
    loc = {"trainval_loc": np.arange(1, 1501), "test_seen_loc": np.arange(1501, 2001)}
    loc |= {"test_unseen_loc": np.arange(3000, 2000, -1), "train_loc": None, "val_loc": None}
    labels[1500:2000] = 1 + np.arange(500) % 3
    write(
        tmp_path,
        features=np.random.default_rng(0).random((dim, count)),
        labels=labels[:, None],
        **loc,
    )
    tracemalloc.start()
    data = gbu.load_gbu(tmp_path, "MINE")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = 4 * count * dim
    assert sum(x.nbytes for x in (data.train_features, data.seen_test_features)) < size < peak
    assert peak < size + 3 * 2**22 * 2  # blocks of 4 MiB while reading


def rows(tensor):
    return {row.tobytes() for row in np.asarray(tensor)}


@pytest.mark.parametrize("phase", ["reference", "strict", "validation"])
def test_who_sees_which_image(tmp_path, phase):
    """Test images of seen classes measure, validation classes are the file's, and neither they
    nor the unseen classes meet a choice."""
    toy_gbu.make_gbu_toy(tmp_path)
    data = gbu.load_gbu(tmp_path)
    if phase == "reference":
        task = protocols.reference_task(data, "none", CPU)
    elif phase == "strict":
        task = protocols.strict_test_task(data, "none", CPU, 0.1, 0)
    else:
        task = protocols.validation_task(data, "none", CPU, 0.1, 0, 0.2)
    seen_test, test = rows(data.seen_test_features), rows(data.test_features)
    parts = (task.train_features, task.seen_features, task.unseen_features)
    train, seen, unseen = map(rows, parts)
    if phase != "validation":
        assert train == rows(data.train_features) and seen == seen_test and unseen == test
        assert torch.equal(task.seen_labels, torch.from_numpy(data.seen_test_labels))
        return
    chosen = np.isin(data.train_labels, data.validation_classes)
    assert unseen == rows(data.train_features[chosen])
    assert train | seen == rows(data.train_features[~chosen]) and not train & seen
    assert not (train | seen | unseen) & (seen_test | test)
    assert rows(task.unseen_text) == rows(data.seen_text[data.validation_classes])


def test_without_a_split_of_classes_the_seed_draws_one(tmp_path):
    """val_loc of classes that train_loc has, too; or no val_loc at all."""
    for changes in ({"val_loc": [1, 2, 5, 6]}, {"train_loc": None, "val_loc": None}):
        folder, _ = write(tmp_path, **changes)
        assert gbu.load_gbu(tmp_path, "MINE").validation_classes is None
        (note,) = gbu.verify_gbu(folder)
        assert note.level == "note" and "drawn by evaluation.validation_seed" in note.message


def test_the_toy_is_the_same_every_time_and_overwrites_nothing(tmp_path):
    (one,), (two,) = (toy_gbu.make_gbu_toy(tmp_path / name) for name in "ab")
    (other,) = toy_gbu.make_gbu_toy(tmp_path / "c", seed=1)
    for name in (gbu.FEATURES, gbu.SPLITS, "TOY.md"):
        assert (one / name).read_bytes() == (two / name).read_bytes() != (other / name).read_bytes()
    assert toy_gbu.make_gbu_toy(tmp_path / "a", seed=1) == [one]
    assert (one / gbu.FEATURES).read_bytes() == (other / gbu.FEATURES).read_bytes()
    (one / "TOY.md").unlink()
    with pytest.raises(InputError, match=r"res101.mat: not written by the toy"):
        toy_gbu.make_gbu_toy(tmp_path / "a")
    for arguments, message in [((tmp_path / "d",), "no folder with"), ((None, -1), "seed -1")]:
        with pytest.raises(InputError, match=message):
            toy_gbu.make_gbu_toy(tmp_path / "e", *arguments)


def test_invented_features_are_their_formula():
    """max(0, tanh((t + 1.3 e) A) B + 0.5 n) / deviation, image by image."""
    att, labels = np.random.default_rng(3).random((4, 3)), np.array([2, 0, 3, 3, 1])
    rng = np.random.default_rng(7)
    untold = 0.8 * rng.normal(size=(4, 3))
    a = rng.normal(size=(6, toy_gbu.UNITS)) / 6**0.5
    b = rng.normal(size=(toy_gbu.UNITS, 5)) / toy_gbu.UNITS**0.5
    e, n = rng.normal(size=(5, 6)), rng.normal(size=(5, 5))
    told = (att - att.mean(0)) / np.sqrt(((att - att.mean(0)) ** 2).mean())
    expected = np.array(
        [
            np.maximum(np.tanh(([*told[y], *untold[y]] + 1.3 * e[i]) @ a) @ b + 0.5 * n[i], 0)
            for i, y in enumerate(labels)
        ]
    )
    drawn = toy_gbu.draw_features(att, labels, 5, np.random.default_rng(7))
    np.testing.assert_allclose(drawn, expected / expected.std(), rtol=float32_bound(1), atol=1e-12)
