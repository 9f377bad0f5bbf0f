"""From a folder of images to the features of a dataset, and its splits.

The classes of the dataset are the lines of classes.txt, which `cizsl.prepare.articles` writes; else
those of a list that is given; else the folders of images.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch

from cizsl.data.birds_layout import CLASSES, dataset_layout, dataset_of, read_role, split_layout
from cizsl.data.birds_write import write_lines
from cizsl.prepare.backbones import load_backbone
from cizsl.prepare.class_names import class_list, clean, duplicates, in_order
from cizsl.prepare.extract import RESULT, Images, extract
from cizsl.prepare.images import find_images
from cizsl.prepare.parts import PartBackbone, PartCrops, of_parts, read_parts
from cizsl.prepare.split_files import make_splits, refuse, splits_there
from repro.errors import InputError, InputErrors


def make_features(
    source: Path,
    folder: Path,
    backbone: str,
    *,
    device: torch.device,
    weights: Path | None = None,
    classes: Path | None = None,
    preprocessing: Mapping[str, object] | None = None,
    parts: Path | None = None,
    layout: str = "published",
    overwrite: bool = False,
    **options,
) -> tuple[dict, list[str]]:
    """Extract the features of the images in `source`, and complete the splits that are there.

    Args:
        source: a folder of images for each class.
        folder: the dataset's folder.
        backbone: the network, see `cizsl.prepare.backbones`.
        device: where the network runs.
        weights: a file of weights for the network.
        classes: a list of the classes, see `cizsl.prepare.class_names.class_list`.
        preprocessing: fields of the network's own `Preprocessing` to replace.
        parts: a file of part locations, see `cizsl.prepare.parts`: features of squares around them.
        layout: of the splits' features, see `make_splits`.
        overwrite: replace files that are there.
        options: of `cizsl.prepare.extract.extract`.

    Returns the record of the extraction and the names of the splits. Raises `InputError` for
    whatever is wrong with the images, the network or the files that are there.
    """
    names = class_list(folder, classes) or _folders(source, folder)
    images = Images(source, *find_images(source, names))
    splits = splits_there(folder, len(names))
    if not overwrite and layout == "published" and not (folder / RESULT).exists():
        _refuse_features(folder, list(splits))
    network = load_backbone(backbone, weights, device)
    options |= {"device": device, "overwrite": overwrite}
    if parts is None:
        prepare = dataclasses.replace(network.preprocessing, **preprocessing or {})
        record = extract(images, folder, network, prepare, **options)
    else:
        square = of_parts(network.preprocessing, preprocessing or {})
        crops = PartCrops(read_parts(parts), source, square)
        crops.check(images.names)
        every = PartBackbone(network, network.origin)
        record = extract(images, folder, every, crops, **options)
    write_lines(folder / CLASSES, names)
    make_splits(folder, splits, overwrite, layout)
    return record, list(splits)


def _refuse_features(folder: Path, splits: list[str]) -> None:
    """Raise `InputErrors` for features of splits that cannot be of these images."""
    files = (split_layout(dataset_of(folder), split) for split in splits)
    paths = [folder / f[f"{part}_features"] for f in files for part in ("train", "test")]
    refuse(path for path in paths if path.exists())


def _folders(source: Path, folder: Path) -> list[str]:
    """Return the names of the folders of images, in order, as the names of the classes."""
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
