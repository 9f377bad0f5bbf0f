"""Waits of tests that start processes: long enough for a slow and busy machine.

A wait bounds a failure and measures nothing: a test that passes never reaches it. What the tests
wait for takes at most about thirty seconds on an idle machine. The bound allows a processor five
times slower, whose cores are shared with three busy processes: 30 x 5 x 4 = 600.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENOUGH = 600  # seconds


def wait_for(
    condition: Callable[[], object],
    process: subprocess.Popen | None = None,
    seconds: float = ENOUGH,
):
    """Ask ``condition()`` again and again, and return its first true value.

    Args:
        condition: a question that changes nothing.
        process: fail at once where this process ends before the condition is true.
        seconds: fail after this time.
    """
    end = time.monotonic() + seconds
    while True:
        ended = process is not None and process.poll() is not None
        if found := condition():
            return found
        assert not ended, f"the process ended with {process.returncode}: {_said_by(process)}"
        assert time.monotonic() < end, f"still not true after {seconds} s"
        time.sleep(0.05)


@contextmanager
def bounded(seconds: int = 60) -> Iterator[None]:
    """Fail where the block, which takes milliseconds, waits for a file that never begins."""

    def fail(*_):
        raise AssertionError(f"still waiting after {seconds} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _said_by(process: subprocess.Popen) -> str:
    """What it wrote to its standard error, where that is a pipe."""
    said = process.stderr.read() if process.stderr else ""
    return said if isinstance(said, str) else said.decode(errors="replace")
