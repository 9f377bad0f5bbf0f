"""Everything that can be wrong with the arrays of an .npz file, see `cizsl.data.npz`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from cizsl.data.findings import few

SCHEMA = "cizsl 1"
NEEDED = ("schema", "text", "features", "labels")
STRINGS = {"class_names": ("text", 0), "image_names": ("features", 0), "terms": ("text", 1)}
CLASSES = ("seen", "unseen", "validation")  # of a split: class numbers; and rows, of which classes:
ROWS = {"train": "seen", "test": "unseen", "seen_test": "seen"}
OPTIONAL = ("validation", *ROWS)
SPLIT_KEY = re.compile(rf"([A-Za-z0-9][\w.-]*)/({'|'.join((*CLASSES, *ROWS))})", re.ASCII)

Arrays = dict[str, np.ndarray]
Problems = Iterator[tuple[str, str]]  # level, message


def split_names(arrays: Arrays) -> list[str]:
    """The splits that the names of the arrays tell of, in the order of the file."""
    found = (SPLIT_KEY.fullmatch(name) for name in arrays)
    return list(dict.fromkeys(match[1] for match in found if match))


def rows_of(classes: np.ndarray, labels: np.ndarray, split: Arrays) -> np.ndarray:
    """All images of `classes` but those that measure seen accuracy: what a split means that does
    not say which."""
    return np.setdiff1d(np.flatnonzero(np.isin(labels, classes)), split.get("seen_test", []))


def problems(arrays: Arrays) -> Problems:
    """Level ("error" or "note") and message, each a line."""
    if missing := [name for name in NEEDED if name not in arrays]:
        yield "error", f"not of the neutral layout: no array {', '.join(missing)}"
        return
    if str(arrays["schema"]) != SCHEMA:
        yield "error", f"schema is {str(arrays['schema'])!r}; expected {SCHEMA!r}"
        return
    if np.any(arrays.get("toy", False)):
        yield "note", "toy data: no number on them is a paper's"
    known = {*NEEDED, *STRINGS, "toy"}
    others = [name for name in arrays if name not in known and not SPLIT_KEY.fullmatch(name)]
    if others:
        yield "note", f"arrays of no known meaning: {few(np.array(others))}"
    wrong = [*_matrix_problems(arrays), *_label_problems(arrays), *_string_problems(arrays)]
    yield from wrong
    if not split_names(arrays):
        yield "error", "no split: expected the arrays easy/seen and easy/unseen, or of another name"
    for name in () if wrong else split_names(arrays):
        keys = [*_key_problems(name, arrays)]
        yield from keys or _split_problems(name, arrays)


def _matrix_problems(arrays: Arrays) -> Problems:
    for name in ("text", "features"):
        array = arrays[name]
        if array.ndim != 2 or array.dtype.kind != "f" or not array.size:
            yield "error", f"{name} is {_is(array)}; expected a matrix of floats, not empty"
            continue
        with np.errstate(over="ignore"):
            ends = np.array([array.min(), array.max()]).astype(np.float32)
        if not np.isfinite(ends).all():
            yield "error", f"{name} holds NaN, infinities or numbers beyond float32"


def _label_problems(arrays: Arrays) -> Problems:
    labels, classes = arrays["labels"], sum(arrays["text"].shape[:1])
    if labels.shape != arrays["features"].shape[:1] or labels.dtype.kind not in "iu":
        yield "error", f"labels is {_is(labels)}; expected an integer for each row of features"
    elif (outside := np.setdiff1d(labels, np.arange(classes))).size:
        yield "error", f"labels holds {few(outside)}; expected 0 to {classes - 1}, rows of text"


def _string_problems(arrays: Arrays) -> Problems:
    for name, (owner, axis) in STRINGS.items():
        if name not in arrays:
            continue
        array, count = arrays[name], arrays[owner].shape[axis : axis + 1]
        if array.shape != count or array.dtype.kind != "U":
            each = f"each of the {('rows', 'columns')[axis]} of {owner}"
            yield "error", f"{name} is {_is(array)}; expected a string for {each}"
    values, times = np.unique(arrays.get("class_names", np.array([])), return_counts=True)
    if (times > 1).any():
        yield "error", f"class_names repeats {few(values[times > 1])}"


def _key_problems(name: str, arrays: Arrays) -> Problems:
    """What is wrong with one array of a split alone."""
    for key in (*CLASSES, *ROWS):
        full, limit = f"{name}/{key}", len(arrays["text" if key in CLASSES else "features"])
        values = arrays.get(full)
        if values is None:
            if key not in OPTIONAL:
                yield "error", f"no array {full}"
        elif values.ndim != 1 or values.dtype.kind not in "iu" or not values.size:
            yield "error", f"{full} is {_is(values)}; expected a list of integers, not empty"
        elif (outside := np.setdiff1d(values, np.arange(limit))).size:
            yield "error", f"{full} holds {few(outside)}; expected 0 to {limit - 1}"
        elif key in CLASSES and len(np.unique(values)) < len(values):
            yield "error", f"{full} repeats a class"


def _split_problems(name: str, arrays: Arrays) -> Problems:
    """What is wrong among the arrays of a split."""
    part = {key: arrays[f"{name}/{key}"] for key in (*CLASSES, *ROWS) if f"{name}/{key}" in arrays}
    if (both := np.intersect1d(part["seen"], part["unseen"])).size:
        yield "error", f"{name}: classes both seen and unseen: {few(both)}"
    if (foreign := np.setdiff1d(part.get("validation", []), part["seen"])).size:
        yield "error", f"{name}/validation: classes that are not seen: {few(foreign)}"
    if "validation" in part and len(part["seen"]) - len(part["validation"]) < 2:
        yield "error", f"{name}/validation: leaves fewer than two seen classes to train on"
    if (both := np.intersect1d(part.get("train", []), part.get("seen_test", []))).size:
        yield "error", f"{name}: images in both train and seen_test: {few(both)}"
    for rows, side in ROWS.items():
        if rows not in part and rows == "seen_test":
            continue
        labels = arrays["labels"]
        found = labels[part.get(rows, rows_of(part[side], labels, part))]
        if (foreign := np.setdiff1d(found, part[side])).size:
            yield "error", f"{name}/{rows}: images of the classes {few(foreign)}, not {side}"
        if not found.size:
            yield "error", f"{name}/{rows}: no image of a class that is {side}"
        elif (empty := np.setdiff1d(part[side], found)).size:
            yield "note", f"{name}/{rows}: no images of the classes {few(empty)}"


def _is(array: np.ndarray) -> str:
    return f"{array.shape} {array.dtype}"
