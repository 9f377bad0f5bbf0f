"""Adams-Bashforth methods for the probability flow, of orders 2 to 4.

With y = x / scale and r = std / scale every linear process has dy/dr = noise(x, t) (``ddim``). The
noise is nearly a polynomial in u = log r, so the last k predictions are interpolated in u and the
integral over r is taken exactly,

    y_s = y_t + sum_j W_j noise_j,   W_j = int exp(u) l_j(u) du   from log r_t to log r_s,

where l_j are the Lagrange polynomials of the last k values of u. In r itself, in which the steps of
usual grids grow geometrically, the extrapolation is worse. Steps may have any lengths. The first
step is that of ``ddim``, of order 1, and the order rises by one at every step. Hence the whole run
is of order 2, with a constant that vanishes where D = E[x_0 | x_t] does not change in the first
steps, as at large noise. This is an exponential integrator of Zhang and Chen (2023,
arXiv:2204.13902, section 3), who interpolate in t or r.
"""

import numpy as np
import torch
from torch import Tensor

from sde.broadcast import per_sample
from sde.samplers.base import Predictor
from sde.samplers.ddim import predicted_noise

# Gauss-Legendre rule on [0, 1]; its error is below rounding for steps up to a factor of 20 in r
NODES, WEIGHTS = (
    (np.polynomial.legendre.leggauss(8)[0] + 1) / 2,
    np.polynomial.legendre.leggauss(8)[1] / 2,
)


class AdamsBashforth(Predictor):
    """One evaluation per step; deterministic; remembers ``order`` predictions. Abstract."""

    stochastic = False
    order: int

    def reset(self):
        self.history: list[tuple[Tensor, Tensor]] = []  # log r (1,) and noise, last first

    def step(self, x, transition, z):
        noise = predicted_noise(self.score_fn, x, transition.t, transition.std_t)
        start = self.sde.noise_ratio(transition.t).log()
        self.history = [(start, noise), *self.history][: self.order]
        places = torch.cat([place for place, _ in self.history])
        weights = integrated_polynomials(places, self.sde.noise_ratio(transition.s).log())
        weights = weights * self.sde.scale(transition.s)
        x = x / per_sample(transition.scale, x)
        for weight, (_, noise) in zip(weights, self.history, strict=True):
            x = x + per_sample(weight, x) * noise
        return x, x


class AdamsBashforth2(AdamsBashforth):
    """Order 2. Final."""

    order = 2


class AdamsBashforth3(AdamsBashforth):
    """Order 3 after two steps of lower order. Final."""

    order = 3


class AdamsBashforth4(AdamsBashforth):
    """Order 4 after three steps of lower order. Final."""

    order = 4


def integrated_polynomials(places: Tensor, end: Tensor) -> Tensor:
    """Return int exp(u) l_j(u) du from places[0] to ``end``, (k,), for the Lagrange polynomials l_j
    of ``places`` (k,)."""
    length = end - places[0]
    u = places[0] + length * _constants(NODES, length)
    measure = length * _constants(WEIGHTS, length) * u.exp()
    found = []
    for j, place in enumerate(places):
        others = torch.cat([places[:j], places[j + 1 :]])
        lagrange = ((u[:, None] - others) / (place - others)).prod(1)
        found.append((measure * lagrange).sum())
    return torch.stack(found)


def _constants(values: np.ndarray, like: Tensor) -> Tensor:
    """Numbers on the device of ``like`` (1,), where a copy from the host would wait for it."""
    return torch.cat([torch.full_like(like, float(value)) for value in values])
