"""Synthetic visual features of every class, from its text."""

from collections.abc import Iterator
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
