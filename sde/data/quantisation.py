"""Quantisation of images: the real numbers that integer grey levels stand for."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from repro.errors import InputError


@dataclass(frozen=True)
class Quantisation:
    """Integer grey levels 0 to ``grey_levels`` - 1, spread evenly over [low, high].

    The cell of grey level k is [low + w k, low + w (k + 1)), w = (high - low) / grey_levels.
    Raises InputError unless low < high and there are at least 2 grey levels.
    """

    low: float
    high: float
    grey_levels: int = 256

    def __post_init__(self):
        if not (self.low < self.high and self.grey_levels >= 2):
            raise InputError(f"need low < high and at least 2 grey levels; got {self}")

    @property
    def offset_bits(self) -> float:
        """Return log2(grey_levels / (high - low)), in bits per dimension.

        Added to -log2 p(x) / D, the bits of the density, it gives the bits of the grey levels:
        at 256 grey levels it is 8 for [0, 1] and 7 for [-1, 1].
        """
        return math.log2(self.grey_levels / (self.high - self.low))

    def dequantise(self, level: Tensor, u: Tensor) -> Tensor:
        """Return low + w (level + u): a point in the cell of each grey level.

        Uniform dequantisation: the likelihood of the result bounds that of the grey levels
        (Theis et al. 2016, arXiv:1511.01844).

        Args:
            level: grey levels, any shape.
            u: uniform numbers on [0, 1), of that shape.

        Raises InputError for grey levels out of range.
        """
        in_range = self.holds_all_of(level.dtype)  # skips a check that waits for the device
        if not in_range and not bool(((level >= 0) & (level < self.grey_levels)).all()):
            raise InputError(f"grey levels must lie in 0..{self.grey_levels - 1}")
        return self.low + (self.high - self.low) * (level + u) / self.grey_levels

    def place(self, level: Tensor) -> Tensor:
        """Return low + (high - low) level / (grey_levels - 1): scaled without dequantisation, so
        that the first grey level is at ``low`` and the last at ``high``."""
        return self.low + (self.high - self.low) * level.float() / (self.grey_levels - 1)

    def holds_all_of(self, dtype: torch.dtype) -> bool:
        """Return whether every number of this type is a grey level, as bytes are for 256."""
        return dtype == torch.uint8 and self.grey_levels >= 256

    def quantise(self, x: Tensor) -> Tensor:
        """Return the grey level (long) whose cell holds x; values outside are clamped."""
        share = (x - self.low) / (self.high - self.low)
        return (share * self.grey_levels).floor().clamp(0, self.grey_levels - 1).long()
