"""One process at a time in a folder that many share: what one has made, the others find."""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone_in(folder: Path, work: str) -> Iterator[None]:
    """Wait until no other process is in this block for ``folder`` (made if missing), and say so.

    An advisory lock, released by the system when a process dies. Raises OSError where the folder
    cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{folder}: waiting for the {work} of another process", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
