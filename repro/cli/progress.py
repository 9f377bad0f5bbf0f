"""Progress bars that fit 80 columns, and that do not flood a log file."""

import sys
import threading
import time

from tqdm import tqdm

WIDTH = 80
SECONDS = 30.0  # between two lines where the output is not a terminal

# tqdm's own lock is shared with forked processes: one that is killed while it holds the lock would
# stop the bars of all others for ever
tqdm.set_lock(threading.RLock())


class Bar(tqdm):
    """A tqdm bar whose name stands on a line of its own before it.

    On a terminal it fits 80 columns with its numbers. Elsewhere (a log file, a pipe) it writes at
    most once in 30 seconds, the name included.

    Args:
        iterable: as of tqdm.
        name: of the work.
        hidden: show nothing.
        how: other arguments of tqdm.
    """

    def __init__(self, iterable=None, *, name: str = "", hidden: bool = False, **how):
        self._terminal = sys.stderr.isatty()
        self._name, self._written = name, time.monotonic()
        if self._terminal and name and not hidden:
            print(name, file=sys.stderr)
        how.setdefault("ncols", WIDTH if self._terminal else None)
        how.setdefault("mininterval", 0.2 if self._terminal else SECONDS)
        super().__init__(iterable, disable=hidden, **how)

    def show(self, numbers: dict[str, str]) -> None:
        """Show ``numbers`` by name behind the bar."""
        self.set_postfix(numbers, refresh=self._terminal)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool | None:
        """Write the bar, unless it is not on a terminal and has written within 30 seconds."""
        if self._terminal:
            return super().display(msg, pos)
        if time.monotonic() - self._written < SECONDS:
            return None
        self._written = time.monotonic()
        prefix = f"{self._name}: " if self._name else ""
        print(f"{prefix}{msg or self}", file=sys.stderr, flush=True)
        return True

    def close(self) -> None:
        """End the bar; where it is not on a terminal it leaves no trace."""
        self.leave = self.leave and self._terminal
        super().close()
