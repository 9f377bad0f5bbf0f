"""Signals that end a run: Ctrl-C, SIGTERM and SIGUSR2, by which SLURM warns before a time limit.

The run finishes its current step, saves and stops.
"""

import signal
import sys


class Interrupted(Exception):
    """The run was asked to stop and has saved its state."""


class StopRequest:
    """A context in which the first signal only sets the flag ``requested``.

    A second Ctrl-C interrupts at once. SIGTERM and SIGUSR2 may come again, as schedulers repeat
    them, and change nothing.

    >>> with StopRequest() as stop:
    ...     stop.requested
    False
    """

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)

    def __enter__(self) -> "StopRequest":
        self.requested = False
        self._before = {number: signal.signal(number, self._handle) for number in self.signals}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame) -> None:
        if self.requested:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.requested = True
        name = signal.Signals(number).name
        print(f"\n{name}: finishing the current step, then saving", file=sys.stderr)
