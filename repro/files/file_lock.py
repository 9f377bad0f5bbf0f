"""Advisory locks: one process at a time in a folder. The system releases them when a process dies.

A lock is a file that a process holds with ``flock``. Between opening the file and locking it,
another process may remove it, for instance a run that could not start and removes its folder; the
lock would then be on a file that nobody else can find. So the locked file is compared with the one
that has its name, and the lock is taken again where they differ.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = ".lock"
TRIES = 100


def lock(folder: Path, wait: bool = False) -> int:
    """Lock ``folder``, which is made where it is missing, and return the descriptor that holds it.

    The lock ends when the descriptor is closed.

    Raises BlockingIOError where another process holds the lock, unless this one is to ``wait``, and
    OSError where the folder cannot be written.
    """
    path = folder / NAME
    for tries in range(TRIES):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # a symbolic link would lead the lock, and what is written, out of the folder
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o666)
        except FileNotFoundError:  # the folder was removed in between, or none can be made there
            if tries == TRIES - 1:
                raise
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise BlockingIOError(f"{path}: removed again and again by other processes")


@contextmanager
def alone_in(folder: Path, work: str) -> Iterator[None]:
    """Wait until no other process is in this block for ``folder``, which is made if missing.

    A wait is announced on stderr, with the ``work`` that the other process does. Raises OSError
    where the folder cannot be written.
    """
    try:
        descriptor = lock(folder)
    except BlockingIOError:
        print(f"{folder}: waiting for the {work} of another process", file=sys.stderr)
        descriptor = lock(folder, wait=True)
    try:
        yield
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one that is now at ``path``."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False
