"""From images and families to the files of a dataset's splits, in the published layout.

`make_features` and `make_splits` come in any order: whichever is second finds what the first has
left, and completes the files. The images of a split are sorted by label. The classes are those of
classes.txt, which `cizsl.prepare.articles` writes, else of a list that is given, else the folders'
names. A file that is there already and holds the same is left alone; one that does not is not
replaced unasked, so that a published file is safe.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cizsl.data.birds_layout import (
    CLASSES,
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
from cizsl.prepare.backbones import load_backbone
from cizsl.prepare.class_names import class_list, clean, duplicates, in_order
from cizsl.prepare.extract import RESULT, Images, extract
from cizsl.prepare.images import find_images
from cizsl.prepare.splits import easy_split, hard_split
from repro.errors import InputError, InputErrors
from repro.safe_npz import read_arrays


@dataclass(frozen=True, eq=False)
class Extracted:
    """What `cizsl.prepare.extract` wrote: features (N, D), labels (N,) from 0, names (N,)."""

    features: np.ndarray
    labels: np.ndarray
    names: np.ndarray


def read_extracted(folder: Path) -> Extracted | None:
    """None where there are no features yet. Raises `InputError` for a damaged file."""
    path = folder / RESULT
    if not path.exists():
        return None
    try:
        with damage("an .npz file of features"):
            found, _ = read_arrays(path, {"features", "labels", "image_names"}.__contains__)
            return Extracted(found["features"], found["labels"], found["image_names"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


Splits = Mapping[str, tuple[np.ndarray, np.ndarray]]  # name to seen (S,), unseen (U,), from 0


def make_features(
    source: Path,
    folder: Path,
    backbone: str,
    *,
    device: torch.device,
    weights: Path | None = None,
    classes: Path | None = None,
    preprocessing: Mapping[str, object] | None = None,
    layout: str = "published",
    overwrite: bool = False,
    **options,
) -> tuple[dict, list[str]]:
    """Extract the features of the images in `source`, and complete the splits that are there.

    preprocessing: what of the backbone's own to replace; options: those of `extract`. Returns the
    record of the extraction and the names of the splits.
    """
    names = class_list(folder, classes) or _folders(source, folder)
    images = Images(source, *find_images(source, names))
    splits = splits_there(folder, len(names))
    fresh = not overwrite and not (folder / RESULT).exists()
    if fresh and layout == "published":  # features that cannot be ours
        files = (split_layout(dataset_of(folder), split) for split in splits)
        paths = [folder / f[f"{part}_features"] for f in files for part in ("train", "test")]
        _refuse(path for path in paths if path.exists())
    network = load_backbone(backbone, weights, device)
    prepare = dataclasses.replace(network.preprocessing, **preprocessing or {})
    options |= {"device": device, "overwrite": overwrite}
    record = extract(images, folder, network, prepare, **options)
    write_lines(folder / CLASSES, names)
    make_splits(folder, splits, overwrite, layout)
    return record, list(splits)


def _folders(source: Path, folder: Path) -> list[str]:
    """The names of the folders of images, where nothing else says what the classes are."""
    found = [path.name for path in source.glob("*") if path.is_dir() and path.name[0] != "."]
    names = [clean(name) for name in in_order(found)]
    if repeated := duplicates(names):
        raise InputErrors([f"{source}: two folders of the class {name}" for name in repeated])
    path = folder / dataset_layout(dataset_of(folder))["text"]
    if path.is_file():
        rows = len(read_role("text", path)["text"])
        if rows != len(names):
            problem = f"{len(names)} folders, but the text in {folder} has {rows} rows"
            raise InputError(f"{source}: {problem}; --classes FILE names all, in their order")
    return names


def make_splits(
    folder: Path, splits: Splits, overwrite: bool = False, layout: str = "published"
) -> bool:
    """Write the class ids of each split and, where features have been extracted, its features,
    labels and names of images; whether they have. layout: "npz" writes all splits into one file
    beside the folder instead, see `cizsl.data.npz`.

    Raises `InputErrors`, one line for each file that holds something else, unless `overwrite`.
    """
    dataset = dataset_of(folder)
    if dataset in LAYOUTS and (others := set(splits) - set(LAYOUTS[dataset])):
        expected = "expected easy and hard only"
        raise InputError(f"{folder}: the split {min(others)} of {dataset}; {expected}")
    found, contents = read_extracted(folder), {}
    for split, sides in splits.items():
        names = split_layout(dataset, split)
        contents[folder / names["ids"]] = sides
        for part, classes in zip(("train", "test"), sides, strict=True) if found else ():
            rows, labels = _rows(found.labels, classes)
            if not rows.size:
                raise InputError(f"{folder}: no image of any {part} class of the split {split}")
            if layout == "npz":
                continue
            contents[folder / names[f"{part}_labels"]] = labels
            contents[folder / names[f"{part}_features"]] = found.features[rows].astype(np.float32)
            contents[folder / IMAGES.format(part=part, split=split)] = found.names[rows]
    changed = {path: content for path, content in contents.items() if not _holds(path, content)}
    if not overwrite:
        _refuse(path for path in changed if path.exists())
    if found and layout == "npz" and splits:
        path = folder.parent / f"{dataset}.npz"
        if path.exists() and not overwrite:
            _refuse([path])
        write_npz(path, _dataset(folder, splits, found))
    for path, content in changed.items():
        _write(path, content)
    return found is not None


def _dataset(folder: Path, splits: Splits, found: Extracted) -> Dataset:
    """Text, features and splits of the folder, in the neutral layout."""
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
    """The images of `classes`, and their labels: places in `classes`, by which they are sorted."""
    place = np.full(max(*labels, *classes) + 1, -1)
    place[classes] = np.arange(len(classes))
    own = place[labels]
    rows = np.argsort(own, kind="stable")[(own < 0).sum() :]
    return rows, own[rows]


def _write(path: Path, content) -> None:
    if isinstance(content, tuple):
        write_ids(path, content[0] + 1, content[1] + 1)
    elif content.dtype.kind == "U":
        write_lines(path, content)
    elif content.dtype.kind == "f":
        write_mat(path, {"pfc_feat": content})
    else:
        write_labels(path, content)


def _holds(path: Path, content) -> bool:
    """Whether the file is there and has this content."""
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


def _refuse(paths: Iterable[Path]) -> None:
    if lines := [f"{path}: is there already; --overwrite replaces it" for path in paths]:
        raise InputErrors(lines)


def family_splits(folder: Path, families: Sequence[str], share: float, seed: int) -> Splits:
    """ "easy" and "hard", see `cizsl.prepare.splits`, of the classes that have images, or of all
    where no features are there yet. families: of each class."""
    found = read_extracted(folder)
    classes = np.arange(len(families)) if found is None else np.unique(found.labels)
    own = [families[c] for c in classes]
    unseen = {"easy": easy_split(own, share, seed), "hard": hard_split(own, share, seed)}
    return {split: (classes[~mask], classes[mask]) for split, mask in unseen.items()}


def splits_there(folder: Path, classes: int) -> Splits:
    """The splits in the folder. Raises `InputError` for a damaged file and a class not there."""
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
