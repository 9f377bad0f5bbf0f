"""What is wrong with a folder of an attribute benchmark is named, all of it at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cizsl.data import gbu
from repro.errors import InputError
from tests.cizsl.data.test_gbu import LABELS, write

NOT_A_NUMBER = np.where(np.arange(48).reshape(4, 12) == 20, np.nan, 1)


CASES = {  # what is changed: the file blamed, the level, and what is said of it
    "image twice": (
        {"trainval_loc": [11, 2, 1, 9, 12, 12]},
        "S",
        "trainval_loc repeats the images 12",
    ),
    "image 0": ({"test_unseen_loc": [0, 4, 3]}, "S", "test_unseen_loc holds 0; expected 1 to 12"),
    "image 13": ({"test_seen_loc": [5, 13]}, "S", "test_seen_loc holds 13; expected 1 to 12"),
    "image 2.5": ({"test_seen_loc": [5, 2.5]}, "S", "test_seen_loc must hold whole numbers"),
    "image NaN": ({"test_seen_loc": [5, np.nan]}, "S", "test_seen_loc must hold whole numbers"),
    "two parts": (
        {"test_seen_loc": [5, 6, 2]},
        "S",
        "images in both trainval_loc and test_seen_loc: 2",
    ),
    "class on both sides": (
        {"test_unseen_loc": [10, 4], "trainval_loc": [11, 2, 1, 9, 12, 3]},
        "S",
        "classes both seen and unseen: 2",
    ),
    "stranger": (
        {"trainval_loc": [11, 2, 1, 9], "val_loc": [1, 9]},
        "S",
        "test_seen_loc has images of classes that trainval_loc lacks: 6",
    ),
    "no list": ({"test_seen_loc": None}, "S", "no variable test_seen_loc; variables in the file"),
    "attributes NaN": ({"att": np.full((3, 6), np.nan)}, "S", "att holds NaN"),
    "cells": ({"att": np.array([["a"]], dtype=object)}, "S", "att must be a dense matrix"),
    "features NaN": ({"features": NOT_A_NUMBER}, "F", "features holds NaN, infinities or"),
    "features infinite": ({"features": -np.inf * NOT_A_NUMBER}, "F", "features holds NaN, inf"),
    "fewer labels": ({"labels": LABELS[:-1]}, "F", "11 labels, but features of 12 images"),
    "label 7": (
        {"labels": LABELS + (LABELS == 6)},
        "F",
        "labels 7 are out of range; expected 1 to 6",
    ),
    "label 0": ({"labels": LABELS - 1}, "F", "labels 0 are out of range; expected 1 to 6"),
    "no features": ({"features": None}, "F", "no variable features; variables in the file"),
}


@pytest.mark.parametrize("case", CASES)
def test_inconsistency(tmp_path, case):
    """One line from `load_gbu`, naming the file, and the same among the errors of verify."""
    changes, file, message = CASES[case]
    folder, _ = write(tmp_path, **changes)
    errors = [finding for finding in gbu.verify_gbu(folder) if finding.level == "error"]
    path = str(folder / {"S": gbu.SPLITS, "F": gbu.FEATURES}[file])
    assert any(f.file == path and f.message.startswith(message) for f in errors), errors
    with pytest.raises(InputError) as caught:
        gbu.load_gbu(tmp_path, "MINE")
    assert str(caught.value).startswith(f"{errors[0].file}: {errors[0].message}")
    assert "\n" not in str(caught.value)


def test_everything_is_listed_at_once(tmp_path):
    changes = {
        "att": np.ones((3, 5)),
        "features": NOT_A_NUMBER[:, :11],
        "test_seen_loc": [5, 6, 10],
    }
    folder, _ = write(tmp_path, **changes)
    lines = [str(finding) for finding in gbu.verify_gbu(folder)]
    splits, features = folder / gbu.SPLITS, folder / gbu.FEATURES
    for expected in (
        f"error: {features}: features holds NaN",
        f"error: {features}: 12 labels, but features of 11 images",
        f"error: {features}: labels 6 are out of range; expected 1 to 5, the columns of att",
        f"error: {splits}: images in both test_seen_loc and test_unseen_loc: 10",
        f"note: {splits}: 2 images are in no part of the split",
        f"note: {splits}: columns of att are not of length one",
    ):
        assert any(line.startswith(expected) for line in lines), (expected, lines)


def test_notes_are_no_errors(tmp_path):
    """Other counts than published, images left out, classes without images or attributes."""
    changes = {"test_seen_loc": [5, 6], "labels": np.where(LABELS == 5, 2, LABELS)}
    att = np.eye(3)[:, [0, 1, 2, 0, 1, 2]]
    att[:, 4] = 0
    folder, _ = write(tmp_path, "AWA2", att=att, **changes)
    gbu.load_gbu(tmp_path, "AWA2")
    findings = gbu.verify_gbu(folder)
    assert {finding.level for finding in findings} == {"note"}
    said = "\n".join(map(str, findings))
    for message in (
        "res101.mat: no images of the classes 5",
        "test_seen_loc has no image of the seen classes 3, 6",
        "2 images are in no part of the split",
        "no attribute of the classes 5",
        "trainval_loc has 5 images, AWA2 as published 23527",
        "test_unseen_loc has 1 classes, AWA2 as published 10",
        "att has 3 attributes, AWA2 as published 85",
        "att_splits.mat: its SHA-256 is not that of the file of 2018",
    ):
        assert message in said, (message, said)


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(InputError, match=r"no folder AWA2 with att_splits.mat here; docs/gbu.md"):
        gbu.load_gbu(tmp_path, "AWA2")
    with pytest.raises(InputError, match=r"no split 'easy' of AWA2: expected PS"):
        gbu.load_gbu(tmp_path, "AWA2", "easy")
    folder, _ = write(tmp_path, "AWA2")
    head = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    (folder / gbu.FEATURES).write_bytes(head.ljust(512) + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError, match=r"res101.mat: not a MAT-file of version 5 to 7\.2"):
        gbu.load_gbu(tmp_path, "AWA2")
    for name in (gbu.SPLITS, gbu.FEATURES):
        (folder / name).unlink()
    with pytest.raises(InputError, match=r"missing att_splits.mat, res101.mat; docs/gbu.md"):
        gbu.load_gbu(tmp_path, "AWA2")


@given(seed=st.integers(0, 2**32 - 1), compress=st.booleans())
@settings(max_examples=60, deadline=None)
def test_damage_is_an_input_error_or_harmless(tmp_path_factory, seed, compress):
    random, root = np.random.default_rng(seed), tmp_path_factory.mktemp("gbu")
    folder, _ = write(root, compress=compress)
    path = folder / random.choice([gbu.FEATURES, gbu.SPLITS])
    content = bytearray(path.read_bytes())
    for position in random.integers(len(content), size=3):
        content[position] = random.integers(256)
    path.write_bytes(content if seed % 2 else content[: random.integers(len(content))])
    gbu.verify_gbu(root)
    try:
        gbu.load_gbu(root, "MINE")
    except InputError as error:
        assert "\n" not in str(error)
