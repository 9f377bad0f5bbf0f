"""Opening files that were named by a user: regular files only."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from repro.errors import InputError


def open_regular(path: str | Path) -> BinaryIO:
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
