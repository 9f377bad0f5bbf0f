"""Quantisation: what the whole numbers of a data set stand for."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from repro.errors import InputError


@dataclass(frozen=True)
class Quantisation:
    """What the numbers in a data set stand for: ``levels`` whole levels spread over [low, high].

    Level k, dequantised, fills [low + (high - low) k / levels, one level further).
    """

    low: float
    high: float
    levels: int = 256

    def __post_init__(self):
        if not (self.low < self.high and self.levels >= 2):
            raise InputError(f"need low < high and at least 2 levels; got {self}")

    @property
    def offset_bits(self) -> float:
        """Bits per dimension to add to -log2 p(x) / D for the density over levels:
        log2(levels / (high - low)), 8 for [0, 1] and 7 for [-1, 1] at 256 levels."""
        return math.log2(self.levels / (self.high - self.low))

    def dequantise(self, level: Tensor, u: Tensor) -> Tensor:
        """Level k in 0..levels-1 (any shape) with u uniform on [0, 1), its shape, to [low, high).

        Uniform dequantisation: the likelihood of the result bounds that of the levels
        (Theis et al. 2016, arXiv:1511.01844). Raises InputError for levels out of range.
        """
        in_range = self.holds_all_of(level.dtype)  # then the device is not asked, nor waited for
        if not in_range and not bool(((level >= 0) & (level < self.levels)).all()):
            raise InputError(f"levels must lie in 0..{self.levels - 1}")
        return self.low + (self.high - self.low) * (level + u) / self.levels

    def place(self, level: Tensor) -> Tensor:
        """Level k without dequantisation, low + (high - low) k / (levels - 1), both ends taken."""
        return self.low + (self.high - self.low) * level.float() / (self.levels - 1)

    def holds_all_of(self, dtype: torch.dtype) -> bool:
        """Whether every number of this type is a level, as every byte is one of 256."""
        return dtype == torch.uint8 and self.levels >= 256

    def quantise(self, x: Tensor) -> Tensor:
        """The level (long) whose cell holds x, the ends clamped."""
        share = (x - self.low) / (self.high - self.low)
        return (share * self.levels).floor().clamp(0, self.levels - 1).long()
