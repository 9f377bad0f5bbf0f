"""Checks of the files of a split, each alone and all together.

`read_split` is the only function that opens and checks them: `cizsl.data.birds.load_birds` raises
the first error that it finds, `cizsl.data.verify` lists all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cizsl.data.birds_layout import BUILT, LAYOUTS, SOURCES, read_role, sha256, split_files
from cizsl.data.findings import Finding, Problems, few
from repro.errors import InputError


@dataclass(frozen=True, eq=False)
class SplitFiles:
    """The arrays of one split; a file that cannot be read leaves a finding instead.

    arrays: by role. "text" (C, V), "train_features" (N, D), "test_features" (M, D): float32,
    C-contiguous. "train_labels" (N,), "test_labels" (M,), "train_ids" (S,), "test_ids" (U,): int64.
    sha256: file name to hex digest. findings: what is wrong, file by file.
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def read_split(folder: Path, dataset: str, split: str) -> SplitFiles:
    """Hash, read and check the files of one split; what is wrong with them becomes a finding."""
    paths, read = split_files(folder, dataset, split), SplitFiles()
    for role, path in paths.items():
        try:
            if not path.is_file():
                raise InputError(f"missing; {SOURCES if dataset in LAYOUTS else BUILT}")
            read.sha256[path.name] = sha256(path)
            read.arrays.update(read_role(role, path))
        except InputError as error:
            read.findings.append(Finding("error", str(path), str(error)))
    for level, role, message in _problems(read.arrays):
        path = paths["ids" if role.endswith("ids") else role]
        read.findings.append(Finding(level, str(path), message))
    return read


def _problems(arrays: dict[str, np.ndarray]) -> Problems:
    """Yield what is wrong with the arrays that could be read, and between them."""
    for role, array in arrays.items():
        if not np.isfinite([array.min(), array.max()]).all():
            yield "error", role, "holds NaN, infinities or numbers beyond float32"
    for part in ("train", "test"):
        yield from _part_problems(part, arrays)
    both = np.intersect1d(arrays.get("train_ids", []), arrays.get("test_ids", []))
    if both.size:
        yield "error", "test_ids", f"classes both seen and unseen: {few(both)}"
    features = [arrays[r] for r in ("train_features", "test_features") if r in arrays]
    if len({x.shape[1] for x in features}) > 1:
        seen, unseen = (x.shape[1] for x in features)
        yield "error", "test_features", f"{unseen} features an image, but training has {seen}"


def _part_problems(part: str, arrays: dict[str, np.ndarray]) -> Problems:
    roles = (f"{part}_ids", f"{part}_labels", f"{part}_features")
    ids, labels, features = (arrays.get(role) for role in roles)
    if ids is not None:
        yield from _id_problems(part, ids, arrays.get("text"))
    if ids is not None and labels is not None:
        yield from _label_problems(part, labels, len(ids))
    if labels is not None and features is not None and len(labels) != len(features):
        yield "error", roles[1], f"{len(labels)} labels, but features of {len(features)} images"


def _id_problems(part: str, ids: np.ndarray, text: np.ndarray | None) -> Problems:
    unique, times = np.unique(ids, return_counts=True)
    if (times > 1).any():
        yield "error", f"{part}_ids", f"{part}_cid repeats the classes {few(unique[times > 1])}"
    last = ids.max() if text is None else len(text)
    outside = unique[(unique < 1) | (unique > last)]
    if outside.size:
        expected = f"expected 1 to {last}, the rows of the text"
        yield "error", f"{part}_ids", f"{part}_cid holds {few(outside)}; {expected}"


def _label_problems(part: str, labels: np.ndarray, classes: int) -> Problems:
    outside = np.setdiff1d(labels, np.arange(classes))
    if outside.size:
        expected = f"expected 0 to {classes - 1}, as {part}_cid has {classes} classes"
        yield "error", f"{part}_labels", f"labels {few(outside)} are out of range; {expected}"
    empty = np.setdiff1d(np.arange(classes), labels)
    if empty.size:
        yield "note", f"{part}_labels", f"no images for the labels {few(empty)}"
