"""Listing the contents of data files and everything that is wrong with them.

Training refuses bad data at the first error. `verify` lists all errors, one line each, for files
that were just unpacked, converted or copied; the checks are those of the readers, and checksums of
the published files. Another checksum is no error, because toy and rebuilt data have the published
file names. `inspect` lists the variables of the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cizsl.data.birds_layout import (
    CLASSES,
    LAYOUTS,
    SOURCES,
    dataset_layout,
    datasets_in,
    read_labels,
    read_lines,
    sha256,
    split_layout,
    splits_in,
)
from cizsl.data.birds_validate import read_split
from cizsl.data.compact_features import is_compact
from cizsl.data.findings import Finding, few
from cizsl.data.gbu import folders as gbu_folders
from cizsl.data.gbu import verify_gbu
from cizsl.data.matfile import mat_variables
from cizsl.data.npz import check_npz, npz_files
from cizsl.data.npz_validate import is_known
from repro.errors import InputError
from repro.files.safe_npz import read_arrays
from repro.wording import printable

SHA256 = {  # of the published files that are known; features and text are not among them
    "CUB terms": "924d6273e4c1e6efd151401fadd316041ba5c802a3aafbb7a8e437d28a643acf",
    "CUB easy ids": "0a59e32fa2911d39fb64eed6ca9c15d6edc0f94103502f63aabb343ff63075e4",
    "CUB easy train_labels": "27a9d36e76a49bbdd5ff80748fe17fae3012aac0e52b97800dee9f4e8f562150",
    "CUB easy test_labels": "10be0b86ec3166bd8f07feb494a9d49dc1cbe20621e72eae65708a8956a8dbb5",
    "CUB hard ids": "a1d19625b0a4e46b49763a640e94d076852359df3a56d3e846c0ec433ad546d6",
    "CUB hard train_labels": "548ac75467f662542c72f90f17fcf42e8ed3a91f16acf2be0e5feed57853783c",
    "CUB hard test_labels": "8416d46f65ec5644d5121fe71b9efb82b0d82e1a92101fffc3565d62f6a8122a",
    "NAB terms": "1022fd35af58683243155bded42caeb0eab71030b7abbd1684f3a6db067eaf22",
    "NAB easy ids": "4c5eecffa15ac887949b6f7bc6cd2fac65168f4692766cc730042025617daf92",
    "NAB easy train_labels": "2ee8556afe85396b884fc5680cd59070b7ef80e14d7c2e3e10a40065a38a3a20",
    "NAB easy test_labels": "f9a9d1464ee391da8bad9fdc88693bf1381efe8b98b11474b6c13fbb4c4bceb2",
    "NAB hard ids": "493f79280a10af21c7e03b1b0c1e372e559c747720288710ffacbf8a5d053ac9",
    "NAB hard train_labels": "8b7afa0c0b80ae9567a644fd74fc9791ee360d6de9dcc2a0e978ce18f49a68bb",
    "NAB hard test_labels": "6c10d50d51dcbd09fa7d179dcd39428f69f9139c86b90d0e5b51c578df59209c",
}


COLUMNS = ("file", "variable", "shape", "type", "values")
UNREADABLE = "unreadable"  # in place of a variable
REBUILT = "its SHA-256 is not the published file's: rebuilt or converted data"


def verify(root: str | Path) -> list[Finding]:
    """Return the findings on every dataset under `root`; none if the files are as published.

    Readers refuse files with an error. They accept files with a note: another checksum than the
    published one, classes without images, a term list that is missing or does not fit the text.
    """
    birds, files = datasets_in(root), npz_files(root)
    if not birds and not files and not gbu_folders(root):
        names = " or ".join(layout["folder"] for layout in LAYOUTS.values())
        return [Finding("error", str(root), f"no folder {names} here; {SOURCES}")]
    findings = [finding for args in birds for finding in _verify_dataset(*args)]
    findings += [finding for path in files for finding in check_npz(path)[1]]
    findings += verify_gbu(root)
    return list(dict.fromkeys(findings))  # both splits found the same faults in the text


def _verify_dataset(folder: Path, dataset: str) -> Iterator[Finding]:
    toy = folder / "TOY.md"
    if toy.is_file():
        yield Finding("note", str(toy), "toy data: no number on them is a paper's")
    splits, text = ["easy", "hard"] if dataset in LAYOUTS else splits_in(folder, dataset), None
    if (folder.parent / f"{dataset}.npz").is_file():  # it may hold the features instead
        splits = [split for split in splits if _has_features(folder, dataset, split)]
    elif not splits:
        yield Finding("error", str(folder), "no split (`cizsl data splits` makes some)")
    for split in splits:
        read = read_split(folder, dataset, split)
        yield from read.findings
        text = read.arrays.get("text", text)
        for role, name in split_layout(dataset, split).items():
            known = SHA256.get(f"{dataset} {split} {role}")
            if known and read.sha256.get(name, known) != known and not toy.is_file():
                yield Finding("note", str(folder / name), REBUILT)
    yield from _verify_names(folder, dataset, text, toy.is_file())


def _has_features(folder: Path, dataset: str, split: str) -> bool:
    names = split_layout(dataset, split)
    return any((folder / names[f"{part}_features"]).is_file() for part in ("train", "test"))


def _verify_names(folder: Path, dataset: str, text, toy: bool) -> Iterator[Finding]:
    """Check the files that no training needs: the term list and the names of classes."""
    terms, classes = folder / dataset_layout(dataset)["terms"], folder / CLASSES
    try:
        known, needless = SHA256.get(f"{dataset} terms"), "(no training needs it)"
        if known is None and not terms.is_file():
            raise InputError("missing")
        if known and sha256(terms) != known and not toy:
            yield Finding("note", str(terms), REBUILT)
        shapes = {found.name: found.shape for found in mat_variables(terms)}
        count = shapes.get("TFIDF_Term", (0,))[0]
        if text is not None and count != text.shape[1]:
            message = f"{count} rows of TFIDF_Term, but the text has {text.shape[1]} terms"
            yield Finding("note", str(terms), message)
    except InputError as error:
        yield Finding("note", str(terms), f"{error} {needless}")
    try:
        count = len(read_lines(classes)) if classes.is_file() else None
        if text is not None and count not in (None, len(text)):
            message = f"{count} names of classes, but the text has {len(text)} rows"
            yield Finding("note", str(classes), message)
    except InputError as error:
        yield Finding("note", str(classes), f"{error} {needless}")


def inspect(root: str | Path) -> str:
    """Return a table of the variables in all data files under `root`.

    Shape and type are those on disk, before a reader converts them. Raises `InputError` where there
    are no data files.
    """
    return _table(_rows(root))


def _rows(root: str | Path) -> list[tuple[str, str, str, str, str]]:
    rows = []
    for folder in [*(folder for folder, _ in datasets_in(root)), *gbu_folders(root)]:
        for path in sorted([*folder.glob("*.mat"), *folder.glob("*.pkl")]):
            rows += [(f"{folder.name}/{path.name}", *row) for row in _describe(path)]
    for path in npz_files(root):
        rows += [(path.name, *row) for row in _describe_npz(path)]
    if not rows:
        raise InputError(f"{root}: no files of birds here; {SOURCES}")
    return rows


def _table(rows: list[tuple[str, str, str, str, str]]) -> str:
    shown = [COLUMNS, *(tuple(map(printable, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in shown]
    return "\n".join(lines)


def _describe(path: Path) -> Iterator[tuple[str, str, str, str]]:
    try:
        if path.suffix == ".pkl":
            labels = read_labels(path)
            values = f"{labels.min()} to {labels.max()}, {len(np.unique(labels))} classes"
            yield "(labels)", str(labels.shape), str(labels.dtype), values
            return
        for found in mat_variables(path):
            row = found.name, str(found.shape), str(found.dtype or "not numbers")
            if found.dtype is None:
                yield *row, ""
            else:
                matrix = found.read()
                yield *row, f"{matrix.min():.6g} to {matrix.max():.6g}"
    except InputError as error:
        yield UNREADABLE, "", "", str(error)


def _describe_npz(path: Path) -> Iterator[tuple[str, str, str, str]]:
    try:
        arrays, headers = read_arrays(path, lambda name: is_known(name) or is_compact(name))
    except InputError as error:
        yield UNREADABLE, "", "", str(error)
        return
    for name, header in headers.items():
        array, values = arrays.get(name), ""
        if array is None:
            values = "not read: no array of a known layout"
        elif array.size and array.dtype.kind in "biuf":
            values = f"{float(array.min()):.6g} to {float(array.max()):.6g}"
        elif array.size:
            values = f"{array.flat[0]} to {array.flat[-1]}"
        yield name, str(header.shape), str(header.dtype), values


def run_verify(root: str | Path) -> int:
    """Print the findings and return the exit code: 2 if one is an error, else 0."""
    findings = verify(root)
    for finding in findings:
        print(printable(str(finding)))
    errors = sum(finding.level == "error" for finding in findings)
    print(f"{root}: {errors} errors, {len(findings) - errors} notes")
    return 2 if errors else 0


def run_inspect(root: str | Path) -> int:
    """Print the table and return the exit code 0.

    Raises `InputError` with the names of files that cannot be read; the table says why.
    """
    rows = _rows(root)
    print(_table(rows))
    damaged = [file for file, variable, shape, *_ in rows if (variable, shape) == (UNREADABLE, "")]
    if damaged:
        raise InputError(f"{root}: cannot be read: {few(np.array(damaged))}")
    return 0
