"""Names of classes, as files, folders, lists and arrays hold them.

A number before a name, as in `001.Black_footed_Albatross` or `1 001.Black_footed_Albatross`, only
gives the order; blanks equal underscores, and names are compared without regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

NUMBER = re.compile(r"\s*(?:(\d+)[\s._-]+)+(?=\S)")


def clean(name: str) -> str:
    """Return the name without the number before it, with underscores for blanks."""
    return re.sub(r"\s+", "_", NUMBER.sub("", name, count=1).strip())


def key(name: str) -> str:
    """Return the form in which names are compared."""
    return clean(name).casefold()


def duplicates(names: Iterable[str]) -> list[str]:
    """Return the names that repeat an earlier one, as `key` compares them."""
    known, repeated = set(), []
    for name in names:
        if key(name) in known:
            repeated.append(name)
        known.add(key(name))
    return repeated


def families(names: Sequence[str]) -> np.ndarray:
    """Return the family of each class as a number (C,): the last word of its name."""
    last = [key(name).split("_")[-1] for name in names]
    return np.unique(last, return_inverse=True)[1]
