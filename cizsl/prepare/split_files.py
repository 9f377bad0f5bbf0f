"""The files of a dataset's splits: class ids, features, labels and names of images.

Class ids can be written before the features are extracted or after; whichever is second completes
the files. The images of a split are sorted by label. A file that already holds the same content is
left alone; one that holds something else is replaced only with `overwrite`, so that published files
are safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cizsl.data.birds_layout import (
    CLASSES,
    EXTRACTED,
    IMAGES,
    LAYOUTS,
    dataset_layout,
    dataset_of,
    read_lines,
    read_role,
    split_layout,
    splits_in,
)
from cizsl.data.birds_write import write_ids, write_labels, write_lines, write_mat
from cizsl.data.matfile import damage, mat_strings
from cizsl.data.npz import Dataset, Split, write_npz
from cizsl.prepare.splits import easy_split, hard_split, random_split
from repro.errors import InputError, InputErrors
from repro.files.safe_npz import read_arrays

Splits = Mapping[str, tuple[np.ndarray, np.ndarray]]  # name to seen (S,), unseen (U,), from 0
Content = np.ndarray | tuple[np.ndarray, np.ndarray]  # of a file; a pair: seen and unseen classes


@dataclass(frozen=True, eq=False)
class Extracted:
    """Extracted features (N, D), with labels (N,) from 0 and names (N,) of the images."""

    features: np.ndarray
    labels: np.ndarray
    names: np.ndarray


def read_extracted(folder: Path) -> Extracted | None:
    """Return the extracted features of a dataset, or None where there are none yet.

    Raises `InputError` for a damaged file.
    """
    path = folder / EXTRACTED
    if not path.exists():
        return None
    try:
        with damage("an .npz file of features"):
            found, _ = read_arrays(path, {"features", "labels", "image_names"}.__contains__)
            return Extracted(found["features"], found["labels"], found["image_names"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def make_splits(
    folder: Path, splits: Splits, overwrite: bool = False, layout: str = "published"
) -> bool:
    """Write the class ids of each split and, where features are extracted, its other files.

    Args:
        folder: the dataset's folder.
        splits: the classes of each split.
        overwrite: replace files that hold something else.
        layout: "published": features, labels and names of images as MAT-files, pickles and lists;
            "npz": all splits in one file beside the folder, see `cizsl.data.npz`.

    Returns whether features are there. Raises `InputErrors`, one line for each file that holds
    something else, unless `overwrite`.
    """
    dataset = dataset_of(folder)
    if dataset in LAYOUTS and (others := set(splits) - set(LAYOUTS[dataset])):
        expected = "expected easy and hard only"
        raise InputError(f"{folder}: the split {min(others)} of {dataset}; {expected}")
    found, contents = read_extracted(folder), {}
    for split, sides in splits.items():
        contents[folder / split_layout(dataset, split)["ids"]] = sides
        if found:
            files = _split_contents(folder, split, sides, found)
            contents |= files if layout == "published" else {}
    changed = {path: content for path, content in contents.items() if not _holds(path, content)}
    single = folder.parent / f"{dataset}.npz" if found and layout == "npz" and splits else None
    if not overwrite:
        refuse(path for path in changed if path.exists())
        refuse(path for path in (single,) if path and path.exists())
    if found and single:
        write_npz(single, _dataset(folder, splits, found))
    for path, content in changed.items():
        _write(path, content)
    return found is not None


def _split_contents(
    folder: Path, split: str, sides: tuple[np.ndarray, np.ndarray], found: Extracted
) -> dict[Path, Content]:
    """Return the content of the files of features, labels and names of images of a split."""
    names, contents = split_layout(dataset_of(folder), split), {}
    for part, classes in zip(("train", "test"), sides, strict=True):
        rows, labels = _rows(found.labels, classes)
        if not rows.size:
            raise InputError(f"{folder}: no image of any {part} class of the split {split}")
        contents[folder / names[f"{part}_labels"]] = labels
        contents[folder / names[f"{part}_features"]] = found.features[rows].astype(np.float32)
        contents[folder / IMAGES.format(part=part, split=split)] = found.names[rows]
    return contents


def _dataset(folder: Path, splits: Splits, found: Extracted) -> Dataset:
    """Return text, features and splits of the folder, as the npz layout has them."""
    names = dataset_layout(dataset_of(folder))
    text, terms, classes = (folder / name for name in (names["text"], names["terms"], CLASSES))
    if not text.is_file():
        raise InputError(f"{text}: missing; the npz layout needs it (`cizsl data text`)")
    parts = {
        name: Split(*sides, *(_rows(found.labels, side)[0] for side in sides))
        for name, sides in splits.items()
    }
    return Dataset(
        read_role("text", text)["text"],
        found.features,
        found.labels,
        parts,
        class_names=np.array(read_lines(classes)) if classes.is_file() else None,
        terms=np.array(mat_strings(terms, "TFIDF_Term")) if terms.is_file() else None,
        image_names=found.names,
    )


def _rows(labels: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of `classes`, sorted by label, and their labels: places in `classes`."""
    place = np.full(max(*labels, *classes) + 1, -1)
    place[classes] = np.arange(len(classes))
    own = place[labels]
    rows = np.argsort(own, kind="stable")[(own < 0).sum() :]
    return rows, own[rows]


