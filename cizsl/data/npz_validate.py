"""Checks of the arrays of an .npz file, see `cizsl.data.npz`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from cizsl.data.findings import few
from repro.wording import shown

SCHEMA = "cizsl 1"
NEEDED = ("schema", "text", "features", "labels")
STRINGS = {"class_names": ("text", 0), "image_names": ("features", 0), "terms": ("text", 1)}
CLASSES = ("seen", "unseen", "validation")  # of a split: class numbers; and rows, of which classes:
ROWS = {"train": "seen", "test": "unseen", "seen_test": "seen"}
KNOWN = {*NEEDED, *STRINGS, "toy"}
OPTIONAL = ("validation", *ROWS)
SPLIT_KEY = re.compile(rf"([A-Za-z0-9][\w.-]*)/({'|'.join((*CLASSES, *ROWS))})", re.ASCII)

Arrays = dict[str, np.ndarray]
Problems = Iterator[tuple[str, str]]  # level, message


def split_names(arrays: Arrays) -> list[str]:
    """Return the names of the splits, which stand before the slash, in the order of the file."""
    found = (SPLIT_KEY.fullmatch(name) for name in arrays)
    return list(dict.fromkeys(match[1] for match in found if match))


def rows_of(classes: np.ndarray, labels: np.ndarray, split: Arrays) -> np.ndarray:
    """Return all images of `classes` but those of seen_test: the default of train and test."""
    return np.setdiff1d(np.flatnonzero(np.isin(labels, classes)), split.get("seen_test", []))


def is_known(name: str) -> bool:
    """Return whether the layout has an array of this name."""
    return name in KNOWN or SPLIT_KEY.fullmatch(name) is not None


def problems(arrays: Arrays, others: Sequence[str] = ()) -> Problems:
    """Yield a level, "error" or "note", and a line for everything that is wrong.

    Args:
        arrays: the known arrays of the file, by name.
        others: the names of the other arrays.
    """
    if missing := [name for name in NEEDED if name not in arrays]:
        yield "error", f"not of the neutral layout: no array {', '.join(missing)}"
        return
    schema = arrays["schema"]
    if schema.shape or str(schema) != SCHEMA:
        yield "error", f"schema is {shown(str(schema))}; expected {SCHEMA!r}"
        return
    yield from _toy_problems(arrays.get("toy", np.array(False)))
    if others:
        yield "note", f"arrays of no known meaning: {few(np.array(others))}"
    wrong = [*_matrix_problems(arrays), *_label_problems(arrays), *_string_problems(arrays)]
    yield from wrong
    if not split_names(arrays):
        yield "error", "no split: expected the arrays easy/seen and easy/unseen, or of another name"
    for name in () if wrong else split_names(arrays):
        keys = [*_key_problems(name, arrays)]
        yield from keys or _split_problems(name, arrays)


def _toy_problems(toy: np.ndarray) -> Problems:
    if toy.shape or toy.dtype.kind not in "biu":
        yield "error", f"toy is {_is(toy)}; expected true or false"
    elif toy:
        yield "note", "toy data: no number on them is a paper's"


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
    names = arrays.get("class_names")
    if names is None or names.dtype.kind != "U":
        return
    values, times = np.unique(names, return_counts=True)
    if (times > 1).any():
        yield "error", f"class_names repeats {few(values[times > 1])}"


def _key_problems(name: str, arrays: Arrays) -> Problems:
    """Yield what is wrong with single arrays of a split."""
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
    """Yield what is wrong between the arrays of a split."""
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
