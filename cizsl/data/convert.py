"""Lossless conversion between layouts of files.

The published layout stores an image once for each split, the neutral one (`cizsl.data.npz`) once:
two rows of one class with the same features, and the same name where names are known, are one
image, and a split lists its rows in their order. Numbers are converted as the
readers return them, in float32; a split loaded after the conversion equals the one before it in
every bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from itertools import product
from pathlib import Path

import numpy as np

from cizsl.data import gbu
from cizsl.data.birds import load_birds
from cizsl.data.birds_layout import (
    CLASSES,
    IMAGES,
    LAYOUTS,
    dataset_layout,
    dataset_of,
    datasets_in,
    read_lines,
    read_role,
    splits_in,
)
from cizsl.data.birds_write import BirdSplit, write_birds, write_lines
from cizsl.data.dataset import ZSLData
from cizsl.data.matfile import mat_strings
from cizsl.data.npz import Dataset, Split, read_npz, write_npz
from cizsl.data.npz_validate import ROWS
from repro.errors import InputError

Names = Mapping[tuple[str, str], list[str]]  # of the images of a split and part: "easy", "train"
TOY = "# Invented data\n\nConverted from toy data: no number on them says anything about nature.\n"


def convert(source: Path, target: Path, overwrite: bool = False) -> Path:
    """Convert a dataset's folder to one .npz file, or such a file to a folder as published.

    Returns the path that was written.

    Raises `InputError` for a source that is neither or has an error, for a target of the wrong
    kind, and for a target that is there already, unless `overwrite`.
    """
    if source.suffix == ".npz":
        if target.suffix == ".npz":
            raise InputError(f"{target}: expected the dataset's folder, since {source} is a file")
        if target.exists() and (not target.is_dir() or any(target.iterdir())) and not overwrite:
            raise InputError(f"{target}: is there already; --overwrite replaces files in it")
        return write_published(read_npz(source), target)
    if target.suffix != ".npz":
        raise InputError(f"{target}: expected a file with the ending .npz")
    if target.exists() and not overwrite:
        raise InputError(f"{target}: is there already; --overwrite replaces it")
    write_npz(target, read_folder(source))
    return target


def read_folder(root: Path) -> Dataset:
    """Read the only dataset in `root`, of the published or the GBU layout, with all its splits."""
    birds = datasets_in(root)
    others = gbu.folders(root)
    if len(birds) + len(others) != 1:
        found = ", ".join(map(str, [*(folder for folder, _ in birds), *others]))
        problem = f"more than one dataset; give one of {found}" if found else "no dataset here"
        raise InputError(f"{root}: {problem}")
    return _read_birds(*birds[0]) if birds else _read_gbu(others[0])


def _read_birds(folder: Path, dataset: str) -> Dataset:
    if not (names := splits_in(folder, dataset)):
        raise InputError(f"{folder}: no class ids of a split (`cizsl data splits` makes some)")
    splits = {split: load_birds(folder, dataset, split) for split in names}
    lists = {
        (split, part): folder / IMAGES.format(part=part, split=split)
        for split, part in product(names, ("train", "test"))
    }
    named = all(path.is_file() for path in lists.values())
    layout = dataset_layout(dataset)
    terms, classes = folder / layout["terms"], folder / CLASSES
    return _gather(
        read_role("text", folder / layout["text"])["text"],
        splits,
        {place: read_lines(path) for place, path in lists.items()} if named else {},
        terms=np.array(mat_strings(terms, "TFIDF_Term")) if terms.is_file() else None,
        class_names=np.array(read_lines(classes)) if classes.is_file() else None,
    )


def _read_gbu(folder: Path) -> Dataset:
    data = gbu.load_gbu(folder, folder.resolve().name)
    text = np.zeros((max(*data.seen_ids, *data.unseen_ids), data.text_dim), np.float32)
    text[data.seen_ids - 1], text[data.unseen_ids - 1] = data.seen_text, data.unseen_text
    return _gather(text, {data.split: data}, {})


def _gather(text: np.ndarray, splits: Mapping[str, ZSLData], names: Names, **strings) -> Dataset:
    """Return every image of the splits once, in the order of its first use."""
    known: dict[tuple, int] = {}
    features, labels, image_names, made = [], [], [], {}
    for split, data in splits.items():
        parts = {"seen": data.seen_ids - 1, "unseen": data.unseen_ids - 1}
        for part, side in ROWS.items():
            if (images := getattr(data, f"{part}_features")) is None:
                continue
            classes = parts[side][getattr(data, f"{part}_labels")]
            listed = names.get((split, part), [""] * len(images))
            if len(listed) != len(images):
                raise InputError(f"{len(listed)} names for {len(images)} images: {split} {part}")
            rows = np.empty(len(images), np.int64)
            for i, what in enumerate(zip(map(_digest, images), classes, listed, strict=True)):
                key = (*what, part == "seen_test")  # which is not trained on, be it twice there
                if (row := known.setdefault(key, len(known))) == len(features):
                    features.append(images[i])
                    labels.append(classes[i])
                    image_names.append(listed[i])
                rows[i] = row
            parts[part] = rows
        if data.validation_classes is not None:
            parts["validation"] = parts["seen"][data.validation_classes]
        made[split] = Split(**parts)
    if names:
        strings["image_names"] = np.array(image_names)
    toy = any(data.toy for data in splits.values())
    return Dataset(text, np.stack(features), np.array(labels), made, toy=toy, **strings)


def _digest(row: np.ndarray) -> bytes:
    return blake2b(row.data, digest_size=16).digest()


def write_published(dataset: Dataset, folder: Path) -> Path:
    """Write `dataset` in the published layout; the name of `folder` is that of the dataset."""
    name = dataset_of(folder)
    for split, content in dataset.splits.items():
        if content.seen_test is not None or content.validation is not None:
            raise InputError(
                f"{split}: the published layout has no place for seen_test, validation"
            )
        if name in LAYOUTS and split not in LAYOUTS[name]:
            raise InputError(f"{folder}: {name} has the splits easy and hard only, not {split}")
    splits = {split: _bird_split(dataset, content) for split, content in dataset.splits.items()}
    terms = [] if dataset.terms is None else dataset.terms.tolist()
    write_birds(folder.parent, name, dataset.text.astype(np.float32), terms, splits)
    if dataset.class_names is not None:
        write_lines(folder / CLASSES, dataset.class_names)
    if dataset.image_names is not None:
        for split, part in product(dataset.splits, ("train", "test")):
            rows = getattr(dataset.splits[split], part)
            path = folder / IMAGES.format(part=part, split=split)
            write_lines(path, dataset.image_names[rows])
    if dataset.toy:
        (folder / "TOY.md").write_text(TOY)
    return folder


def _bird_split(dataset: Dataset, split: Split) -> BirdSplit:
    place = np.zeros(len(dataset.text), np.int64)
    place[split.seen], place[split.unseen] = (
        np.arange(len(split.seen)),
        np.arange(len(split.unseen)),
    )
    sides = [
        (dataset.features[rows].astype(np.float32), place[dataset.labels[rows]])
        for rows in (split.train, split.test)
    ]
    return BirdSplit(split.seen + 1, split.unseen + 1, *sides[0], *sides[1])
