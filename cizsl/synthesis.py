"""Synthetic visual features of every class, from its text."""

from collections.abc import Iterator

import torch
from torch import Tensor

from cizsl.networks import Generator

BLOCK_ROWS = 2048


@torch.no_grad()
def in_blocks(
    generator: Generator, text_CV: Tensor, samples: int, random: torch.Generator
) -> Iterator[Tensor]:
    """``samples`` features of each class, a few classes at a time: (c, samples, D), about 2048
    rows each. The texts are projected once."""
    place = {"generator": random, "device": text_CV.device}
    for rows in generator.project(text_CV).split(max(1, BLOCK_ROWS // samples)):
        z = torch.randn(len(rows) * samples, generator.noise_dim, **place)
        features = generator.decode(z.to(text_CV.dtype), rows.repeat_interleave(samples, dim=0))
        yield features.to(text_CV.dtype).unflatten(0, (len(rows), samples))


def synthesise(
    generator: Generator, text_CV: Tensor, samples: int, random: torch.Generator
) -> Tensor:
    """``samples`` features of each class: (C, samples, D)."""
    return torch.cat(list(in_blocks(generator, text_CV, samples, random)))


def pivots(generator: Generator, text_CV: Tensor, samples: int, random: torch.Generator) -> Tensor:
    """The mean of ``samples`` features of each class (C, D); the samples are not kept."""
    return torch.cat([block.mean(1) for block in in_blocks(generator, text_CV, samples, random)])
