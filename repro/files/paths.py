"""Paths that a user gave."""

import os
from pathlib import Path

from repro.errors import InputError
from repro.wording import shown

LONGEST_NAME = 255  # bytes, of a file or folder


def expanded(path: str | Path) -> Path:
    """Return ``path`` with a leading ``~`` or ``~user`` replaced by the home folder.

    Raises :class:`InputError` for a NUL character, a user who does not exist, and a name that is
    longer than file systems take.
    """
    text = str(path)
    if "\0" in text:
        raise InputError(f"{shown(text)}: expected a path, which holds no NUL character")
    try:
        found = Path(text).expanduser()
    except RuntimeError:
        raise InputError(f"{shown(text)}: no such user") from None
    length = max((len(os.fsencode(part)) for part in found.parts), default=0)
    if length > LONGEST_NAME:
        raise InputError(
            f"{shown(text)}: a name of {length} bytes; file systems take {LONGEST_NAME}"
        )
    return found
