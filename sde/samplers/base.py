"""What every sampler shares: its result, its parts, and the checks made before it starts.

A scheme is one ``step`` on one ``Transition`` of the forward process; the loop is in ``loop.py``.
Noise is handed to a step, never drawn in it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from repro.errors import InputError
from sde.broadcast import per_sample
from sde.processes import SDE, Transition
from sde.reverse import ScoreFn


@dataclass(frozen=True)
class Samples:
    """What a sampler returns."""

    x: Tensor  # (B, ...) the samples: denoised where that was asked for
    x_mean: Tensor  # (B, ...) before the last noise was added; equal to x where denoised
    nfe: int  # evaluations of the score per sample, counted where they are made
    trajectory: Tensor | None  # (steps + 1, B, ...) from the prior down, or None


class CountedScore:
    """A score function as the loop calls it: any (1,) or (B,) time, counted, shape checked. Final.

    Raises InputError where the score is not of x's shape.
    """

    def __init__(self, score_fn: ScoreFn):
        self.score_fn = score_fn
        self.calls = 0

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.calls += 1
        score = self.score_fn(x, t.to(x.dtype).expand(x.shape[0]))
        if score.shape != x.shape:
            raise InputError(
                f"the score has shape {tuple(score.shape)}, the state {tuple(x.shape)}: "
                "check the channels and the event shape"
            )
        return score


class Predictor(ABC):
    """One step of a solver of the reverse process, from time t to s."""

    name: str
    stochastic = True  # whether step wants noise
    evaluations = 1  # of the score in a step

    def __init__(self, sde: SDE, score_fn: ScoreFn, *, probability_flow: bool = False):
        """``probability_flow`` makes the step one of the ODE; raises InputError if it has none."""
        self.sde, self.score_fn = sde, score_fn
        self.score_weight = 0.5 if probability_flow else 1.0
        if probability_flow:
            self.stochastic = False

    def reset(self) -> None:
        """Forget the last batch. Only multistep schemes remember anything."""
        return None

    @abstractmethod
    def step(self, x: Tensor, transition: Transition, z: Tensor | None) -> tuple[Tensor, Tensor]:
        """(x at s, its mean before noise) from x (B, ...) at t and noise z of its shape, or None
        where the scheme is not stochastic."""


class Corrector(ABC):
    """One step of a Markov chain that leaves p_t roughly alone."""

    name: str
    stochastic = True

    def __init__(self, sde: SDE, score_fn: ScoreFn, *, snr: float = 0.16):
        self.sde, self.score_fn, self.snr = sde, score_fn, snr

    @abstractmethod
    def step(self, x: Tensor, transition: Transition, z: Tensor | None) -> tuple[Tensor, Tensor]:
        """(x at t, its mean before noise) from x (B, ...) at t and noise z of its shape."""


def langevin_update(x: Tensor, score: Tensor, size: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """One step of Langevin dynamics, x + h score + sqrt(2 h) z, and its mean; h is (B,) or (1,)."""
    x_mean = x + per_sample(size, x) * score
    return x_mean + per_sample((2 * size).sqrt(), x) * z, x_mean


def denoise(sde: SDE, score_fn: ScoreFn, x: Tensor, t: Tensor) -> Tensor:
    """E[x_0 | x_t] = (x + std^2 score) / scale (Tweedie), the shape of x; t is (1,) or (B,)."""
    score = score_fn(x, t.to(x.dtype).expand(x.shape[0]))
    return (x + per_sample(sde.std(t) ** 2, x) * score) / per_sample(sde.scale(t), x)


def choose(registry: dict, name: str, kind: str):
    """registry[name], or InputError with the names there are."""
    if name not in registry:
        raise InputError(f"unknown {kind} {name!r}: choose from {', '.join(registry)}")
    return registry[name]


def check_run(shape, steps: int, eps: float) -> None:
    """Raise InputError for a shape without a batch, steps < 1 or eps outside (0, 1)."""
    if len(shape) < 2 or any(not isinstance(n, int) or n < 1 for n in shape):
        raise InputError(f"shape must be (count, *event) of positive whole numbers; got {shape}")
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise InputError(f"steps must be a whole number, at least 1; got {steps!r}")
    if not 0 < eps < 1:
        raise InputError(f"eps, the time to stop at, must lie in (0, 1); got {eps}")


def check_finite(x: Tensor, what: str) -> None:
    """Raise InputError where x is not finite: one look, at the end of a batch."""
    if not bool(torch.isfinite(x).all()):
        raise InputError(
            f"{what} gave values that are not finite: the score is not finite there, "
            "or the steps are too large"
        )
