"""Ancestral sampling: a draw from a Gaussian approximation of p(x_s | x_t).

    mean      (x_t + std_ts^2 score) / scale_ts      = E[x_s | x_t], exactly (Tweedie)
    variance  std_ts^2 std_s^2 / std_t^2             that of x_s given x_t and x_0

(Song et al. 2021, eq. 4 and 47-48; arXiv:2006.11239). It needs the transition alone, so it holds
for all three processes. On the published grid of DDPM the variance is beta, the larger of the two
choices of arXiv:2006.11239.
"""

from torch import Tensor

from repro.errors import InputError
from sde.broadcast import per_sample
from sde.samplers.base import Predictor


class Ancestral(Predictor):
    """Weak order 1. Raises InputError with ``probability_flow``: it has no such form. Final."""

    def __init__(self, sde, score_fn, *, probability_flow=False):
        if probability_flow:
            raise InputError(
                f"ancestral cannot follow the probability flow of {type(sde).__name__}: it draws "
                "noise at every step; use euler_maruyama, reverse_diffusion or a solver"
            )
        super().__init__(sde, score_fn)

    def step(self, x, transition, z: Tensor):
        score = self.score_fn(x, transition.t)
        x_mean = (x + per_sample(transition.std**2, x) * score) / per_sample(transition.scale, x)
        return x_mean + per_sample(transition.ancestral_std, x) * z, x_mean
