r"""Training of the denoiser's correction by denoising score matching.

A step draws features and conditions (:mod:`cizsl.score.virtual_classes`), noise levels s uniform in
log s, and lowers

    E (1 + s^2) / s^2  |D(x_0 + s z; s, c) - x_0|^2 / r

(1 + s^2) / s^2 is 1 / c_out^2: the network's target has unit variance at every noise level. Large
ones count as much as small ones, since there the class is decided. A share of the rows has the null
condition. What is sampled is the exponential moving average of the weights.

Source: Vincent (2011); Karras et al. (arXiv:2206.00364), section 5, for the weights.
"""

import copy
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from cizsl.score.denoiser import EPS, PROCESS, Condition, Denoiser, as_score
from cizsl.score.generator import ScoreGenerator
from cizsl.score.virtual_classes import batch
from repro import optimisers
from sde.ema import EMA
from sde.losses import denoising_score_matching, importance_times

DECAY = 0.999  # of the moving average


class ScoreSteps:
    """The steps of one training, and everything that a checkpoint needs of them.

    Iteration 0 measures the loss and changes nothing, so that an evaluation after it is one of the
    Gaussian generator.

    Args:
        generator: whose denoiser is trained; it holds the moving average of the weights.
        batch_size: rows of a step.
        learning_rate: Adam's.
        virtual: whether to train on virtual classes, in the place of the seen ones.
        null_share: share of the rows with the null condition.
        rng: random numbers of all draws.
    """

    stride, whole = 1, False

    def __init__(
        self,
        generator: ScoreGenerator,
        *,
        batch_size: int,
        learning_rate: float,
        virtual: bool,
        null_share: float,
        rng: torch.Generator,
    ):
        self.generator, self.rng = generator, rng
        self.batch_size, self.virtual, self.null_share = batch_size, virtual, null_share
        self.denoiser = copy.deepcopy(generator.denoiser)
        self.average = EMA(self.denoiser, DECAY)
        generator.denoiser = cast(Denoiser, self.average.module)
        self.optimiser = torch.optim.Adam(self.denoiser.parameters(), learning_rate)

    def step(self, iteration: int, position: int = 0) -> dict[str, Tensor]:
        """Take one step, unless ``iteration`` is 0; return the loss by name."""
        x0, condition = batch(self.generator.training_set, self.batch_size, self.virtual, self.rng)
        u, null = torch.rand(2, len(x0), generator=self.rng, device=x0.device)
        z = torch.randn(x0.shape, generator=self.rng, device=x0.device)
        condition = condition.where((null >= self.null_share)[:, None].float())
        value = loss(self.denoiser, x0, condition, importance_times(PROCESS, u, EPS), z)
        if iteration:
            self.optimiser.zero_grad()
            value.backward()
            self.optimiser.step()
            self.average.update_parameters(self.denoiser)
        return {"denoising": value.detach()}

    def modules(self) -> dict[str, nn.Module]:
        """Return the networks by name."""
        return {"denoiser": self.denoiser}

    def state_dict(self) -> dict:
        """Return the state of networks, optimiser and random numbers."""
        return {
            "denoiser": self.denoiser.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng": self.rng.get_state(),
        }

    def load_state_dict(self, state: dict) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.denoiser.load_state_dict(state["denoiser"])
        self.average.load_state_dict(state["average"])
        optimisers.restore(self.optimiser, state["optimiser"])
        self.rng.set_state(state["rng"].cpu())


def loss(denoiser: Denoiser, x0: Tensor, condition: Condition, t: Tensor, z: Tensor) -> Tensor:
    """Return the loss of the module's equation: x_0, z (B, r), t (B,) -> ()."""

    def score(x: Tensor, t: Tensor) -> Tensor:
        return as_score(partial(denoiser, c=condition), x, t)

    matched = denoising_score_matching(PROCESS, score, x0, t, z)  # |D - x_0|^2 / s^2
    return ((1 + PROCESS.noise_ratio(t).square()) * matched.per_sample).mean()
