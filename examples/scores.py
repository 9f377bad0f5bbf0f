"""Data, training loop and statistics shared by the questions on scores.

The loop is minimal: Adam, a learning rate that decreases linearly to zero (instead of the average
of the weights that ``sde train`` keeps), and gradients clipped to norm one.
"""

import math
import statistics
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from repro.seeding import generator, seed_everything
from sde import losses
from sde.analytic import Mixture
from sde.networks import MLP
from sde.processes import SDE
from sde.reverse import ScoreFn
from sde.score import score_fn

# three unlike Gaussians in the plane, deviations 0.11 to 0.18: what all models below are to learn
DATA = Mixture(
    torch.tensor([[0.70, 0.35], [-0.56, 0.21], [0.07, -0.77]]),
    torch.stack(
        [
            torch.tensor([[0.025, 0.010], [0.010, 0.015]]),
            0.0125 * torch.eye(2),
            0.03 * torch.eye(2),
        ]
    ),
    torch.tensor([0.5, 0.3, 0.2]),
)
TRAINING, HELD_OUT, SAMPLING, MEASURING = range(4)  # streams of random numbers

# (x0 (B, D), u (B,) uniform on [0, 1), z like x0) -> loss ()
LossFn = Callable[[Tensor, Tensor, Tensor], Tensor]


def perceptron(seed: int, hidden_dim: int = 64, depth: int = 2, outputs: int | None = None) -> MLP:
    """Return the network of all questions, for points of the plane, with seeded weights."""
    seed_everything(seed)
    return MLP(2, hidden_dim=hidden_dim, depth=depth, outputs=outputs)


def score_of(sde: SDE, network: nn.Module) -> ScoreFn:
    """Return the score of a network in the parametrisation that all questions share."""
    return score_fn(sde, network, prediction="denoised", conditioning="log_noise")


def continuous_loss(sde: SDE, network: nn.Module) -> LossFn:
    """Denoising score matching over a continuum of times, weighted by the variance."""
    score = score_of(sde, network)

    def loss(x0: Tensor, u: Tensor, z: Tensor) -> Tensor:
        return losses.denoising_score_matching(sde, score, x0, losses.uniform_times(u), z).loss

    return loss


def train(
    network: nn.Module,
    loss: LossFn,
    data: Mixture,
    iterations: int,
    seed: int,
    *,
    batch_size: int = 256,
    learning_rate: float = 5e-3,
    watch: Callable[[int], None] | None = None,
) -> nn.Module:
    """Train on fresh draws of ``data`` and return the network; ``watch(i)`` is called after i
    iterations."""
    stream = generator(seed, "cpu", TRAINING)
    optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate, fused=True)
    fade = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, iterations)
    for i in range(iterations):
        x0 = data.sample(batch_size, stream)
        u = torch.rand(batch_size, generator=stream)
        z = torch.randn(x0.shape, generator=stream)
        optimiser.zero_grad()
        loss(x0, u, z).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        fade.step()
        if watch is not None:
            watch(i + 1)
    return network.requires_grad_(False)


def score_error(score: ScoreFn, data: Mixture, sde: SDE, x: Tensor, t: Tensor) -> float:
    """Mean over x (B, D) of std(t)^2 |score - true score|^2 / D at times t (B,)."""
    gap = sde.std(t)[:, None] * (score(x, t) - data.score(x, sde, t))
    return (gap.detach() ** 2).mean().item()


def spread(values: Iterable[float], digits: int = 3) -> str:
    """Return "mean ± standard deviation" over seeds."""
    values = list(values)
    deviation = statistics.stdev(values) if len(values) > 1 else math.nan
    return f"{statistics.fmean(values):.{digits}f} ± {deviation:.{digits}f}"
