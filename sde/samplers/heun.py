"""Heun's method for the probability flow, in the variables of ``ddim``.

    x'  = x_s along noise(x_t, t)
    x_s = x_s along (noise(x_t, t) + noise(x', s)) / 2                order 2

(Karras et al. 2022, arXiv:2206.00364, algorithm 1, without churn, for all linear processes.)
"""

from sde.samplers.base import Predictor
from sde.samplers.ddim import move_along, predicted_noise


class Heun(Predictor):
    """Two evaluations per step; deterministic. Final."""

    stochastic = False
    evaluations = 2

    def step(self, x, transition, z):
        noise = predicted_noise(self.score_fn, x, transition.t, transition.std_t)
        guess = move_along(noise, x, transition)
        noise_there = predicted_noise(self.score_fn, guess, transition.s, transition.std_s)
        x = move_along(0.5 * (noise + noise_there), x, transition)
        return x, x
