"""The birds of CUB-200-2011 and NABirds with their Wikipedia text, as CIZSL reads them.

A dataset is the text of C classes, a TF-IDF matrix (C, V), and two splits of the classes into S
seen and U unseen ones: in the easy split an unseen bird has seen relatives, in the hard split whole
super-classes are unseen (Elhoseiny et al., CVPR 2017, arXiv 1709.01148). A split is five files: the
one-based ids of both groups and, for each group, the visual features (N, D) and the labels (N,) of
its images, where label k means the k-th id of the group. They are read and checked by
`cizsl.birdchecks.read_split`.

The published code normalises features by two numbers taken over the whole training matrix X,

    x -> (x - mean(X)) / var(X)

a division by the variance, not by the standard deviation. Its results depend on it, hence
`NORMALISATIONS["published"]`. The pivots of the GAN are the class means m_c = mean of x in class c.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cizsl.birdchecks import read_split
from cizsl.birdfiles import (
    BUILT,
    LAYOUTS,
    SOURCES,
    dataset_folder,
    dataset_layout,
    datasets_in,
    split_files,
    split_layout,
)
from cizsl.birdwriters import write_ids, write_labels, write_mat
from cizsl.gbu import load_gbu
from cizsl.npzfiles import load_npz
from cizsl.zsldata import ZSLData
from repro.errors import InputError


def load_birds(root: str | Path, dataset: str = "CUB", split: str = "easy") -> ZSLData:
    """Read one split of "CUB", "NAB" or a dataset of one's own in the same layout.

    `root` holds the dataset's folder, or is that folder.

    Files are hashed and converted piece by piece: of a NABirds folder at full size (685 MiB) the
    peak memory was 1.03 times the arrays returned, stored as float32 and as float64 alike.

    Raises `InputError` for an unknown dataset or split, for missing files (all named at once), and
    for whatever `read_split` finds.
    """
    folder = find_birds(root, dataset, split)
    read = read_split(folder, dataset, split)
    if errors := [finding for finding in read.findings if finding.level == "error"]:
        more = f" (`cizsl data verify` lists {len(errors) - 1} more)" if errors[1:] else ""
        raise InputError(f"{errors[0].file}: {errors[0].message}{more}")
    arrays = read.arrays
    text, seen, unseen = (arrays.pop(role) for role in ("text", "train_ids", "test_ids"))
    return ZSLData(
        dataset=dataset,
        split=split,
        seen_text=text[seen - 1],
        unseen_text=text[unseen - 1],
        seen_ids=seen,
        unseen_ids=unseen,
        files=read.sha256,
        toy=any((place / "TOY.md").is_file() for place in (folder, Path(root))),
        **arrays,
    )


def find_birds(root: str | Path, dataset: str, split: str) -> Path:
    """The dataset's folder, in which every file of the split lies; `InputError` otherwise."""
    known = dataset in LAYOUTS and split in ("easy", "hard")
    if dataset.upper() in LAYOUTS and not known:
        names = " or ".join(LAYOUTS)
        raise InputError(f"no split {split!r} of {dataset!r}: expected easy or hard of {names}")
    folder, origin = dataset_folder(root, dataset), SOURCES if known else BUILT
    if folder is None:
        held = ", ".join(name for _, name in datasets_in(root))
        here = f"here, which holds {held}" if held else "here"
        place, name = Path(root).resolve(), dataset_layout(dataset)["folder"]
        raise InputError(f"{place}: no folder {name} {here}; {origin}")
    paths = split_files(folder, dataset, split).values()
    if missing := [path.name for path in paths if not path.is_file()]:
        raise InputError(f"{folder}: missing {', '.join(missing)}; {origin}")
    return folder


def load(
    root: str | Path, dataset: str = "CUB", split: str = "easy", layout: str = "published"
) -> ZSLData:
    """`LAYOUT_READERS[layout]`: read one split of a dataset from the files under `root`.

    Raises `InputError` for an unknown layout, and for whatever the reader finds.
    """
    if layout not in LAYOUT_READERS:
        raise InputError(f"no layout {layout!r}: expected {', '.join(LAYOUT_READERS)}")
    return LAYOUT_READERS[layout](root, dataset, split)


