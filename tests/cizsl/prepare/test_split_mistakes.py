"""Mistakes in articles, images and families are one line and leave nothing."""

import os

import numpy as np
import pytest

from cizsl.data import birds_write
from tests.cizsl.data.test_birds import bird_split
from tests.cizsl.prepare.pieces import IMAGES, NAMES, SPLITS, call

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
    (SPLITS + " --classes names.txt --from families.csv", "expected one of --families, --random"),
    (SPLITS + " --classes names.txt --random", "expected one of --families, --random and --from"),
    ("data splits data/coast --classes names.txt", "expected one of --families, --random and"),
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
