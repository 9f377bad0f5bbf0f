"""Compact datasets: principal components of features as bytes, in one small file.

"CUB, compact features" lies in this package, so that real birds are there from the first command
on: the 11,788 photographs of CUB-200-2011 as an ImageNet network sees them, the 200 Wikipedia
articles, the published class splits. They are not the published features; `compact/README.md` says
where everything comes from. `cizsl.prepare.compact` makes such a file of any dataset.

Classes count from 1. Arrays in brackets may be missing; a split of any name may stand for "easy":

    features        (N, P)  int8, principal components in units of their scale
    scale           (P,)    float: features * scale are the numbers
    labels          (N,)    integers, the class of each image
    text_data, text_indices, text_indptr    the TF-IDF matrix (C, V), compressed sparse rows
    terms           (V,)    strings
    [classes] (C,)  [images] (N,)  [appearance_terms] (K,)    names
    [attributes] (C, A)  [sentences] (C, E)  [appearance] (C, K)    floats
    easy_seen       (S,)    integers, classes;  easy_unseen (U,): the same

The text of a class is its row of TF-IDF. Another description is chosen by the name of the dataset:
"CUB-compact-attributes" has the 312 attributes of each class (mean over its annotated images, in
%), "CUB-compact-sentences" the mean embedding of the sentences of its article that describe what
can be seen, "CUB-compact-appearance" the colours of parts that its article names, counted and
weighted (`cizsl.prepare.appearance`). "CUB-compact-texts" has TF-IDF and sentences side by side,
"CUB-compact-descriptions" TF-IDF, sentences and appearance.

The family of a class is the last word of its name: an albatross, a gull.
"""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path

import numpy as np

from cizsl.data.birds_layout import sha256
from cizsl.data.dataset import ZSLData
from cizsl.data.findings import Finding
from repro.errors import InputError
from repro.files.regular_file import readable
from repro.files.safe_npz import read_arrays
from repro.wording import shown

FOLDER = Path(__file__).with_name("compact")  # the datasets of this package
BUILT_IN = "CUB-compact"
TEXT = ("text_data", "text_indices", "text_indptr", "terms")
NEEDED = ("features", "scale", "labels", *TEXT)
DESCRIPTIONS = ("attributes", "sentences", "appearance")
SIDE_BY_SIDE = {
    "texts": ("text", "sentences"),
    "descriptions": ("text", "sentences", "appearance"),
}
FLOATS, INTEGERS = "f", "iu"
LARGEST_TEXT = 2**28  # numbers; compressed rows take no space where they are empty


