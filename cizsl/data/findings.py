"""Findings: what is wrong with a data file, one line each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

Problems = Iterator[tuple[str, str, str]]  # level, role, message


@dataclass(frozen=True)
class Finding:
    """One line of a report: `level` "error" (`load_birds` refuses) or "note" (it loads anyway)."""

    level: str
    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.level}: {self.file}: {self.message}"


def few(values: np.ndarray) -> str:
    """The first five, and how many more there are."""
    more = f" and {len(values) - 5} more" if len(values) > 5 else ""
    return ", ".join(map(str, values[:5])) + more
