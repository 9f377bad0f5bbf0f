"""From articles, images and families to a trained run and its table, as a user types it."""

import json

import numpy as np
import pytest
import torch

from cizsl.data import birds_write, layouts
from cizsl.data.birds_layout import read_labels
from cizsl.data.birds_write import write_mat
from cizsl.prepare import split_files
from repro.errors import InputError
from tests.cizsl.data.test_convert import same
from tests.cizsl.prepare.pieces import IMAGES, NAMES, SPLITS, TEXT, call, contents

TINY = ["model.hidden_dim=16", "model.text_embed_dim=8", "optimiser.batch_size=16"]
TINY += ["optimiser.iterations=3", "evaluation.start=2", "evaluation.every=1"]


def test_the_whole_way(place, capsys):
    assert call(capsys, TEXT) == (0, "wrote data/coast: 9 classes, 10 terms")
    code, said = call(capsys, IMAGES)
    assert said.startswith("wrote data/coast: 32 images of 8 classes, 24 features, float32\n")
    code, said = call(capsys, SPLITS)
    assert said == (
        "easy: 5 seen and 3 unseen classes; 3 of the 3 unseen have a seen relative\n"
        "hard: 6 seen and 2 unseen classes; 0 of the 2 unseen have a seen relative"
    )
    assert call(capsys, "data verify data") == (0, "data: 0 errors, 0 notes")
    code, said = call(capsys, "data inspect data")
    assert code == 0 and "coast/pfc_feat_train_easy.mat" in said and "(20, 24)" in said

    read = layouts.load("data", "coast", "hard")
    with np.load("data/coast/images.npz") as file:
        features, labels, names = (file[n] for n in ("features", "labels", "image_names"))
    expected = np.concatenate([features[labels == c - 1] for c in read.seen_ids])
    np.testing.assert_array_equal(read.train_features, expected)
    assert read.train_labels.tolist() == np.repeat(np.arange(6), 4).tolist()
    lines = (place / "data/coast/images_test_hard.txt").read_text().split()
    assert lines == [n for c in read.unseen_ids for n in names[labels == c - 1]]
    assert all(
        NAMES[c - 1] == n.split("/")[0] for c, n in zip(read.unseen_ids, lines[::4], strict=True)
    )

    code, said = call(capsys, "data convert data/coast data/coast.npz")
    assert (code, said) == (0, "wrote data/coast.npz")
    assert call(capsys, "data verify data/coast.npz") == (0, "data/coast.npz: 0 errors, 0 notes")
    scores = []
    for layout in ("published", "npz"):
        (place / "own.yaml").write_text("data: {root: data, dataset: coast, split: hard}\n")
        out = f"--out runs/{layout} --device cpu data.layout={layout}"
        code, said = call(capsys, f"train own.yaml evaluation.protocol=reference {out}", *TINY)
        assert code == 0 and "CIZSL on coast hard, reference protocol" in said, said
        scores.append(json.loads((place / "runs" / layout / "results.json").read_text())["metrics"])
    assert scores[0] == scores[1]
    code, said = call(capsys, "table runs --html table.html")
    assert code == 0 and "coast hard top-1" in said and "published:" not in said
    assert "compare with no published number" in said


def test_the_pieces_come_in_any_order_and_twice(place, capsys):
    """Splits of all classes before the images: the class without one is noted."""
    for command in (TEXT, IMAGES, SPLITS):
        assert call(capsys, command)[0] == 0
    whole = contents(place / "data/coast")
    for command in (IMAGES, SPLITS):  # nothing is done twice, nothing changes
        assert call(capsys, command)[0] == 0
        assert contents(place / "data/coast") == whole
    other = "data/tide"
    assert (
        call(capsys, IMAGES.replace("data/coast", other) + " --classes data/coast/classes.txt")[0]
        == 0
    )
    assert call(capsys, SPLITS.replace("data/coast", other))[0] == 0
    assert call(capsys, TEXT.replace("data/coast", other))[0] == 0
    mine = {name.replace("tide", "coast"): x for name, x in contents(place / other).items()}
    assert mine == whole
    third = "data/shore"
    for command in (TEXT, SPLITS, IMAGES):
        code, said = call(capsys, command.replace("data/coast", third))
        assert code == 0, said
    assert said.endswith("completed the split easy\ncompleted the split hard")
    code, said = call(capsys, f"data verify {third}")
    assert code == 0 and "no images for the labels" in said


