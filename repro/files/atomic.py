"""Files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from repro.errors import InputError


def write_atomically(path: Path, write: Callable[[Any], None], mode: str = "wb") -> None:
    """Write a file so that a crash at any moment leaves the old content or the new.

    The content goes to a temporary file beside ``path``, is flushed to the disk and renamed into
    place; then the folder is flushed.

    Args:
        path: the file to write; its folder is made where it is missing.
        write: called with the open temporary file.
        mode: ``wb``, or ``w`` for text, which is written as UTF-8.

    Raises :class:`InputError` where the file cannot be written, for instance on a full disk.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{path.name[:40]}."  # shorter than the name, which may be as long as it can be
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=".part")
    except (OSError, ValueError) as error:
        raise _cannot(path, error) from None
    try:
        with os.fdopen(handle, mode, encoding=None if "b" in mode else "utf-8") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
        flush_folder(path.parent)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError | UnicodeEncodeError):
            raise _cannot(path, error) from None
        raise


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], compress: bool = False) -> None:
    """Write arrays by name to a file .npz, as :func:`write_atomically` does."""
    # for a type checker an array could be numpy's flag `allow_pickle`
    save: Callable[..., None] = np.savez_compressed if compress else np.savez
    write_atomically(path, lambda file: save(file, **arrays))


def flush_folder(path: Path) -> None:
    """Flush a folder to the disk, so that new and renamed files survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot(path: Path, error: Exception) -> InputError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return InputError(f"{path}: cannot be written: {reason}")


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
