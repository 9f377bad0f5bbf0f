"""Ctrl-C and SIGTERM: finish the step in hand, save, stop."""

import signal
import sys


class Interrupted(Exception):
    """The run was asked to stop and has saved its state."""


class StopRequest:
    """While active, the first SIGINT or SIGTERM only sets a flag; the second interrupts at once.

    >>> with StopRequest() as stop:
    ...     stop.requested
    False
    """

    signals = (signal.SIGINT, signal.SIGTERM)

    def __enter__(self) -> "StopRequest":
        self.requested = False
        self._before = {number: signal.signal(number, self._handle) for number in self.signals}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        name = signal.Signals(number).name
        print(f"\n{name}: finishing the step in hand, then saving", file=sys.stderr)