LAYOUT_READERS = {  # each (root, dataset, split) -> ZSLData
    "published": load_birds,  # MAT-files and pickles, as CIZSL and GAZSL published them
    "npz": load_npz,  # one file of numpy arrays, see cizsl/npzfiles.py
    "gbu": load_gbu,  # the attribute benchmarks, see cizsl/gbu.py
}


def normalise(features: Tensor, reference: Tensor, kind: str) -> Tensor:
    """`NORMALISATIONS[kind]`: features (N, D), statistics from `reference` (M, D) only -> (N, D).

    `reference` is the training features, also where the features of unseen classes are normalised.
    Raises `InputError` for an unknown kind.
    """
    if kind not in NORMALISATIONS:
        raise InputError(f"no normalisation {kind!r}: expected {', '.join(NORMALISATIONS)}")
    return NORMALISATIONS[kind](features, reference)


def _published(features: Tensor, reference: Tensor) -> Tensor:
    variance, mean = torch.var_mean(reference, correction=0)
    if variance == 0:
        raise InputError("the training features are all one number: nothing to normalise by")
    return (features - mean) / variance


def _standardise(features: Tensor, reference: Tensor) -> Tensor:
    std, mean = torch.std_mean(reference, dim=0, correction=0)
    varies = std > 1e-6 * mean.abs()  # what is left of a constant feature is rounding
    return (features - mean) / torch.where(varies, std, 1)


def _minmax(features: Tensor, reference: Tensor) -> Tensor:
    low, high = torch.aminmax(reference, dim=0)
    return (features - low) / torch.where(high > low, high - low, 1)


def _l2(features: Tensor, reference: Tensor) -> Tensor:
    return torch.nn.functional.normalize(features, dim=1)


def _none(features: Tensor, reference: Tensor) -> Tensor:
    return features


NORMALISATIONS = {
    "published": _published,  # (x - mean) / variance, two numbers for the whole matrix
    "standardise": _standardise,  # each feature to mean 0 and deviation 1; a constant one to 0
    "minmax": _minmax,  # each feature to [0, 1] on the reference; GAZSL and f-CLSWGAN on GBU
    "l2": _l2,  # each image to unit length; zero stays zero
    "none": _none,
}


def class_centroids(features: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """m_c = mean of the features (N, D) whose label (N,) is c -> (num_classes, D).

    A class without images gets zeros. On CUDA the order of the sum, hence the last bit, varies
    unless torch.use_deterministic_algorithms is on.
    """
    sums = features.new_zeros(num_classes, features.shape[1]).index_add_(0, labels, features)
    counts = torch.bincount(labels, minlength=num_classes).clamp(min=1)
    return sums / counts[:, None]


@dataclass(frozen=True, eq=False)
class BirdSplit:
    """What `write_birds` writes for one split of the classes.

    train_ids, test_ids: (S,), (U,) one-based class ids, rows of the text counted from one.
    train_features, test_features: (N, D), (M, D) float.
    train_labels, test_labels: (N,), (M,) integers in [0, S), [0, U), in the order of the ids.
    """

    train_ids: np.ndarray
    test_ids: np.ndarray
    train_features: np.ndarray
    train_labels: np.ndarray
    test_features: np.ndarray
    test_labels: np.ndarray


def write_birds(
    root: str | Path,
    dataset: str,
    text: np.ndarray,
    terms: Sequence[str],
    splits: Mapping[str, BirdSplit],
    *,
    compress: bool = False,
) -> Path:
    """Write the published layout under `root` and return the dataset's folder.

    text: (classes, V); terms: V strings, or none; splits: "easy", "hard" (of one's own dataset any
    name) to a `BirdSplit`. The published file names are kept whatever V is, because readers look
    for those names: a `7551D` in a name says nothing about the number of terms in the file.
    The same arrays give the same bytes.
    """
    names = dataset_layout(dataset)
    folder = Path(root) / names["folder"]
    write_mat(folder / names["text"], {"PredicateMatrix": text}, compress)
    if len(terms):
        write_mat(folder / names["terms"], {"TFIDF_Term": np.array(terms, np.str_)}, compress)
    for name, split in splits.items():
        files = split_layout(dataset, name)
        write_ids(folder / files["ids"], split.train_ids, split.test_ids)
        for part in ("train", "test"):
            features = {"pfc_feat": getattr(split, f"{part}_features")}
            write_mat(folder / files[f"{part}_features"], features, compress)
            write_labels(folder / files[f"{part}_labels"], getattr(split, f"{part}_labels"))
    return folder
