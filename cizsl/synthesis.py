"""Synthetic visual features of every class, from its text."""

import torch
from torch import Tensor

from cizsl.networks import Generator

BLOCK_ROWS = 2048


@torch.no_grad()
def synthesise(
    generator: Generator, text_CV: Tensor, samples: int, random: torch.Generator
) -> Tensor:
    """``samples`` features of each class: (C, samples, D).

    The texts are projected once, and classes are decoded in blocks of about 2048 rows.
    """
    projected = generator.project(text_CV)
    place = {"generator": random, "device": text_CV.device}
    blocks = []
    for rows in projected.split(max(1, BLOCK_ROWS // samples)):
        z = torch.randn(len(rows) * samples, generator.noise_dim, **place)
        features = generator.decode(z.to(text_CV.dtype), rows.repeat_interleave(samples, dim=0))
        blocks.append(features.to(text_CV.dtype).unflatten(0, (len(rows), samples)))
    return torch.cat(blocks)
