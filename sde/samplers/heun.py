"""Heun's method for the probability flow in the variables of ``ddim``; EDM's stochastic sampler.

    x'  = x_s along noise(x_t, t)
    x_s = x_s along (noise(x_t, t) + noise(x', s)) / 2                order 2

(Karras et al. 2022, arXiv:2206.00364, algorithm 1, for all linear processes.) The stochastic
sampler (algorithm 2) first moves back to a larger noise level by drawing noise of the forward
process,

    r_up = r_t (1 + gamma),   gamma = min(churn / steps, sqrt(2) - 1) where low <= r_t <= high
    x_up = scale_up / scale_t x_t + churn_noise std_up,t z,   r = std / scale

(gamma = 0 elsewhere), and then takes Heun's step from there to s. With churn_noise = 1 the law of
x_up is p_up exactly, so that the weak order is 2. r_up is at most the noise level at ``end_time``.
"""

import math

import torch
from torch import Tensor

from sde.broadcast import per_sample
from sde.processes import Transition
from sde.samplers.base import Predictor
from sde.samplers.ddim import move_along, predicted_noise


class Heun(Predictor):
    """Two evaluations per step; deterministic. Final."""

    stochastic = False
    evaluations = 2

    def step(self, x, transition, z):
        x = heun_step(self.score_fn, x, transition)
        return x, x


class EDM(Predictor):
    """Two evaluations per step; stochastic. Final.

    Args:
        churn: S_churn of the paper, the noise added over all steps; 0 is Heun's method.
        churn_low, churn_high: S_tmin and S_tmax, the range of r = std / scale in which it is added.
        churn_noise: S_noise, a factor of the noise.
    """

    evaluations = 2
    settings = ("churn", "churn_low", "churn_high", "churn_noise")

    def __init__(
        self,
        sde,
        score_fn,
        *,
        churn: float = 10.0,
        churn_low: float = 0.01,
        churn_high: float = 50.0,
        churn_noise: float = 1.0,
    ):
        super().__init__(sde, score_fn)
        self.churn, self.low, self.high, self.noise = churn, churn_low, churn_high, churn_noise

    def step(self, x, transition, z: Tensor):
        up = self.noisier(transition.t)
        scale, std = self.sde.transition(transition.t, up)
        x = per_sample(scale, x) * x + self.noise * per_sample(std, x) * z
        x = heun_step(self.score_fn, x, self.sde.interval(transition.s, up))
        return x, x

    def noisier(self, t: Tensor) -> Tensor:
        """Return the time at which r is (1 + gamma) times that of t, both (1,)."""
        ratio = self.sde.noise_ratio(t)
        gamma = min(self.churn / self.steps, math.sqrt(2) - 1)
        up = self.sde.inverse_noise_ratio(ratio * (1 + gamma)).clamp(max=self.sde.end_time)
        inside = (ratio >= self.low) & (ratio <= self.high)
        return torch.where(inside, torch.maximum(up, t), t)


def heun_step(score_fn, x: Tensor, transition: Transition) -> Tensor:
    """Return x at s from x at t, (B, ...), by one step of Heun's method."""
    noise = predicted_noise(score_fn, x, transition.t, transition.std_t)
    guess = move_along(noise, x, transition)
    noise_there = predicted_noise(score_fn, guess, transition.s, transition.std_s)
    return move_along(0.5 * (noise + noise_there), x, transition)
