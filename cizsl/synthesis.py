"""Synthetic visual features of every class, from its text."""

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

BLOCK_ROWS = 2048


class FeatureGenerator(Protocol):
    """What an evaluation needs of a generator: features of classes from their texts."""

    def blocks(self, text_CV: Tensor, samples: int, rng: torch.Generator) -> Iterator[Tensor]:
        """Yield ``samples`` features of each class, a few classes at a time: (c, samples, D).

        A block has about :data:`BLOCK_ROWS` rows.
        """
        ...


class DensityGenerator(FeatureGenerator, Protocol):
    """A generator that can also score features without samples."""

    def prototypes(self, text_CV: Tensor) -> Tensor:
        """Return the mean feature of each class, (C, D)."""
        ...

    def log_density(
        self, text_CV: Tensor, num_seen: int, rng: torch.Generator
    ) -> Callable[[Tensor], Tensor]:
        """Return a function from features (N, D) to log densities (N, C), up to a constant.

        The first ``num_seen`` classes are seen ones.
        """
        ...


@torch.no_grad()
def synthesise(
    generator: FeatureGenerator, text_CV: Tensor, samples: int, rng: torch.Generator
) -> Tensor:
    """Return ``samples`` features of each class: (C, samples, D)."""
    return torch.cat(list(generator.blocks(text_CV, samples, rng)))


@torch.no_grad()
def prototypes(
    generator: FeatureGenerator, text_CV: Tensor, samples: int, rng: torch.Generator
) -> Tensor:
    """Return the mean of ``samples`` features of each class: (C, D); the samples are not kept."""
    return torch.cat([block.mean(1) for block in generator.blocks(text_CV, samples, rng)])
