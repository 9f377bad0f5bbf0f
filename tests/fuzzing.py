"""Damaged files for fuzz tests, and a bound on what a reader may do with them.

`FUZZ_SECONDS` in the environment is the time for all fuzz tests of the suite together (default 20).
"""

import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from repro.errors import InputError

SECONDS = float(os.environ.get("FUZZ_SECONDS", "20"))
READERS = 27  # fuzz tests in the suite, between which the time is divided
MEMORY = 100e6  # bytes that reading a file of a few kilobytes may take

few_examples = settings(
    max_examples=max(10, int(2 * SECONDS)),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@st.composite
def damaged(draw, originals: list[bytes]) -> bytes:
    """One of the files with a few bytes changed, a piece cut out, doubled or set to one value."""
    content = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(0, len(content) - 1)))
        length = draw(st.sampled_from([1, 1, 2, 4, 8, 64]))
        piece = bytes(content[start : start + length])
        value = draw(st.sampled_from([b"\x00", b"\xff", b"\x7f", b"\x01"]) | st.binary(max_size=9))
        kind = draw(st.sampled_from(["replace", "fill", "cut", "double"]))
        new = {"replace": value, "fill": value[:1] * length, "cut": b"", "double": piece * 2}
        content[start : start + len(piece)] = new[kind]
    return bytes(content)


class Bounded:
    """Runs a reader on one file after another until its share of the time is over."""

    def __init__(self, folder: Path):
        self.folder, self.stop, self.refused = folder, None, 0

    def __call__(self, read: Callable[[], object]) -> object:
        """Return what is read, or None where an `InputError` of one line says what is wrong.

        Any other exception, and memory beyond `MEMORY`, fail the test.
        """
        now = time.monotonic()
        self.stop = self.stop or now + SECONDS / READERS
        if now > self.stop:
            return None
        tracemalloc.start()
        try:
            found = read()
        except InputError as error:
            assert "\n" not in str(error)
            self.refused += 1
            return None
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < MEMORY
        return found
