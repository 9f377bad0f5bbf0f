"""The neutral layout: a dataset is one file, `<name>.npz`, with every image and class once.

C classes, V terms, N images, D features; classes and images count from 0. An array in brackets may
be missing. The name of a split stands before the slash; it has S seen and U unseen classes:

    schema            ()      "cizsl 1"
    text              (C, V)  floats, the text of class c in row c; a row of zeros: no text
    features          (N, D)  float16, float32 or float64, raw
    labels            (N,)    integers, the class of each image, in [0, C)
    [class_names]     (C,)    strings, all different;  [terms] (V,)  and  [image_names] (N,) strings
    [toy]             ()      true for invented data
    easy/seen         (S,)    integers: label k of a training image means the class seen[k]
    easy/unseen       (U,)    integers: label k of a test image means the class unseen[k]
    [easy/train]      (n,)    integers: rows of `features`, in order; else all of seen classes that
                              are not in easy/seen_test
    [easy/test]       (m,)    integers: the same of unseen classes
    [easy/seen_test]  (m',)   integers: rows, of seen classes, that measure seen accuracy
    [easy/validation] (K,)    integers: seen classes that the strict protocol chooses on

Any program that reads numpy's format can read and write it. Nothing in it can run code: arrays of
Python objects, which are pickles, are refused; `cizsl.data.npz_validate` lists what else is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cizsl.data.birds_layout import EXTRACTED, sha256
from cizsl.data.compact_features import check_compact_file
from cizsl.data.dataset import ZSLData
from cizsl.data.findings import Finding
from cizsl.data.npz_validate import (
    CLASSES,
    ROWS,
    SCHEMA,
    STRINGS,
    Arrays,
    is_known,
    problems,
    rows_of,
    split_names,
)
from cizsl.data.texts import check_text_file, is_text
from repro.errors import InputError
from repro.files.atomic import write_arrays
from repro.files.regular_file import readable
from repro.files.safe_npz import read_arrays


@dataclass(frozen=True, eq=False)
class Split:
    """The arrays of a split, as in the file: classes, and rows of the features."""

    seen: np.ndarray
    unseen: np.ndarray
    train: np.ndarray
    test: np.ndarray
    seen_test: np.ndarray | None = None
    validation: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """The checked arrays of a file, with the shapes in the module's docstring; labels are int64."""

    text: np.ndarray
    features: np.ndarray
    labels: np.ndarray
    splits: dict[str, Split]
    class_names: np.ndarray | None = None
    terms: np.ndarray | None = None
    image_names: np.ndarray | None = None
    toy: bool = False


def load_npz(root: str | Path, dataset: str, split: str) -> ZSLData:
    """Read one split of `<dataset>.npz`; `root` holds the file, or is the file.

    Raises `InputError` for a missing file or split, and for the first error in the file.
    """
    path = npz_path(root, dataset)
    found = read_npz(path)
    if split not in found.splits:
        raise InputError(f"{path}: no split {split!r}; expected {' or '.join(found.splits)}")
    chosen = found.splits[split]
    label = {side: _places(getattr(chosen, side), len(found.text)) for side in ("seen", "unseen")}
    parts = {}
    for key, side in ROWS.items():
        if (rows := getattr(chosen, key)) is not None:
            parts[f"{key}_features"] = np.ascontiguousarray(found.features[rows], np.float32)
            parts[f"{key}_labels"] = label[side][found.labels[rows]]
    for side in label:
        parts[f"{side}_text"] = found.text[getattr(chosen, side)].astype(np.float32)
        parts[f"{side}_ids"] = getattr(chosen, side) + 1
    if found.class_names is not None:
        names = found.class_names[np.concatenate([chosen.seen, chosen.unseen])]
        parts["class_names"] = tuple(names.tolist())
    if chosen.validation is not None:
        parts["validation_classes"] = label["seen"][chosen.validation]
    return ZSLData(
        dataset=dataset, split=split, files={path.name: sha256(path)}, toy=found.toy, **parts
    )


def _places(classes: np.ndarray, count: int) -> np.ndarray:
    """Return the place of each class in `classes`: (count,)."""
    places = np.zeros(count, np.int64)
    places[classes] = np.arange(len(classes))
    return places


def npz_files(root: str | Path) -> list[Path]:
    """Return the .npz files of datasets in `root`, or `root` itself where it is one."""
    root = readable(root)
    if root.is_file():
        return [root] if root.suffix == ".npz" else []
    return sorted(path for path in root.glob("*.npz") if path.name != EXTRACTED)


def npz_path(root: str | Path, dataset: str) -> Path:
    """Return the file of a dataset. Raises `InputError` where there is none."""
    root = readable(root)
    path = root if root.is_file() else root / f"{dataset}.npz"
    if not os.path.isfile(path):
        raise InputError(f"{root}: no file {dataset}.npz here (`cizsl data convert` makes one)")
    return path


def read_npz(path: Path) -> Dataset:
    """Read and check the file. Raises its first error as `InputError`."""
    arrays, findings = check_npz(path)
    if errors := [finding for finding in findings if finding.level == "error"]:
        more = f" (`cizsl data verify` lists {len(errors) - 1} more)" if errors[1:] else ""
        raise InputError(f"{path}: {errors[0].message}{more}")
    if not arrays:
        raise InputError(f"{path}: not of the neutral layout: no array schema")
    return Dataset(
        text=arrays["text"],
        features=arrays["features"],
        labels=arrays["labels"].astype(np.int64),
        splits={name: _split(name, arrays) for name in split_names(arrays)},
        toy=bool(arrays.get("toy", False)),
        **{name: arrays.get(name) for name in STRINGS},
    )


def _split(name: str, arrays: Arrays) -> Split:
    """Return a split; where the file does not list its images, it has all of its classes."""
    keys = [key for key in (*CLASSES, *ROWS) if f"{name}/{key}" in arrays]
    values = {key: arrays[f"{name}/{key}"].astype(np.int64) for key in keys}
    for key in ("train", "test"):
        values.setdefault(key, rows_of(values[ROWS[key]], arrays["labels"], values))
    return Split(**values)


def write_npz(path: Path, dataset: Dataset) -> None:
    """Write the file, completely or not at all. The same arrays give the same bytes.

    Raises `InputError` for the first error that reading the file would find.
    """
    arrays = {"schema": np.array(SCHEMA), "text": dataset.text, "features": dataset.features}
    arrays["labels"] = np.asarray(dataset.labels, np.int64)
    for name in STRINGS:
        if getattr(dataset, name) is not None:
            arrays[name] = np.asarray(getattr(dataset, name), np.str_)
    if dataset.toy:
        arrays["toy"] = np.array(True)
    for name, split in dataset.splits.items():
        for key in (*CLASSES, *ROWS):
            if getattr(split, key) is not None:
                arrays[f"{name}/{key}"] = np.asarray(getattr(split, key), np.int64)
    for level, message in problems(arrays):
        if level == "error":
            raise InputError(f"{path}: {message}")
    write_arrays(path, arrays)


def check_npz(path: Path) -> tuple[Arrays, list[Finding]]:
    """Return the arrays of the layout in the file, and everything that is wrong with the file.

    Arrays of other names are not read.
    """
    try:
        arrays, headers = read_arrays(path, is_known)
    except InputError as error:
        return {}, [Finding("error", str(path), str(error))]
    if "schema" not in headers and "scale" in headers:
        return {}, check_compact_file(path)
    if is_text(headers):
        return {}, check_text_file(path)
    others = [name for name in headers if name not in arrays]
    found = problems(arrays, others)
    return arrays, [Finding(level, str(path), message) for level, message in found]
