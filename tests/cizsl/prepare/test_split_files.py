"""From articles, images and families to a trained run and its table, as a user types it."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from cizsl.cli.parser import main
from cizsl.data import birds_write, layouts
from cizsl.data.birds_layout import read_labels
from cizsl.data.birds_write import write_mat
from cizsl.prepare import split_files
from repro.errors import InputError
from tests.cizsl.data.test_birds import bird_split
from tests.cizsl.data.test_convert import same

NAMES = [f"{own}_{family}" for family in ("Gull", "Tern", "Wren") for own in ("Big", "Red", "Old")]
TINY = ["model.hidden_dim=16", "model.text_embed_dim=8", "optimiser.batch_size=16"]
TINY += ["optimiser.iterations=3", "evaluation.start=2", "evaluation.every=1"]
NETWORK = """
from torch import nn

def network():
    return nn.Sequential(nn.Conv2d(3, 6, 4, stride=4), nn.AdaptiveAvgPool2d(2), nn.Flatten())
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Nine classes with articles; all but the last with four images each; their families."""
    random = np.random.default_rng(0)
    for number, name in enumerate(NAMES, 1):
        own, family = name.lower().split("_")
        article = tmp_path / "articles" / f"{number}.{name}.txt"
        article.parent.mkdir(exist_ok=True)
        article.write_text(f"The {own} {family} is a bird like every {family}; {own} wings.")
        for image in range(4 if number < 9 else 0):
            path = tmp_path / "images" / name / f"{image}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            colours = random.integers(0, 255, (9, 12, 3), np.uint8)
            Image.fromarray(colours).save(path)
    lines = [f"{name},{name.split('_')[1]}" for name in NAMES]
    (tmp_path / "families.csv").write_text("\n".join(["class,family", *lines]))
    (tmp_path / "network.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


TEXT = "data text articles --out data/coast"
IMAGES = "data images images --out data/coast --backbone network:network --resize 9 --crop 8 "
IMAGES += "--batch 5 --device cpu"
SPLITS = "data splits data/coast --families families.csv --unseen 0.4"


def call(capsys, command, *more):
    """Exit code and what was said, without the progress bar."""
    try:
        code = main([*command.split(), *more])
    except SystemExit as stop:  # argparse
        code = stop.code
    said = capsys.readouterr()
    error = [line for line in said.err.splitlines() if line.startswith("cizsl")]
    return code, "\n".join([*said.out.splitlines(), *error])


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


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


MISTAKES = [
    (SPLITS + " --seed -1", "--seed: expected a whole number from 0"),
    ("data text nowhere --out data/a", "nowhere: no such folder"),
    ("data text articles --out data/a,b", "expected letters, digits and _.- in its last part"),
    ("data text articles --out data/coast --min-documents 0", "expected a whole number from 1"),
    ("data text articles --out data/coast --min-documents 99", "no text features from 9 articles"),
    ("data text articles --out data/coast --vocabulary families.csv", "holds none of the 10 terms"),
    ("data text articles --out data/coast --stop-words nowhere", "expected a list of words, or"),
    ("data text articles --out families.csv/coast", "cannot be written: Not a directory"),
    (IMAGES.replace("images images", "images articles"), "no image in the folder of any class"),
    (IMAGES.replace("network:network", "network:net"), "network has no 'net'"),
    (IMAGES.replace("network:network", "timm:resnet50"), "needs timm"),
    (IMAGES + " --mean 1,2", "'1,2': expected three numbers R,G,B"),
    (IMAGES + " --crop 10", "crop 10: expected 1 to 9"),
    (IMAGES + " --classes families.csv", "no class of this name among the 10"),
    (SPLITS, "data/coast: no classes.txt; --classes FILE names the classes"),
    (
        SPLITS + " --classes names.txt --unseen 2",
        "--unseen: expected a number from 0 to 1, got '2'",
    ),
    (SPLITS + " --classes names.txt --from families.csv", "either --families or --from"),
    (SPLITS + " --classes names.txt --check", "data/coast: no split here"),
    ("data splits data/coast --classes names.txt --check", "--check: expected --families"),
    (
        "data splits data/coast --classes names.txt --from families.csv",
        "family of Big_Gull is 'gull'",
    ),
    (
        "data splits data/CUB2011 --classes names.txt --from other.csv",
        "expected easy and hard only",
    ),
    ("data convert nowhere data/x.npz", "nowhere: no dataset here"),
]


@pytest.mark.parametrize(("command", "message"), MISTAKES)
def test_mistakes_are_lines_and_leave_nothing(place, capsys, command, message):
    (place / "names.txt").write_text("\n".join(NAMES))
    rows = [f"{name},{'unseen' if name < 'C' else 'seen'}" for name in NAMES]
    (place / "other.csv").write_text("\n".join(["class,odd", *rows]))
    before = sorted(os.walk(place))
    code, said = call(capsys, command)
    assert code == 2 and message in said and "Traceback" not in said, said
    assert all(line.startswith("cizsl") for line in said.splitlines())
    after = [line for line in sorted(os.walk(place)) if "__pycache__" not in line[0]]
    assert [(d, f) for d, _, f in after] == [(d, f) for d, _, f in before]


def test_splits_with_a_class_that_is_not_there(place, capsys):
    (place / "names.txt").write_text("\n".join(NAMES[:3]))
    birds_write.write_birds("data", "coast", np.eye(6), [], {"easy": bird_split()})
    code, said = call(capsys, SPLITS + " --check --classes names.txt")
    assert code == 2 and "class ids up to 6; expected 1 to 3" in said


def test_the_folders_of_images_must_be_all_classes_of_a_text_without_names(place, capsys):
    birds_write.write_birds("data", "coast", np.eye(9), [], {"easy": bird_split()})
    for path in (place / "data/coast").glob("pfc_feat*"):
        path.unlink()
    code, said = call(capsys, IMAGES)
    assert code == 2 and "8 folders, but the text in data/coast has 9 rows; --classes" in said


def test_rows_of_a_split_are_sorted_by_their_place_in_it():
    labels = np.array([2, 0, 5, 2, 0, 1])
    rows, own = split_files._rows(labels, np.array([5, 2, 0]))
    assert rows.tolist() == [2, 0, 3, 1, 4] and own.tolist() == [0, 1, 1, 2, 2]
    assert torch.equal(torch.from_numpy(labels[rows]), torch.tensor([5, 2, 2, 0, 0]))