def test_a_random_split_takes_classes_that_have_images(place, capsys):
    random = "data splits data/coast --random --unseen 0.4 --seed 3"
    for command in (TEXT, IMAGES):
        assert call(capsys, command)[0] == 0
    assert call(capsys, random) == (0, "random: 5 seen and 3 unseen classes")
    read = layouts.load("data", "coast", "random")
    assert sorted([*read.seen_ids, *read.unseen_ids]) == list(range(1, 9))  # not the ninth
    expected = np.random.default_rng([3, 2]).permutation(8)[:3]
    assert sorted(read.unseen_ids - 1) == sorted(expected)


def test_features_of_ones_own_beside_published_labels(place, capsys):
    """The published text, splits and labels are there, the features are not: they are completed,
    and the labels, which are those of the images, keep their bytes."""
    names = NAMES[:8]
    (place / "names.txt").write_text("\n".join(names))
    labels = np.repeat(np.arange(5), 4), np.repeat(np.arange(3), 4)
    zeros = [np.zeros((len(x), 2)) for x in labels]
    ids = np.array([1, 2, 4, 5, 7]), np.array([3, 6, 8])
    split = birds_write.BirdSplit(*ids, zeros[0], labels[0], zeros[1], labels[1])
    splits = {"easy": split, "hard": split}
    folder = birds_write.write_birds("data", "CUB", np.eye(8), list("abcdefgh"), splits)
    command = IMAGES.replace("data/coast", str(folder)) + " --classes names.txt"
    code, said = call(capsys, command)
    assert code == 2 and said.count("is there already; --overwrite replaces it") == 4
    assert not (folder / "images.npz").exists()  # told before the work
    before = contents(folder)
    for path in folder.glob("pfc_feat*"):
        path.unlink()
    assert call(capsys, command)[0] == 0
    after = contents(folder)
    assert all(after[name] == x for name, x in before.items() if not name.startswith("pfc_feat"))
    assert layouts.load("data", "CUB", "hard").feature_dim == 24
    (place / "images" / names[0] / "0.png").unlink()
    code, said = call(capsys, command)
    assert code == 2 and "of other images; --overwrite" in said
    assert call(capsys, command + " --overwrite")[0] == 0
    assert len(read_labels(folder / "labels_train.pkl")) == 19


def test_npz_from_the_pieces_without_mat_files(place, capsys):
    """Half-precision features stay so; the rest is what the published layout would have held."""
    half = IMAGES + " --dtype float16"
    for command in (TEXT, half, SPLITS + " --layout npz"):
        assert call(capsys, command)[0] == 0
    folder, file = place / "data/coast", place / "data/coast.npz"
    assert not [*folder.glob("pfc_feat*"), *folder.glob("labels*")]
    with np.load(file) as arrays:
        assert arrays["features"].dtype == np.float16
        assert arrays["class_names"].tolist() == NAMES and arrays["terms"].size == 10
    assert call(capsys, "data verify data") == (0, "data: 0 errors, 0 notes")
    code, said = call(capsys, SPLITS + " --layout npz")
    assert code == 2 and "coast.npz: is there already; --overwrite" in said
    before = file.read_bytes()
    file.unlink()
    code, said = call(capsys, half + " --layout npz")  # the images come last
    assert code == 0 and file.read_bytes() == before
    assert call(capsys, SPLITS)[0] == 0
    for split in ("easy", "hard"):
        same(layouts.load("data", "coast", split), layouts.load("data", "coast", split, "npz"))
    text = folder / "coast_Porter_TFIDF.mat"
    text.unlink()
    code, said = call(capsys, SPLITS + " --layout npz --overwrite")
    assert code == 2 and "coast_Porter_TFIDF.mat: missing; the npz layout needs it" in said


def test_a_matrix_too_large_for_a_mat_file(tmp_path):
    large = np.broadcast_to(np.float32(0), (2**17, 2**13))
    with pytest.raises(InputError, match=r"4.0 GiB in one variable; a MAT-file holds less"):
        write_mat(tmp_path / "large.mat", {"pfc_feat": large})


def test_rows_of_a_split_are_sorted_by_their_place_in_it():
    labels = np.array([2, 0, 5, 2, 0, 1])
    rows, own = split_files._rows(labels, np.array([5, 2, 0]))
    assert rows.tolist() == [2, 0, 3, 1, 4] and own.tolist() == [0, 1, 1, 2, 2]
    assert torch.equal(torch.from_numpy(labels[rows]), torch.tensor([5, 2, 2, 0, 0]))
