"""Euler-Maruyama: the reverse SDE with its coefficients held constant over a step.

x_s = x_t - (f x_t - g^2 score) dt + g sqrt(dt) z,   dt = t - s        weak order 1
"""

from torch import Tensor

from sde.broadcast import per_sample
from sde.reverse import ReverseSDE
from sde.samplers.base import Predictor


class EulerMaruyama(Predictor):
    """Kloeden and Platen 1992, chapter 9, for eq. 6 of Song et al. 2021; with ``probability_flow``
    Euler's method for the ODE, eq. 13. Final."""

    reads_table = False

    def step(self, x, transition, z: Tensor):
        t, dt = transition.t, per_sample(transition.dt, x)
        reverse = ReverseSDE(self.sde, self.score_fn, self.score_weight)
        x_mean = x - reverse.drift(x, t) * dt
        if not self.stochastic:
            return x_mean, x_mean
        return x_mean + per_sample(reverse.diffusion(t), x) * dt.sqrt() * z, x_mean