def load_compact(
    root: str | Path = "data", dataset: str = BUILT_IN, split: str = "easy"
) -> ZSLData:
    """Read one split of a compact dataset.

    Args:
        root: the folder of the file `<dataset>.npz`; a dataset of this package is read from there.
        dataset: "CUB-compact", or the name of a file; with "-attributes" or "-sentences" at its
            end, these are the texts.
        split: "easy" or "hard", or another name in the file.

    Raises `InputError` for a missing file, split or description, and for a damaged file.
    """
    name, text = _description(dataset)
    path = compact_path(root, name)
    try:
        arrays, _ = read_arrays(path, _is_read)
        found = check_compact(arrays, split, text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    blocks = _texts(found, text)
    texts, families = np.concatenate(blocks, 1), _families(found, len(blocks[0]))
    parts = {}
    for side, part in (("seen", "train"), ("unseen", "test")):
        ids = found[f"{split}_{side}"].astype(np.int64)
        place = np.full(len(texts) + 1, -1)
        place[ids] = np.arange(len(ids))
        rows = np.flatnonzero(place[found["labels"]] >= 0)
        parts[f"{part}_features"] = found["features"][rows] * found["scale"].astype(np.float32)
        parts[f"{part}_labels"] = place[found["labels"][rows]]
        parts |= {f"{side}_ids": ids, f"{side}_text": texts[ids - 1]}
    return ZSLData(
        dataset=dataset,
        split=split,
        files={path.name: sha256(path)},
        toy=False,
        text_blocks=tuple(block.shape[1] for block in blocks),
        families=None if families is None else families[parts["seen_ids"] - 1],
        class_names=_names(found, np.concatenate([parts["seen_ids"], parts["unseen_ids"]])),
        **parts,
    )


def _texts(arrays: dict[str, np.ndarray], text: str) -> list[np.ndarray]:
    """Return the texts (C, V) that a name asks for."""
    kinds = SIDE_BY_SIDE.get(text, (text,))
    described = [dense_text(arrays) if kind == "text" else arrays[kind] for kind in kinds]
    return [array.astype(np.float32) for array in described]


def _names(arrays: dict[str, np.ndarray], ids: np.ndarray) -> tuple[str, ...] | None:
    """Return the names of classes, None where they have none."""
    names = arrays.get("classes")
    if names is None or names.ndim != 1 or len(names) < ids.max() or names.dtype.kind != "U":
        return None
    return tuple(names[ids - 1].tolist())


def _families(arrays: dict[str, np.ndarray], count: int) -> np.ndarray | None:
    """Return the family of each class as a number (C,), None where classes have no names."""
    names = arrays.get("classes")
    if names is None or names.shape != (count,) or names.dtype.kind != "U":
        return None
    last = [str(name).replace("_", " ").split()[-1].lower() for name in names]
    return np.unique(last, return_inverse=True)[1]


def _is_read(name: str) -> bool:
    return is_compact(name) and name not in ("images", "appearance_terms")


def _description(dataset: str) -> tuple[str, str]:
    """Return the name of the file and the kind of text."""
    for kind in (*DESCRIPTIONS, *SIDE_BY_SIDE):
        if dataset.endswith(f"-{kind}"):
            return dataset.removesuffix(f"-{kind}"), kind
    return dataset, "text"


def is_compact(name: str) -> bool:
    """Return whether the layout has an array of this name."""
    known = (*NEEDED, *DESCRIPTIONS, "appearance_terms", "classes", "images")
    return name in known or name.endswith(("_seen", "_unseen"))


def compact_path(root: str | Path, name: str) -> Path:
    """Return the file of a dataset. Raises `InputError` where there is none."""
    if name == BUILT_IN:
        return FOLDER / f"{BUILT_IN}.npz"
    path = readable(root) / f"{name}.npz"
    if not os.path.isfile(path):
        hint = f"{BUILT_IN} is built in, `cizsl data compact` makes others"
        raise InputError(f"{root}: no file {name}.npz here; {hint}")
    return path


def dense_text(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Return the matrix (C, V) float32 of its compressed sparse rows."""
    starts = arrays["text_indptr"]
    text = np.zeros((len(starts) - 1, len(arrays["terms"])), np.float32)
    rows = np.repeat(np.arange(len(text)), np.diff(starts))
    text[rows, arrays["text_indices"]] = arrays["text_data"]
    return text


def check_compact(arrays: dict[str, np.ndarray], split: str, text: str) -> dict[str, np.ndarray]:
    """Return the arrays that a split needs, after all checks.

    Raises `InputError` for what is missing, of another shape or type, or out of range.
    """
    sides = (f"{split}_seen", f"{split}_unseen")
    if missing := [name for name in NEEDED if name not in arrays]:
        raise InputError(f"not of the compact layout: no array {', '.join(missing)}")
    if not all(side in arrays for side in sides):
        known = [name.removesuffix("_seen") for name in arrays if name.endswith("_seen")]
        raise InputError(f"no split {shown(split)}; expected {' or '.join(known)}")
    described = [kind for kind in SIDE_BY_SIDE.get(text, (text,)) if kind != "text"]
    if missing := [kind for kind in described if kind not in arrays]:
        raise InputError(f"no array {', '.join(missing)}")
    count, classes = len(arrays["labels"]) if arrays["labels"].ndim else 0, _classes(arrays)
    _expect(arrays, "features", "i", (count, None))
    _expect(arrays, "scale", FLOATS, arrays["features"].shape[1:])
    _expect(arrays, "labels", INTEGERS, (None,), 1, classes)
    _expect(arrays, "text_data", FLOATS, (None,))
    terms = arrays["terms"].size
    if classes * terms > LARGEST_TEXT:
        raise InputError(f"text of {classes} classes and {terms} terms; expected fewer numbers")
    _expect(arrays, "terms", "U", (terms,))
    _expect(arrays, "text_indices", INTEGERS, arrays["text_data"].shape, 0, terms - 1)
    for side in sides:
        _expect(arrays, side, INTEGERS, (None,), 1, classes)
        if len(np.unique(arrays[side])) < arrays[side].size:
            raise InputError(f"{side}: repeats a class")
        if not np.isin(arrays["labels"], arrays[side]).any():
            raise InputError(f"{side}: no image of these classes")
    if np.intersect1d(arrays[sides[0]], arrays[sides[1]]).size:
        raise InputError(f"{split}: classes both seen and unseen")
    for kind in described:
        _expect(arrays, kind, FLOATS, (classes, None))
    return arrays


def check_compact_file(path: Path) -> list[Finding]:
    """Return what is wrong with the splits and descriptions of a file."""
    found = []
    try:
        arrays, headers = read_arrays(path, _is_read)
        splits = [name.removesuffix("_seen") for name in headers if name.endswith("_seen")]
        texts = ["text", *(kind for kind in DESCRIPTIONS if kind in headers)]
        for split, text in product(splits or ["easy"], texts):
            check_compact(arrays, split, text)
    except InputError as error:
        found.append(Finding("error", str(path), str(error)))
    return found


def _classes(arrays: dict[str, np.ndarray]) -> int:
    """Return the number of classes, after the starts of the rows of text have been checked."""
    starts, data = arrays["text_indptr"], arrays["text_data"]
    good = starts.ndim == 1 and starts.size > 1 and starts.dtype.kind in INTEGERS
    if not good or starts[0] != 0 or starts[-1] != data.size or (np.diff(starts) < 0).any():
        raise InputError("text_indptr: expected the starts of the rows of the text, ascending")
    return len(starts) - 1


def _expect(
    arrays: dict[str, np.ndarray],
    name: str,
    kinds: str,
    shape: tuple[int | None, ...],
    low: int | None = None,
    high: int | None = None,
) -> None:
    """Raise `InputError` unless an array has a type, a shape (None: any) and a range."""
    array = arrays[name]
    fits = len(array.shape) == len(shape) and all(
        wanted in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
    )
    if array.dtype.kind not in kinds or not fits or not array.size:
        raise InputError(f"{name} is {array.shape} {array.dtype}; expected {shape} of {kinds}")
    if array.dtype.kind == "f" and not np.isfinite(array.astype(np.float32)).all():
        raise InputError(f"{name} holds NaN, infinities or numbers beyond float32")
    if low is not None and (array.min() < low or array.max() > high):
        raise InputError(f"{name} holds {array.min()} to {array.max()}; expected {low} to {high}")
