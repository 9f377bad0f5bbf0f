"""DDIM: Euler's method for the probability flow in variables in which it is nearly straight.

With y = x / scale and noise level r = std / scale, every linear process has dy/dr = noise(x, t),
noise = -std score. One Euler step, written in x,

    x_s = x_t / scale_ts + (std_s - std_t / scale_ts) noise         order 1

(Song, Meng and Ermon 2021, arXiv:2010.02502, eq. 12; exact where the data is one point).
"""

from torch import Tensor

from sde.broadcast import per_sample
from sde.processes import Transition
from sde.samplers.base import Predictor


class DDIM(Predictor):
    """One evaluation per step; deterministic. Final."""

    stochastic = False

    def step(self, x, transition, z):
        noise = predicted_noise(self.score_fn, x, transition.t, transition.std_t)
        x = move_along(noise, x, transition)
        return x, x


def predicted_noise(score_fn, x: Tensor, t: Tensor, std: Tensor) -> Tensor:
    """Return -std score(x, t), of the shape of x."""
    return -per_sample(std, x) * score_fn(x, t)


def move_along(noise: Tensor, x: Tensor, transition: Transition) -> Tensor:
    """Return x at s from x at t, with the predicted noise held constant over the transition."""
    change = transition.std_s - transition.std_t / transition.scale
    return x / per_sample(transition.scale, x) + per_sample(change, x) * noise