def _write(path: Path, content: Content) -> None:
    if isinstance(content, tuple):
        write_ids(path, content[0] + 1, content[1] + 1)
    elif content.dtype.kind == "U":
        write_lines(path, content)
    elif content.dtype.kind == "f":
        write_mat(path, {"pfc_feat": content})
    else:
        write_labels(path, content)


def _holds(path: Path, content: Content) -> bool:
    """Return whether the file is there and has this content."""
    try:
        if isinstance(content, tuple):
            ids = read_role("ids", path)
            pairs = zip((ids["train_ids"], ids["test_ids"]), content, strict=True)
            return all(np.array_equal(mine, given + 1) for mine, given in pairs)
        if content.dtype.kind == "U":
            return read_lines(path) == content.tolist()
        role = "train_features" if content.dtype.kind == "f" else "train_labels"
        return np.array_equal(read_role(role, path)[role], content)
    except InputError:
        return False


def refuse(paths: Iterable[Path]) -> None:
    """Raise `InputErrors`, one line for each path."""
    if lines := [f"{path}: is there already; --overwrite replaces it" for path in paths]:
        raise InputErrors(lines)


def family_splits(folder: Path, families: Sequence[str], share: float, seed: int) -> Splits:
    """Choose the splits "easy" and "hard" by families, see `cizsl.prepare.splits`.

    Args:
        folder: the dataset's folder; where it has features, classes without images take no part.
        families: the family of each class.
        share: of the classes that are unseen.
        seed: of the choice.
    """
    classes = _with_images(folder, len(families))
    own = [families[int(place)] for place in classes]
    unseen = {"easy": easy_split(own, share, seed), "hard": hard_split(own, share, seed)}
    return {split: (classes[~mask], classes[mask]) for split, mask in unseen.items()}


def random_splits(folder: Path, count: int, share: float, seed: int) -> Splits:
    """Choose the split "random" of `count` classes; otherwise as :func:`family_splits`."""
    classes = _with_images(folder, count)
    mask = random_split(len(classes), share, seed)
    return {"random": (classes[~mask], classes[mask])}


def _with_images(folder: Path, count: int) -> np.ndarray:
    """Return the classes that have images; all `count` where no features are there yet."""
    found = read_extracted(folder)
    return np.arange(count) if found is None else np.unique(found.labels)


def splits_there(folder: Path, classes: int) -> Splits:
    """Return the splits in the folder.

    Raises `InputError` for a damaged file and for class ids beyond `classes`, their number.
    """
    dataset, found = dataset_of(folder), {}
    for split in splits_in(folder, dataset):
        path = folder / split_layout(dataset, split)["ids"]
        try:
            ids = read_role("ids", path)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        last = max(*ids["train_ids"], *ids["test_ids"])
        if last > classes or min(*ids["train_ids"], *ids["test_ids"]) < 1:
            raise InputError(f"{path}: class ids up to {last}; expected 1 to {classes}")
        found[split] = ids["train_ids"] - 1, ids["test_ids"] - 1
    return found
