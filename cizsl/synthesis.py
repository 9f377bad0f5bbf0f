"""Synthetic visual features of every class, from its text."""

from collections.abc import Iterator

import torch
from torch import Tensor

from cizsl.networks import Generator

BLOCK_ROWS = 2048


@torch.no_grad()
def in_blocks(
    generator: Generator, text_CV: Tensor, samples: int, rng: torch.Generator
) -> Iterator[Tensor]:
    """Yield ``samples`` features of each class, a few classes at a time: (c, samples, D).

    A block has about 2048 rows. The texts are projected once.
    """
    place = {"generator": rng, "device": text_CV.device}
    for rows in generator.project(text_CV).split(max(1, BLOCK_ROWS // samples)):
        z = torch.randn(len(rows) * samples, generator.noise_dim, **place)
        features = generator.decode(z.to(text_CV.dtype), rows.repeat_interleave(samples, dim=0))
        yield features.to(text_CV.dtype).unflatten(0, (len(rows), samples))


def synthesise(generator: Generator, text_CV: Tensor, samples: int, rng: torch.Generator) -> Tensor:
    """Return ``samples`` features of each class: (C, samples, D)."""
    return torch.cat(list(in_blocks(generator, text_CV, samples, rng)))


def prototypes(generator: Generator, text_CV: Tensor, samples: int, rng: torch.Generator) -> Tensor:
    """Return the mean of ``samples`` features of each class: (C, D); the samples are not kept."""
    return torch.cat([block.mean(1) for block in in_blocks(generator, text_CV, samples, rng)])
