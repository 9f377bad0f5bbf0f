"""Names of the published files, and readers of each kind of file.

A split of a dataset is six files, by role: "text" (C, V), "ids" of the seen and unseen classes,
"train_features" (N, D), "test_features" (M, D), "train_labels" (N,) and "test_labels" (M,). Labels
are pickles, a format that can run any program: `repro.files.safe_pickle` admits what numbers need.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from cizsl.data.matfile import damage, mat_variables
from repro.errors import InputError
from repro.files.regular_file import open_regular, readable
from repro.files.safe_pickle import PickledArray, load_numbers

LAYOUTS = {
    "CUB": {
        "folder": "CUB2011",
        "text": "CUB_Porter_7551D_TFIDF_new.mat",
        "terms": "CUB_Porter_7551D_TFIDF_term.mat",
        "easy": {
            "ids": "train_test_split_easy.mat",
            "train_features": "pfc_feat_train.mat",
            "test_features": "pfc_feat_test.mat",
            "train_labels": "labels_train.pkl",
            "test_labels": "labels_test.pkl",
        },
        "hard": {
            "ids": "train_test_split_hard.mat",
            "train_features": "pfc_feat_train_hard.mat",
            "test_features": "pfc_feat_test_hard.mat",
            "train_labels": "labels_train_hard.pkl",
            "test_labels": "labels_test_hard.pkl",
        },
    },
    "NAB": {
        "folder": "NABird",
        "text": "NAB_Porter_13217D_TFIDF_new.mat",
        "terms": "NAB_Porter_13217D_TFIDF_term.mat",
        "easy": {
            "ids": "train_test_split_NABird_easy.mat",
            "train_features": "pfc_feat_train_easy.mat",
            "test_features": "pfc_feat_test_easy.mat",
            "train_labels": "labels_train.pkl",
            "test_labels": "labels_test.pkl",
        },
        "hard": {
            "ids": "train_test_split_NABird_hard.mat",
            "train_features": "pfc_feat_train_hard.mat",
            "test_features": "pfc_feat_test_hard.mat",
            "train_labels": "labels_train_hard.pkl",
            "test_labels": "labels_test_hard.pkl",
        },
    },
}


SOURCES = "data/README.md says where to get it, `cizsl data toy` makes a stand-in"
BUILT = "docs/data.md says how to build it (`cizsl data text`, `images`, `splits`)"


LARGEST_LABELS = 2**26  # bytes of a file
OWN_TEXT = "{}_Porter_TFIDF.mat"  # the same layout under a name of one's own, see `dataset_layout`
OWN_SPLIT = {
    "ids": "train_test_split_{}.mat",
    "train_features": "pfc_feat_train_{}.mat",
    "test_features": "pfc_feat_test_{}.mat",
    "train_labels": "labels_train_{}.pkl",
    "test_labels": "labels_test_{}.pkl",
}
# lists that no published dataset has: names of classes (rows of the text) and of images
CLASSES = "classes.txt"
IMAGES = "images_{part}_{split}.txt"
EXTRACTED = "images.npz"  # the features of all images, whatever the splits


def dataset_layout(dataset: str) -> dict[str, str]:
    """Return the names of "folder", "text" and "terms": as published, or after one's own name."""
    if dataset in LAYOUTS:
        return {role: LAYOUTS[dataset][role] for role in ("folder", "text", "terms")}
    text = OWN_TEXT.format(dataset)
    return {"folder": dataset, "text": text, "terms": text.replace(".mat", "_term.mat")}


def split_layout(dataset: str, split: str) -> dict[str, str]:
    """Return the names of the five files that belong to one split of a dataset, by role."""
    if dataset in LAYOUTS:
        return LAYOUTS[dataset][split]
    return {role: name.format(split) for role, name in OWN_SPLIT.items()}


def dataset_of(folder: Path) -> str:
    """Return the name of the dataset in a folder, by the folder's name."""
    name = folder.resolve().name
    return next((known for known in LAYOUTS if LAYOUTS[known]["folder"] == name), name)


