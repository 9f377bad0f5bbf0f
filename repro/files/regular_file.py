"""Paths that a user has named: what can be read, and regular files only."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from repro.errors import InputError
from repro.wording import shown

SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def is_shortage(error: BaseException) -> bool:
    """Return whether memory or file descriptors were short, so that the file may be whole."""
    return isinstance(error, MemoryError) or getattr(error, "errno", None) in SHORTAGES


def open_regular(path: str | Path) -> BufferedReader:
    """Open a regular file for reading, in binary.

    A device such as ``/dev/zero`` has no end and a named pipe may never begin; neither is opened.
    Raises `InputError`, which does not repeat the path, for those, for a folder, and for whatever
    cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:
        raise InputError("a path that holds a NUL character") from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError("not a regular file")
    return os.fdopen(descriptor, "rb")


def readable(path: str | Path) -> Path:
    """Return the path of a file or folder that may be looked into, or that does not exist.

    Raises `InputError` for a name that no file can have and for a missing permission.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Path(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "a path that holds a NUL character"
        raise InputError(f"{_name(path)}: cannot be read: {reason}") from None
    if not os.access(path, os.R_OK | (os.X_OK if os.path.isdir(path) else 0)):
        raise InputError(f"{_name(path)}: cannot be read: Permission denied")
    return Path(path)


def _name(path: str | Path) -> str:
    """Return the path for a message, cut where it is long."""
    text = str(path)
    return text if len(text) <= 200 and text.isprintable() else shown(text)
