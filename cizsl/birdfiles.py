"""The names of the published files, and how each kind of them is read.

A split of a dataset is six files, by role: "text" (C, V), "ids" of the seen and unseen classes,
"train_features" (N, D), "test_features" (M, D), "train_labels" (N,) and "test_labels" (M,). Labels
are pickles, a format that can run any program: `LabelUnpickler` admits what integers need.
"""

from __future__ import annotations

import hashlib
import math
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cizsl.matfile import NUMBERS, damage, mat_variables
from repro.errors import InputError

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


def dataset_folder(root: str | Path, dataset: str) -> Path | None:
    """The folder of `dataset` in `root`, or `root` itself where that is the dataset's folder."""
    root, layout = Path(root), LAYOUTS[dataset]
    if (root / layout["folder"]).is_dir():
        return root / layout["folder"]
    named = root.is_dir() and root.resolve().name == layout["folder"]
    return root if named or (root / layout["text"]).is_file() else None


def split_files(folder: Path, dataset: str, split: str) -> dict[str, Path]:
    """The six files that a split needs, by role."""
    names = {"text": LAYOUTS[dataset]["text"], **LAYOUTS[dataset][split]}
    return {role: folder / name for role, name in names.items()}


def sha256(path: Path) -> str:
    """Hex digest of a file, read in small pieces."""
    if not path.is_file():
        raise InputError(f"missing; {SOURCES}")
    with damage("readable"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_role(role: str, path: Path) -> dict[str, np.ndarray]:
    """The arrays of one file, by role; that of "ids" holds "train_ids" and "test_ids"."""
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
    """The labels (N,) in the file's own integer type; `LabelUnpickler` says what is admitted."""
    with damage("a pickle of labels"), path.open("rb") as file:
        found = LabelUnpickler(file, encoding="latin1").load()
        labels = found.values if isinstance(found, PickledArray) else np.asarray(found).ravel()
    if labels.dtype.kind not in "iu" or not labels.size:
        raise InputError(f"labels must be integers, found {labels.size} of type {labels.dtype}")
    return labels


class LabelUnpickler(pickle.Unpickler):
    """Reads arrays of integers, and lists of them, and runs nothing that the file names.

    A pickle is a program: it names functions and calls them. Those of labels need four of numpy's
    (numpy 2 moved `numpy.core` to `numpy._core`). A protocol-2 pickle written by Python 3 needs a
    fifth, since that protocol has no bytes and spells them `_codecs.encode(text, "latin1")`. They
    are replaced by the few lines below, since numpy's own can be made to corrupt memory. Any other
    name raises `InputError` before it is looked up, let alone called.
    """

    def find_class(self, module: str, name: str) -> Callable:
        try:
            return ADMITTED[module.replace("numpy._core.", "numpy.core."), name]
        except KeyError:
            called = f"{module}.{name}"
            raise InputError(f"refused to call {called!r}, as labels need no such thing") from None


class PickledType:
    """numpy.dtype("u2", ...), whose byte order follows as the second item of its state."""

    def __init__(self, code: str, *_: object):
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]

    def decode(self, data: bytes | str) -> np.ndarray:
        if self.code not in NUMBERS.values() or self.order not in "<>=|":
            raise InputError(f"labels must be integers, found the type {self.order}{self.code}")
        data = data.encode("latin1") if isinstance(data, str) else data  # Python 2: str is bytes
        return np.frombuffer(data, np.dtype(self.order + self.code))


class PickledArray:
    """What numpy.core.multiarray._reconstruct(numpy.ndarray, ...) makes, before it is filled."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, _, data = state
        self.values = dtype.decode(data)
        if math.prod(shape) != self.values.size:
            raise InputError(f"damaged: {self.values.size} labels for the shape {shape}")


ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): lambda array, shape, code: array(),
    ("numpy.core.multiarray", "scalar"): lambda dtype, data: dtype.decode(data)[0],
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): PickledType,
    ("_codecs", "encode"): lambda text, encoding: text.encode("latin1"),
}
