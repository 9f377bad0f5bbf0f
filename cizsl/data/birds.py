"""The birds of CUB-200-2011 and NABirds with their Wikipedia text, as CIZSL reads them.

A dataset is the text of C classes, a TF-IDF matrix (C, V), and two splits of the classes into S
seen and U unseen ones: in the easy split an unseen bird has seen relatives, in the hard split whole
super-classes are unseen (Elhoseiny et al., CVPR 2017, arXiv 1709.01148). A split is five files: the
one-based ids of both groups and, for each group, the visual features (N, D) and the labels (N,) of
its images, where label k means the k-th id of the group. They are read and checked by
`cizsl.data.birds_validate.read_split`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cizsl.data.birds_layout import (
    BUILT,
    CLASSES,
    LAYOUTS,
    SOURCES,
    dataset_folder,
    dataset_layout,
    datasets_in,
    read_lines,
    split_files,
)
from cizsl.data.birds_validate import read_split
from cizsl.data.dataset import ZSLData
from repro.errors import InputError


def load_birds(root: str | Path, dataset: str = "CUB", split: str = "easy") -> ZSLData:
    """Read one split of the published birds, or of a dataset of one's own in the same layout.

    Args:
        root: the folder that holds the dataset's folder, or the dataset's folder itself.
        dataset: "CUB", "NAB" or a name of one's own.
        split: "easy" or "hard"; of a dataset of one's own any split that is there.

    Files are hashed and converted piece by piece: for a NABirds folder at full size (685 MiB) the
    peak memory was 1.03 times that of the arrays returned, for files in float32 and in float64.

    Raises `InputError` for an unknown dataset or split, for missing files (all named at once), and
    for the first error that `read_split` finds.
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
        train_features=arrays["train_features"],
        train_labels=arrays["train_labels"],
        test_features=arrays["test_features"],
        test_labels=arrays["test_labels"],
        class_names=_class_names(folder, np.concatenate([seen, unseen])),
    )


def _class_names(folder: Path, ids: np.ndarray) -> tuple[str, ...] | None:
    """Return the names of classes (C,) from `CLASSES`, which the published folders lack."""
    if not (path := folder / CLASSES).is_file():
        return None
    lines = read_lines(path)
    return tuple(lines[i - 1] for i in ids) if len(lines) >= ids.max() else None


def find_birds(root: str | Path, dataset: str, split: str) -> Path:
    """Return the dataset's folder. Raises `InputError` unless every file of the split is there."""
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
