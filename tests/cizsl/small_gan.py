"""Small networks with every bias, and a GAN of them."""

import torch

from cizsl import creativity
from cizsl.batches import Hallucination
from cizsl.divergences import DivergenceParameters
from cizsl.gan import GAN
from cizsl.losses import Weights
from cizsl.networks import Discriminator, Generator
from tests.helpers.oracles import PUBLISHED_WEIGHTS

B, D, H, C, V, R, Z = 24, 9, 13, 5, 17, 6, 4


def networks(extra=0):
    """Networks with non-zero biases, so that a forgotten bias shows."""
    pair = Generator(V, D, Z, R, H), Discriminator(D, C + extra, H)
    for module in pair:
        for name, parameter in module.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=0.3)
    return pair


def draw_hallucination():
    pair = torch.randint(C, (2, B))
    return Hallucination(*pair, 0.2 + 0.6 * torch.rand(B), torch.randn(B, Z))


def gan(generator, discriminator, divergence=None):
    text = torch.rand(C, V)
    text[2] = 0  # a class without text, as in the real data
    text = torch.nn.functional.normalize(text, dim=1)
    return GAN(
        generator,
        discriminator,
        DivergenceParameters(0.5, 0.6),
        features=torch.randn(60, D),
        labels=torch.randint(C, (60,)),
        text=text,
        centroids=torch.randn(C, D),
        weights=Weights(**PUBLISHED_WEIGHTS | {"pivot": 1.3, "classification": 0.8}),
        creativity=creativity.resolve(divergence or "none", "exact"),
    )


def assert_same(ours, plain, tolerance=1e-10):
    for (name, mine), (_, theirs) in zip(
        ours.named_parameters(), plain.named_parameters(), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance, msg=name)
