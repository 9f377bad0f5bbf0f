"""Findings: faults of data files, one line each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

Problems = Iterator[tuple[str, str, str]]  # level, role, message


@dataclass(frozen=True)
class Finding:
    """A fault of a file; level "error": the reader refuses the file, "note": it does not."""

    level: str
    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.level}: {self.file}: {self.message}"


def few(values: np.ndarray) -> str:
    """Return the first five values, and how many more there are."""
    more = f" and {len(values) - 5} more" if len(values) > 5 else ""
    return ", ".join(map(str, values[:5])) + more
