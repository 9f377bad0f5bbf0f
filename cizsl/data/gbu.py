"""The attribute benchmarks of Xian et al., in the layout of their archive `xlsa17`.

A dataset is a folder with its name and two MAT-files: N images, C classes, A attributes, D numbers:

    res101.mat       features (D, N), pooled from a ResNet-101, D = 2048; labels (N, 1), classes
                     from one
    att_splits.mat   att (A, C), the attributes, columns of length one; and image numbers, from one:
                     trainval_loc      images of seen classes, to learn from
                     test_seen_loc     other images of the seen classes
                     test_unseen_loc   all images of the unseen classes
                     train_loc, val_loc   images of seen classes only: those of val_loc are of the
                                       classes on which choices are made

This is the proposed split, "PS": no unseen class is one that the ResNet was trained on. Zero-shot
accuracy is the mean over the unseen classes of their top-1 accuracy, T1, when only unseen classes
can be answered. In the generalised setting all classes can: u and s are that mean over unseen and
over seen classes, and H = 2 u s / (u + s).

In the AWA and SUN files, train_loc and val_loc together hold all images of the seen classes, those
of test_seen_loc among them. Only the *classes* of val_loc are used here, with their images of
trainval_loc, so that no image that measures s takes part in a choice.

Source: Xian et al., TPAMI 2018 (arXiv:1707.00600), sections 4 and 5.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cizsl.data.birds_layout import sha256
from cizsl.data.birds_validate import SplitFiles
from cizsl.data.dataset import ZSLData
from cizsl.data.findings import Finding
from cizsl.data.gbu_validate import PARTS, SHA256, problems, validation_classes
from cizsl.data.matfile import MatVariable, mat_variables
from repro.errors import InputError
from repro.files.regular_file import readable

SPLIT = "PS"
FEATURES, SPLITS = "res101.mat", "att_splits.mat"
SOURCES = "docs/gbu.md says where to get it, `cizsl data toy --gbu` makes a stand-in"

OTHER = "its SHA-256 is not that of the file of 2018: another release, or converted data"


def load_gbu(root: str | Path, dataset: str = "AWA2", split: str = SPLIT) -> ZSLData:
    """Read the proposed split of a dataset; the text of a class is its row of attributes.

    Args:
        root: the folder that holds the dataset's folder, or the dataset's folder itself.
        dataset: the name of the folder.
        split: "PS", the proposed split.

    Features are read in the order of the split, so that no second copy of them is made. Raises
    `InputError` for an unknown split, for missing files (all named at once), and for the first
    error that `read_gbu` finds.
    """
    if split != SPLIT:
        raise InputError(f"no split {split!r} of {dataset}: expected {SPLIT}, the proposed split")
    folder = dataset_folder(root, dataset)
    if folder is None:
        raise InputError(f"{root}: no folder {dataset} with {SPLITS} here; {SOURCES}")
    if missing := [name for name in (SPLITS, FEATURES) if not (folder / name).is_file()]:
        raise InputError(f"{folder}: missing {', '.join(missing)}; {SOURCES}")
    read = read_gbu(folder, dataset)
    if errors := [finding for finding in read.findings if finding.level == "error"]:
        more = f" (`cizsl data verify` lists {len(errors) - 1} more)" if errors[1:] else ""
        raise InputError(f"{errors[0].file}: {errors[0].message}{more}")
    toy = any(os.path.isfile(place / "TOY.md") for place in (folder, Path(root)))
    return _split_data(dataset, read, toy)


def _split_data(dataset: str, read: SplitFiles, toy: bool) -> ZSLData:
    """Return the proposed split; labels become places among the seen or unseen classes."""
    arrays = read.arrays
    ends = np.cumsum([len(arrays[name]) for name in PARTS])
    train, seen_test, test = np.split(arrays["features"][: ends[-1]], ends[:-1])
    labels = [arrays["labels"][arrays[name] - 1] for name in PARTS]
    seen, unseen = np.unique(labels[0]), np.unique(labels[2])
    return ZSLData(
        dataset=dataset,
        split=SPLIT,
        train_features=train,
        train_labels=np.searchsorted(seen, labels[0]),
        test_features=test,
        test_labels=np.searchsorted(unseen, labels[2]),
        seen_text=arrays["att"][seen - 1],
        unseen_text=arrays["att"][unseen - 1],
        seen_ids=seen,
        unseen_ids=unseen,
        files=read.sha256,
        toy=toy,
        seen_test_features=seen_test,
        seen_test_labels=np.searchsorted(seen, labels[1]),
        validation_classes=validation_classes(arrays),
    )


def dataset_folder(root: str | Path, dataset: str) -> Path | None:
    """Return the folder of `dataset`: in `root`, in its `xlsa17/data`, or `root` itself."""
    root = readable(root)
    for folder in (root / dataset, root / "xlsa17" / "data" / dataset):
        if os.path.isdir(folder):
            return readable(folder)
    return root if os.path.isdir(root) and root.resolve().name == dataset else None


def folders(root: str | Path) -> list[Path]:
    """Return every folder of this layout that `dataset_folder` could find under `root`."""
    root = readable(root)
    places = [root, *root.glob("*"), *root.glob("xlsa17/data/*")]
    return sorted(p for p in places if (p / SPLITS).is_file() or (p / FEATURES).is_file())


def read_gbu(folder: Path, dataset: str) -> SplitFiles:
    """Hash, read and check both files; what is wrong with them becomes a finding.

    arrays: "att" (C, A) float32, "labels" (N,) int64 from one, each `_loc` int64 from one, and
    "features" (N, D) float32, the rows in the order trainval, test_seen, test_unseen, and the rest.
    """
    read = read_splits(folder)
    order = _order([read.arrays.get(name) for name in PARTS])
    wanted = {"features": lambda found: _in_order(found, order), "labels": _whole}
    _read_file(folder / FEATURES, read, wanted)
    toy = (folder / "TOY.md").is_file()
    for level, name, message in problems(read.arrays, dataset, toy):
        path = folder / (FEATURES if name in ("features", "labels") else SPLITS)
        read.findings.append(Finding(level, str(path), message))
    return read


def read_splits(folder: Path) -> SplitFiles:
    """Hash and read `att_splits.mat` alone: "att" and the `_loc`, as in `read_gbu`."""
    read = SplitFiles()
    _read_file(folder / SPLITS, read, {"att": _transposed} | dict.fromkeys(PARTS, _whole))
    return read


def verify_gbu(root: str | Path) -> list[Finding]:
    """Return the findings on all folders of this layout under `root`."""
    findings = []
    for folder in folders(root):
        dataset = folder.resolve().name
        read = read_gbu(folder, dataset)
        known = SHA256.get(dataset)
        if (folder / "TOY.md").is_file():
            note = "toy data: no number on them is a paper's"
            findings.append(Finding("note", str(folder / "TOY.md"), note))
        elif known and read.sha256.get(SPLITS, known) != known:
            findings.append(Finding("note", str(folder / SPLITS), OTHER))
        findings += read.findings
    return findings


OPTIONAL = ("train_loc", "val_loc")


def _read_file(path: Path, read: SplitFiles, wanted: dict[str, Callable]) -> None:
    """Read the variables `wanted`, and those that are `OPTIONAL`, into `read`."""
    names = []
    try:
        if not path.is_file():
            raise InputError(f"missing; {SOURCES}")
        read.sha256[path.name] = sha256(path)
        for found in mat_variables(path):
            names.append(found.name)
            reader = wanted.get(found.name) or (_whole if found.name in OPTIONAL else None)
            if reader is not None:
                read.arrays[found.name] = reader(found)
    except InputError as error:
        read.findings.append(Finding("error", str(path), str(error)))
        return
    for name in wanted.keys() - set(names):
        message = f"no variable {name}; variables in the file: {names}"
        read.findings.append(Finding("error", str(path), message))


def _whole(found: MatVariable) -> np.ndarray:
    numbers = found.read().ravel()
    if not ((numbers == np.round(numbers)) & (np.abs(numbers) < 2**24)).all():
        raise InputError(f"{found.name} must hold whole numbers, exact in float32")
    return numbers.astype(np.int64)


def _transposed(found: MatVariable) -> np.ndarray:
    return found.read_transposed()


def _in_order(found: MatVariable, listed: np.ndarray | None) -> np.ndarray:
    """Return features (N, D): the images `listed`, then the others; else as in the file."""
    everything = np.arange(found.shape[-1])
    if listed is None or listed.max() >= len(everything):
        return found.read_transposed()
    return found.read_transposed(np.concatenate([listed, np.setdiff1d(everything, listed)]))


def _order(parts: list[np.ndarray | None]) -> np.ndarray | None:
    """Return all images of the split from zero, part by part; None if one is repeated."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    listed = np.concatenate(known) - 1
    return listed if listed.min() >= 0 and len(np.unique(listed)) == len(listed) else None
