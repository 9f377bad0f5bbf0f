"""Reading of further texts of the classes, which `data.texts` of a configuration names.

A dataset has one text of each class. Others, such as sentence embeddings, stand in files of their
own, one .npz file each, which `cizsl data text ... --out FILE.npz` or `numpy.savez` writes:

    text            (C, W)  floats, a row for each class; a row of zeros: no text
    [class_names]   (C,)    strings: whose rows these are, in any order
    [terms]         (W,)    strings, the meaning of the columns; read by nobody

Where the file and the dataset both name their classes, a class has the row of its name
(`cizsl.data.names.key`). Otherwise the rows are in the order of the class numbers. The texts stand
side by side in the columns of the text, those of the dataset first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cizsl.data.birds_layout import sha256
from cizsl.data.dataset import ZSLData
from cizsl.data.findings import Finding, few
from cizsl.data.names import duplicates, key
from repro.errors import InputError
from repro.files.atomic import write_arrays
from repro.files.regular_file import readable
from repro.files.safe_npz import ArrayHeader, read_arrays

ARRAYS = ("text", "class_names", "terms")


def add_texts(data: ZSLData, root: str | Path, files: Sequence[str]) -> ZSLData:
    """Return the dataset with further texts beside its own.

    Args:
        data: one split of a dataset.
        root: the folder in which the files are, or a file in that folder; absolute paths stay.
        files: paths of .npz files.

    Names of classes that the dataset lacks are taken from the files. Raises `InputError`, with the
    file, for a file that is missing, damaged or of another content, and for classes without a row.
    """
    folder = readable(root)
    folder = folder.parent if folder.is_file() else folder
    for file in files:
        path = folder / file
        if path.name in data.files:
            raise InputError(f"{path}: {path.name} is the name of another file of the data")
        try:
            data = _with_text(data, path, *read_text(path))
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    return data


def _with_text(
    data: ZSLData, path: Path, text: np.ndarray, names: tuple[str, ...] | None
) -> ZSLData:
    """Return the dataset with one more text (C, W), whose rows have names."""
    ids = np.concatenate([data.seen_ids, data.unseen_ids])
    if names is not None and data.class_names is not None:
        rows = _rows_by_name(names, data.class_names)
    elif len(text) < ids.max():
        raise InputError(
            f"{len(text)} rows, but classes have numbers up to {ids.max()}; expected a row for "
            "each, or class_names in this file and in the dataset"
        )
    else:
        rows = ids - 1
    if data.class_names is None and names is not None:
        data = replace(data, class_names=tuple(names[row] for row in rows))
    seen, unseen = text[rows[: data.num_seen]], text[rows[data.num_seen :]]
    return replace(
        data,
        seen_text=np.concatenate([data.seen_text, seen], 1),
        unseen_text=np.concatenate([data.unseen_text, unseen], 1),
        text_blocks=(*(data.text_blocks or (data.text_dim,)), text.shape[1]),
        files=data.files | {path.name: sha256(path)},
    )


def _rows_by_name(names: tuple[str, ...], wanted: tuple[str, ...]) -> np.ndarray:
    """Return the place of each wanted name."""
    place = {key(name): row for row, name in enumerate(names)}
    if missing := [name for name in wanted if key(name) not in place]:
        raise InputError(f"no row for {few(np.array(missing))} among its {len(names)} class_names")
    return np.array([place[key(name)] for name in wanted])


def read_text(path: Path) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Return the text (C, W) float32 of a file, and the names of its rows where it has some.

    Raises `InputError`, which does not repeat the path, for whatever is wrong.
    """
    if not path.is_file():
        raise InputError("no such file; `cizsl data text ... --out FILE.npz` writes one")
    arrays, _ = read_arrays(path, ARRAYS.__contains__)
    text, names = arrays.get("text"), arrays.get("class_names")
    if text is None:
        raise InputError("no array text")
    if text.ndim != 2 or text.dtype.kind != "f" or not text.size:
        raise InputError(f"text is {text.shape} {text.dtype}; expected a matrix of floats")
    with np.errstate(over="ignore"):
        text = text.astype(np.float32)
    if not np.isfinite(text).all():
        raise InputError("text holds NaN, infinities or numbers beyond float32")
    if names is None:
        return text, None
    if names.shape != text.shape[:1] or names.dtype.kind != "U":
        what = f"{names.shape} {names.dtype}"
        raise InputError(f"class_names is {what}; expected a string for each row of text")
    if repeated := duplicates(names.tolist()):
        raise InputError(f"class_names repeats {few(np.array(repeated))}")
    return text, tuple(names.tolist())


def is_text(headers: dict[str, ArrayHeader]) -> bool:
    """Return whether arrays of these names are such a file, and not a dataset."""
    return "text" in headers and headers.keys() <= {*ARRAYS}


def check_text_file(path: Path) -> list[Finding]:
    """Return what is wrong with a file."""
    try:
        read_text(path)
    except InputError as error:
        return [Finding("error", str(path), str(error))]
    return []


def write_text(
    path: Path, text: np.ndarray, class_names: Sequence[str], terms: Sequence[str]
) -> None:
    """Write text (C, W), the C names of its rows and the W names of its columns to one file."""
    arrays = {"text": text, "class_names": np.array(class_names), "terms": np.array(terms)}
    write_arrays(path, arrays, compress=True)
