"""The order of class names, and lists of them; `cizsl.data.names` says which names are equal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cizsl.data.birds_layout import CLASSES, read_lines
from cizsl.data.names import NUMBER, clean, duplicates, key
from repro.errors import InputError, InputErrors


def in_order(names: Iterable[str]) -> list[str]:
    """Return names sorted by the numbers before them, then names without one, sorted."""
    numbers = {name: NUMBER.match(name) for name in names}
    return sorted(
        numbers,
        key=lambda name: (int(n[1]) if (n := numbers[name]) else float("inf"), key(name)),
    )


def read_class_list(path: Path) -> list[str]:
    """Return the names of classes in a file, one a line, in their order.

    A line may begin with a number. Raises `InputErrors` for names that are repeated, and
    `InputError` for an empty file.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a list of classes, one name a line")
    try:
        names = [clean(line) for line in read_lines(path) if line.strip()]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if repeated := duplicates(names):
        raise InputErrors([f"{path}: two lines for the class {name}" for name in repeated])
    if not names:
        raise InputError(f"{path}: empty; expected a list of classes, one name a line")
    return names


def class_list(folder: Path, given: Path | None) -> list[str] | None:
    """Return the classes of a dataset's folder: the file `given`, else its classes.txt, else None.

    Raises `InputError` where the two files differ.
    """
    own = folder / CLASSES
    known = read_class_list(own) if own.is_file() else None
    if given is None:
        return known
    names = read_class_list(given)
    if known is not None and [*map(key, known)] != [*map(key, names)]:
        raise InputError(f"{given}: not the classes, in their order, of {own}, which is there")
    return names