def dataset_folder(root: str | Path, dataset: str) -> Path | None:
    """Return the folder of `dataset`: in `root`, or `root` itself; None where there is none."""
    root, names = readable(root), dataset_layout(dataset)
    if os.path.isdir(root / names["folder"]):
        return readable(root / names["folder"])
    named = os.path.isdir(root) and root.resolve().name == names["folder"]
    return root if named or os.path.isfile(root / names["text"]) else None


def datasets_in(root: str | Path) -> list[tuple[Path, str]]:
    """Return every dataset folder in `root`, or `root` itself, with the name of the dataset.

    Published datasets come first. Others are recognised by the file of their text, which has the
    name in it, or by the file of features of all images.
    """
    found = {folder: known for known in LAYOUTS if (folder := dataset_folder(root, known))}
    text = OWN_TEXT.format("*")
    for path in sorted([*Path(root).glob(text), *Path(root).glob(f"*/{text}")]):
        found.setdefault(path.parent, path.name.removesuffix(text[1:]))
    for path in sorted([*Path(root).glob(EXTRACTED), *Path(root).glob(f"*/{EXTRACTED}")]):
        found.setdefault(path.parent, dataset_of(path.parent))
    return list(found.items())


def splits_in(folder: Path, dataset: str) -> list[str]:
    """Return the splits whose class ids are in the folder: easy, hard, or sorted names."""
    if dataset in LAYOUTS:
        ids = {name: folder / LAYOUTS[dataset][name]["ids"] for name in ("easy", "hard")}
        return [name for name, path in ids.items() if os.path.isfile(path)]
    before, after = OWN_SPLIT["ids"].split("{}")
    files = sorted(folder.glob(f"{before}*{after}"))
    return [path.name.removeprefix(before).removesuffix(after) for path in files]


def split_files(folder: Path, dataset: str, split: str) -> dict[str, Path]:
    """Return the paths of the six files that a split needs, by role."""
    names = {"text": dataset_layout(dataset)["text"], **split_layout(dataset, split)}
    return {role: folder / name for role, name in names.items()}


def read_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 file, such as `CLASSES`."""
    with damage("UTF-8 text"), open_regular(path) as file:
        return file.read().decode("utf-8").splitlines()


def sha256(path: Path) -> str:
    """Return the hex digest of a file, read in small pieces."""
    if not os.path.isfile(path):
        raise InputError(f"missing; {SOURCES}")
    with damage("readable"), open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_role(role: str, path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of one file, by role; the file "ids" holds "train_ids" and "test_ids"."""
    if role == "ids":
        return {f"{part}_ids": _ids(path, f"{part}_cid") for part in ("train", "test")}
    if role.endswith("labels"):
        return {role: read_labels(path).astype(np.int64)}
    return {role: _matrix(path, "PredicateMatrix" if role == "text" else "pfc_feat")}


def _ids(path: Path, variable: str) -> np.ndarray:
    ids = _matrix(path, variable).ravel()
    if not ((ids == np.round(ids)) & (np.abs(ids) < 2**24)).all():
        raise InputError(f"{variable} must hold whole numbers, exact in float32")
    return ids.astype(np.int64)


def _matrix(path: Path, variable: str) -> np.ndarray:
    names = []
    for found in mat_variables(path):
        if found.name == variable:
            return found.read()
        names.append(found.name)
    raise InputError(f"no variable {variable}; variables in the file: {names}")


def read_labels(path: Path) -> np.ndarray:
    """Read labels (N,) in the file's own integer type: an array, or a list of numbers.

    Raises `InputError` for what is not labels, and for files of more than 64 MiB.
    """
    with damage("readable"), open_regular(path) as file:
        content = file.read(LARGEST_LABELS + 1)
    if len(content) > LARGEST_LABELS:
        raise InputError(f"more than {LARGEST_LABELS} bytes; expected labels")
    try:
        found = load_numbers(content)
    except InputError as error:
        raise InputError(f"not a pickle of labels: {error}") from None
    if isinstance(found, list) and not all(isinstance(x, int | np.integer) for x in found):
        raise InputError("labels must be integers, found a list of something else")
    with damage("a pickle of labels"):
        labels = found.values if isinstance(found, PickledArray) else np.asarray(found).ravel()
    if labels.dtype.kind not in "iu" or not labels.size:
        raise InputError(f"labels must be integers, found {labels.size} of type {labels.dtype}")
    return labels
