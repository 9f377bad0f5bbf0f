"""The result of sampling, the abstract predictor and corrector, and the checks made at the start.

A scheme is one ``step`` over one ``Transition`` of the forward process; the loop that repeats it is
in ``loop.py``. A step is given its noise and never draws any.
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
    """The result of a sampler."""

    x: Tensor  # (B, ...) the samples, denoised if that was asked for
    x_mean: Tensor  # (B, ...) x before its last noise was added; equal to x where denoised
    nfe: int  # evaluations of the score for each sample, counted as they are made
    trajectory: Tensor | None  # (steps + 1, B, ...) from the prior to the last step, or None


class CountedScore:
    """A score function that counts its calls, expands the time to (B,) and checks the shape. Final.

    Raises InputError where the score does not have the shape of x.
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
    """One step of a solver of the reverse process, from time t to an earlier time s.

    Args:
        sde: the forward process.
        score_fn: (x (B, ...), t (1,)) -> the score, of the shape of x.
        probability_flow: take steps of the ODE, without noise. Raises InputError where the scheme
            has no such form.
    """

    stochastic = True  # whether ``step`` needs noise
    evaluations = 1  # of the score in one step
    reads_table = True  # whether ``step`` uses more of a transition than its times
    settings: tuple[str, ...] = ()  # keys of the section ``sampling`` that ``__init__`` takes
    steps = 1  # of the whole run, set by the loop before it starts

    def __init__(self, sde: SDE, score_fn: ScoreFn, *, probability_flow: bool = False):
        self.sde, self.score_fn = sde, score_fn
        self.score_weight = 0.5 if probability_flow else 1.0
        if probability_flow:
            self.stochastic = False

    def reset(self) -> None:
        """Prepare for a new batch. Multistep schemes forget their history here."""
        return None

    @abstractmethod
    def step(self, x: Tensor, transition: Transition, z: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return x at s, and its mean before noise.

        Args:
            x: the state at t, (B, ...).
            transition: from t to s, with fields (1,).
            z: standard normal noise of the shape of x; None where the scheme is not stochastic.
        """


class Corrector(ABC):
    """One step of a Markov chain that leaves the distribution p_t nearly unchanged.

    Args:
        snr: the signal-to-noise ratio r that sets the size of the step.
    """

    stochastic = True
    reads_table = True  # as of a predictor

    def __init__(self, sde: SDE, score_fn: ScoreFn, *, snr: float = 0.16):
        self.sde, self.score_fn, self.snr = sde, score_fn, snr

    @abstractmethod
    def step(self, x: Tensor, transition: Transition, z: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return x at t after one step, and its mean before noise; the arguments are as for
        ``Predictor.step``."""


def langevin_update(x: Tensor, score: Tensor, size: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Return x + h score + sqrt(2 h) z, one step of Langevin dynamics, and its mean.

    Args:
        size: h, (B,) or (1,).
    """
    x_mean = x + per_sample(size, x) * score
    return x_mean + per_sample((2 * size).sqrt(), x) * z, x_mean


def denoise(sde: SDE, score_fn: ScoreFn, x: Tensor, t: Tensor) -> Tensor:
    """Return E[x_0 | x_t] = (x + std^2 score) / scale (Tweedie), of the shape of x.

    Args:
        t: (1,) or (B,).
    """
    score = score_fn(x, t.to(x.dtype).expand(x.shape[0]))
    return (x + per_sample(sde.std(t) ** 2, x) * score) / per_sample(sde.scale(t), x)


def check_run(shape: tuple[int, ...], steps: int, eps: float, end: float = 1.0) -> None:
    """Raise InputError for a shape without a batch, steps < 1 or eps outside (0, end)."""
    if len(shape) < 2 or any(not isinstance(n, int) or n < 1 for n in shape):
        raise InputError(f"shape must be (count, *event) of positive whole numbers; got {shape}")
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise InputError(f"steps must be a whole number, at least 1; got {steps!r}")
    if not 0 < eps < end:
        raise InputError(f"eps, the time to stop at, must lie in (0, {end:g}); got {eps}")


def check_finite(x: Tensor, what: str) -> None:
    """Raise InputError where x is not finite; called once, at the end of a batch."""
    if not bool(torch.isfinite(x).all()):
        raise InputError(
            f"{what} gave values that are not finite: the score is not finite there, "
            "or the steps are too large"
        )
