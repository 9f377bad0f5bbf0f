"""Checks of the two files of a GBU dataset, each alone and both together.

`cizsl.data.gbu.load_gbu` refuses files with an error. It accepts files with a note, because other
releases and data of one's own may differ from the published files.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from cizsl.data.findings import Problems, few

PARTS = ("trainval_loc", "test_seen_loc", "test_unseen_loc")
SHA256 = {  # of att_splits.mat, as written in January 2018; of the other datasets we know none
    "AWA1": "752e0fad7b01b0ad966d7f5d5650817e85fb3008848d5c603b437b4d9219d664",
    "AWA2": "dfe0e4f26ef5debaa77eff823a9316ac110e9b809b70d19c72dd11404f7be357",
    "SUN": "90dcb2a60704ce1117ba1897523ba78dc6b625e606008918c4eade9cd8a5bf43",
}
# of the proposed split: images of each part, seen and unseen classes, attributes. Xian et al.
# (arXiv:1707.00600), tables 1 and 2; FLO is not in there
PUBLISHED = {
    "AWA1": ((19832, 4958, 5685), (40, 10), 85),
    "AWA2": ((23527, 5882, 7913), (40, 10), 85),
    "CUB": ((7057, 1764, 2967), (150, 50), 312),
    "SUN": ((10320, 2580, 1440), (645, 72), 102),
    "APY": ((5932, 1483, 7924), (20, 12), 64),
}


def problems(arrays: dict[str, np.ndarray], dataset: str, toy: bool = False) -> Problems:
    """Yield what is wrong with the arrays that could be read: (level, variable, message)."""
    for name in ("att", "features"):
        array = arrays.get(name)
        if array is not None and not np.isfinite([array.min(), array.max()]).all():
            yield "error", name, f"{name} holds NaN, infinities or numbers beyond float32"
    yield from _location_problems(arrays)
    yield from _label_problems(arrays)
    if all(name in arrays for name in (*PARTS, "att", "labels")) and _in_range(arrays):
        yield from _class_problems(arrays)
        if not toy and dataset in PUBLISHED:
            yield from _count_problems(arrays, dataset)
    if "att" in arrays:
        yield from _attribute_problems(arrays["att"])


def validation_classes(arrays: dict[str, np.ndarray]) -> np.ndarray | None:
    """Return the labels of the classes of val_loc; None where train_loc has one of them."""
    train, val = (arrays["labels"][_images(arrays, name)] for name in ("train_loc", "val_loc"))
    seen = np.unique(arrays["labels"][_images(arrays, "trainval_loc")])
    chosen = np.intersect1d(val, seen)
    if np.intersect1d(train, val).size or len(chosen) < 2 or len(seen) - len(chosen) < 2:
        return None
    return np.searchsorted(seen, chosen)


def _images(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Return the images of a location list that exist, from zero."""
    loc = arrays.get(name, np.empty(0, np.int64)) - 1
    return loc[(loc >= 0) & (loc < len(arrays["labels"]))]


def _in_range(arrays: dict[str, np.ndarray]) -> bool:
    return all(len(_images(arrays, name)) == len(arrays[name]) for name in PARTS)


def _location_problems(arrays: dict[str, np.ndarray]) -> Problems:
    found = [name for name in (*PARTS, "train_loc", "val_loc") if name in arrays]
    for name in found:
        loc = arrays[name]
        unique, times = np.unique(loc, return_counts=True)
        if (times > 1).any():
            yield "error", name, f"{name} repeats the images {few(unique[times > 1])}"
        last = len(arrays["labels"]) if "labels" in arrays else max(loc.max(), 1)
        outside = unique[(unique < 1) | (unique > last)]
        if outside.size:
            yield "error", name, f"{name} holds {few(outside)}; expected 1 to {last}"
    for one, other in combinations([name for name in found if name in PARTS], 2):
        both = np.intersect1d(arrays[one], arrays[other])
        if both.size:
            yield "error", other, f"images in both {one} and {other}: {few(both)}"


def _label_problems(arrays: dict[str, np.ndarray]) -> Problems:
    labels, features, att = (arrays.get(name) for name in ("labels", "features", "att"))
    if labels is None:
        return
    if features is not None and len(features) != len(labels):
        yield "error", "labels", f"{len(labels)} labels, but features of {len(features)} images"
    if att is not None:
        outside = np.setdiff1d(labels, np.arange(1, len(att) + 1))
        if outside.size:
            expected = f"expected 1 to {len(att)}, the columns of att"
            yield "error", "labels", f"labels {few(outside)} are out of range; {expected}"
        empty = np.setdiff1d(np.arange(1, len(att) + 1), labels)
        if empty.size:
            yield "note", "labels", f"no images of the classes {few(empty)}"


def _class_problems(arrays: dict[str, np.ndarray]) -> Problems:
    train, seen_test, unseen = (np.unique(arrays["labels"][arrays[p] - 1]) for p in PARTS)
    both = np.intersect1d(train, unseen)
    if both.size:
        yield "error", "test_unseen_loc", f"classes both seen and unseen: {few(both)}"
    strangers = np.setdiff1d(seen_test, train)
    if strangers.size:
        message = f"test_seen_loc has images of classes that trainval_loc lacks: {few(strangers)}"
        yield "error", "test_seen_loc", message
    absent = np.setdiff1d(train, seen_test)
    if absent.size:
        message = f"test_seen_loc has no image of the seen classes {few(absent)}"
        yield "note", "test_seen_loc", message
    left = len(arrays["labels"]) - len(np.unique(np.concatenate([arrays[p] for p in PARTS])))
    if left:
        yield "note", "trainval_loc", f"{left} images are in no part of the split"
    if validation_classes(arrays) is None:
        message = "train_loc and val_loc do not split the seen classes: validation classes will be "
        yield "note", "val_loc", message + "drawn by evaluation.validation_seed"


def _count_problems(arrays: dict[str, np.ndarray], dataset: str) -> Problems:
    images, classes, attributes = PUBLISHED[dataset]
    labels = [arrays["labels"][arrays[name] - 1] for name in PARTS]
    counts = [(name, "images", len(arrays[name])) for name in PARTS]
    counts += [
        (name, "classes", len(np.unique(labels[i]))) for i, name in ((0, PARTS[0]), (2, PARTS[2]))
    ]
    counts.append(("att", "attributes", arrays["att"].shape[1]))
    for (name, what, count), published in zip(counts, (*images, *classes, attributes), strict=True):
        if count != published:
            message = f"{name} has {count} {what}, {dataset} as published {published}"
            yield "note", name, message


def _attribute_problems(att: np.ndarray) -> Iterator[tuple[str, str, str]]:
    length = np.linalg.norm(att, axis=1)
    empty = np.flatnonzero(length == 0) + 1
    if empty.size:
        yield "note", "att", f"no attribute of the classes {few(empty)}"
    if (np.abs(length[length > 0] - 1) > 1e-3).any():
        yield "note", "att", "columns of att are not of length one, as the published ones are"
