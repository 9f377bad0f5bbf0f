"""GANs trained on the toy birds, shared by the questions on hallucinated text.

Every bird here is invented by ``cizsl.prepare.toy_birds``. Settings are
``configs/cizsl/toy/toy_corrected.yaml``, the exact divergence and the strict protocol, for a fixed
number of iterations. Nothing is selected, and the unseen classes are evaluated once at the end.
"""

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from cizsl import build
from cizsl.config import CIZSLConfig
from cizsl.data.birds import load_birds
from cizsl.data.dataset import ZSLData
from cizsl.evaluate import Evaluation
from cizsl.gan import GAN
from cizsl.hallucination import distinct_pairs
from cizsl.prepare.toy_birds import make_toy
from cizsl.protocols import ZSLTask, strict_test_task
from cizsl.training.evaluation import measure
from repro.config import load
from repro.seeding import generator

CONFIG = Path(__file__).parents[1] / "configs" / "cizsl" / "toy" / "toy_corrected.yaml"
CPU = torch.device("cpu")
METHODS = {
    "GAZSL": ["creativity.divergence=none"],
    "weight 0": ["creativity.weight=0"],  # the adversarial term on hallucinated text alone
    "CIZSL": ["creativity.weight=0.1"],
    "weight 3": ["creativity.weight=3"],
    "weight 10": ["creativity.weight=10"],
}
MEASURING = 9  # a stream of random numbers, apart from those of cizsl.build


@dataclass(frozen=True, eq=False)
class Bird:
    """One trained model and the task that it was trained on."""

    gan: GAN
    task: ZSLTask
    config: CIZSLConfig
    evaluation: Evaluation  # on the unseen classes, after the last iteration

    @torch.no_grad()
    def posterior(self, z: Tensor, text: Tensor) -> Tensor:
        """p(class | G(z, text)) by the discriminator's own head: (B, C) for text (B, V)."""
        return self.gan.discriminator(self.features(z, text))[1].softmax(1)

    @torch.no_grad()
    def features(self, z: Tensor, text: Tensor) -> Tensor:
        """Synthetic features (B, D) of texts (B, V)."""
        return self.gan.generator(z, text)

    def noise(self, count: int, stream: torch.Generator) -> Tensor:
        """z (count, Z)."""
        return torch.randn(count, self.gan.generator.noise_dim, generator=stream)


@cache
def data(split: str) -> ZSLData:
    """Return the CUB-like toy birds, made in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        make_toy(folder)
        return load_birds(folder, "CUB", split)


@cache
def train(method: str, split: str, seed: int, iterations: int) -> Bird:
    """Train ``method`` (a key of ``METHODS``) and evaluate it once."""
    config = load(CONFIG, CIZSLConfig, [f"seed={seed}", f"data.split={split}", *METHODS[method]])
    birds, settings = data(split), config.evaluation
    task = strict_test_task(
        birds, config.data.normalisation, CPU, settings.heldout_share, settings.validation_seed
    )
    gan, sampler = build.gan(config, task), build.sampler(config, task)
    for _ in range(iterations):
        for _ in range(config.optimiser.critic_steps):
            gan.critic_step(sampler.critic_batch(gan.teaches_critic))
        gan.generator_step(sampler.generator_batch(gan.hallucinates))
    return Bird(gan, task, config, measure(config, gan.generator, task, iterations))


def pairs(task: ZSLTask, count: int, seed: int) -> tuple[Tensor, Tensor, torch.Generator]:
    """Two different seen classes (count,) each, and the stream to draw more from."""
    stream = generator(seed, CPU, MEASURING)
    classes = torch.arange(len(task.seen_text))
    return *distinct_pairs(classes, count, stream), stream
