"""Choosing which classes are seen and which unseen: by families, at random, or from a file.

The splits follow Elhoseiny et al. (CVPR 2017, arXiv 1709.01148), with families for their
super-categories and a share u of C classes to be unseen:

    easy (super-category shared)     every unseen class has a seen one in its family
    hard (super-category exclusive)  no unseen class has one: whole families are unseen

Easy: families take turns, in a random order, to give one class to the unseen ones, and each keeps
its last class. Hard: whole families become unseen, in a random order, as long as they fit into the
u C classes. Random: u C classes, whatever their families. The same seed, names and families give
the same splits.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cizsl.prepare.class_names import duplicates, key
from repro.errors import InputError, InputErrors
from repro.files.regular_file import open_regular
from repro.wording import one_line

LAST_WORD = "last-word"
STATES = {"seen": 0, "unseen": 1, "": None}


def read_families(source: str, classes: Sequence[str]) -> list[str]:
    """Return the family of each class.

    Args:
        source: a CSV file with the columns class and family; or "last-word": the last word of the
            class's name, such as "Albatross" of Black_footed_Albatross.
        classes: the names of the classes.

    Lines of the file for other classes are ignored. Raises `InputErrors`, one line for each fault.
    """
    if source == LAST_WORD:
        return [name.split("_")[-1].casefold() for name in classes]
    rows = _read_csv(Path(source), classes, ("family",))
    if empty := [name for name in classes if not rows[key(name)]["family"]]:
        raise InputErrors([f"{source}: no family for the class {name}" for name in empty])
    return [rows[key(name)]["family"] for name in classes]


def easy_split(families: Sequence[str], share: float, seed: int) -> np.ndarray:
    """Return the mask (C,) of unseen classes. Raises `InputError` where the share is too large."""
    family, rng = np.unique(families, return_inverse=True)[1], np.random.default_rng([seed, 0])
    count, room = _count(len(family), share), len(family) - len(set(families))
    if count > room:
        singles = "every family keeps a seen class"
        raise InputError(
            f"easy: {count} of {len(family)} classes unseen, but {room} at most: {singles}"
        )
    order = rng.permutation(len(family))
    turn = np.array([(family[order[:i]] == family[c]).sum() for i, c in enumerate(order)])
    last = turn == np.bincount(family)[family[order]] - 1
    free = order[~last][np.argsort(turn[~last], kind="stable")]
    return np.isin(np.arange(len(family)), free[:count])


def hard_split(families: Sequence[str], share: float, seed: int) -> np.ndarray:
    """Return the mask (C,) of unseen classes. Raises `InputError` where no family fits."""
    family, rng = np.unique(families, return_inverse=True)[1], np.random.default_rng([seed, 1])
    sizes, count = np.bincount(family), _count(len(family), share)
    chosen, total = [], 0
    for number in rng.permutation(len(sizes)):
        if total + sizes[number] <= count:
            chosen.append(number)
            total += sizes[number]
    if not chosen or len(chosen) == len(sizes):
        raise InputError(f"hard: {count} unseen classes, but families have {sizes.min()} or more")
    return np.isin(family, chosen)


def random_split(classes: int, share: float, seed: int) -> np.ndarray:
    """Draw the unseen classes: a mask (C,) that is true for a random share of them."""
    count, rng = _count(classes, share), np.random.default_rng([seed, 2])
    return np.isin(np.arange(classes), rng.permutation(classes)[:count])


def _count(classes: int, share: float) -> int:
    if not 0 < share < 1:
        raise InputError(f"--unseen {share}: expected a share of the classes between 0 and 1")
    count = round(share * classes)
    if not 0 < count < classes:
        raise InputError(
            f"--unseen {share}: {count} of {classes} classes; expected at least one on each side"
        )
    return count


def with_seen_relatives(
    families: Sequence[str], unseen: np.ndarray, seen: np.ndarray
) -> np.ndarray:
    """Return for each of the unseen classes (U,) whether a seen one (S,) is in its family."""
    family = np.asarray(families)
    return np.isin(family[unseen], family[seen])


def read_splits(path: Path, classes: Sequence[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return seen (S,) and unseen (U,) classes, from 0, of every split in a CSV file.

    The file has the column class and one for each split, which holds "seen", "unseen" or, for a
    class that takes no part, nothing. Raises `InputErrors`, one line for each fault.
    """
    rows, splits, faults = _read_csv(path, classes, ()), {}, []
    names = [name for name in next(iter(rows.values())) if name != "class"]
    if not names:
        raise InputError(f"{path}: no column of a split beside class")
    for split in names:
        values = [rows[key(name)][split].strip().casefold() for name in classes]
        faults += [
            f"{path}: {split} of {name} is {value!r}; expected seen, unseen or nothing"
            for name, value in zip(classes, values, strict=True)
            if value not in STATES
        ]
        sides = [np.flatnonzero([v == state for v in values]) for state in ("seen", "unseen")]
        if not all(side.size for side in sides):
            faults.append(f"{path}: {split} has no class that is seen, or none that is unseen")
        splits[split] = tuple(sides)
    if faults:
        raise InputErrors(faults)
    return splits


def _read_csv(path: Path, classes: Sequence[str], columns: Sequence[str]) -> Mapping[str, dict]:
    """Return the rows of a file with the column class and others, by the key of the class."""
    try:
        with open_regular(path) as file:
            text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
            reader = csv.DictReader(text, restval="", skipinitialspace=True, strict=True)
            header = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = header
            rows = [row for row in reader if any(row.values())]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {one_line(error)}") from None
    if missing := [name for name in ("class", *columns) if name not in header]:
        raise InputError(f"{path}: no column {', '.join(missing)} in its first line, {header}")
    known, listed = {key(name) for name in classes}, {key(row["class"]) for row in rows}
    faults = [f"{path}: two lines for the class {n}" for n in duplicates(r["class"] for r in rows)]
    if missing := [name for name in classes if key(name) not in listed]:
        faults += [f"{path}: no line for the class {name}" for name in missing]
        foreign = [row["class"] for row in rows if key(row["class"]) not in known]
        faults += [f"{path}: no class of the dataset is called {name!r}" for name in foreign]
    faults += [f"{path}: too many values for {row['class']}" for row in rows if None in row]
    if faults:
        raise InputErrors(faults)
    return {key(row["class"]): row for row in rows}
