"""Reverse diffusion: the reverse process discretised in the way of the forward process.

Where the forward step is x_t = x_s + F(x_s) + std_ts z with F(x) = (scale_ts - 1) x, the reverse is

    x_s = x_t - F(x_t) + std_ts^2 score + std_ts z           (Song et al. 2021, eq. 46)

with half the score and no noise for the probability flow (eq. 47).
"""

from torch import Tensor

from sde.broadcast import per_sample
from sde.samplers.base import Predictor


class ReverseDiffusion(Predictor):
    """Song et al. 2021, appendix E; weak order 1. Final."""

    def step(self, x, transition, z: Tensor):
        variance = per_sample(self.score_weight * transition.std**2, x)
        x_mean = per_sample(2 - transition.scale, x) * x
        x_mean = x_mean + variance * self.score_fn(x, transition.t)
        if not self.stochastic:
            return x_mean, x_mean
        return x_mean + per_sample(transition.std, x) * z, x_mean
