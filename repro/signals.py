"""Ctrl-C, SIGTERM, and SIGUSR2 (the warning of SLURM): finish the step in hand, save, stop."""

import signal
import sys


class Interrupted(Exception):
    """The run was asked to stop and has saved its state."""


class StopRequest:
    """While active, the first signal only sets a flag. A second Ctrl-C interrupts at once; the
    other two may come again, as schedulers send them, and change nothing.

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
        print(f"\n{name}: finishing the step in hand, then saving", file=sys.stderr)
