"""DPM-Solver++: multistep exponential integration of the denoised prediction D = E[x_0 | x_t].

With h = log(r_t / r_s), r = std / scale, and D as a function of u, the distance from t in log r,

    ODE:  x_s = (std_s / std_t) x_t + scale_s int_0^h exp(u - h) D(u) du
    SDE:  x_s = (std_s / std_t) exp(-h) x_t + 2 scale_s int_0^h exp(2 (u - h)) D(u) du
                + std_s sqrt(1 - exp(-2 h)) z

D(u) is extrapolated from the predictions of earlier steps, of lengths h_1 (last) and h_2:

    2M, 2M SDE   D(u) = D_t + D' h / 2,   D' = (D_t - D_1) / h_1        constant over the step
    3M           the parabola through D_t, D_1, D_2, integrated exactly

(Lu et al. 2022, arXiv:2211.01095, section 4 and algorithm 2.) The first steps have lower orders, as
published; so a run of 3M is of order 2 with a constant that vanishes where D does not change in the
first steps. The published code of 3M halves the term of the parabola's curvature, which makes the
formula itself of order 2; here the term is whole. The SDE form has weak order 2 on Gaussians: D is
a martingale of the reverse SDE, so the extrapolation adds no trend, but the correlation of D with
the noise of a step, one step late.

Here P = scale_t D is stored, which needs the transition alone: scale_s / scale_t = 1 / scale_ts.
"""

import torch
from torch import Tensor

from sde.broadcast import per_sample
from sde.processes import Transition
from sde.samplers.base import Predictor


class DPMSolverPP(Predictor):
    """One evaluation per step; remembers earlier predictions and step lengths. Abstract."""

    stochastic = False
    memory = 1  # earlier predictions

    def reset(self):
        self.history: list[tuple[Tensor, Tensor]] = []  # P and h of earlier steps, last first

    def remember(self, prediction: Tensor, h: Tensor, scale: Tensor) -> None:
        """Add P at t (B, ...) and h (1,); multiply all P by scale_s / scale_t = 1 / scale."""
        entries = [(prediction, h), *self.history][: self.memory]
        self.history = [(each / scale, length) for each, length in entries]

    def predict(self, x: Tensor, transition: Transition) -> tuple[Tensor, Tensor]:
        """Return P at t, the shape of x, and exp(-h), (1,)."""
        variance = per_sample(transition.std_t**2, x)
        prediction = x + variance * self.score_fn(x, transition.t)
        return prediction, transition.scale * transition.std_s / transition.std_t

    def extrapolate(self, prediction: Tensor, h: Tensor) -> Tensor:
        """Return P at the middle of a step of length h from a straight line, the shape of P."""
        if not self.history:
            return prediction
        before, h_before = self.history[0]
        return prediction + per_sample(h / (2 * h_before), prediction) * (prediction - before)


class DPMSolverPP2M(DPMSolverPP):
    """Deterministic, order 2. Final."""

    def step(self, x, transition, z):
        scale = per_sample(transition.scale, x)
        prediction, ratio = self.predict(x, transition)
        h = -ratio.log()
        extrapolated = self.extrapolate(prediction, h)
        self.remember(prediction, h, scale)
        x = per_sample(transition.std_s / transition.std_t, x) * x
        x = x + per_sample(1 - ratio, x) / scale * extrapolated
        return x, x


class DPMSolverPP2MSDE(DPMSolverPP):
    """Stochastic, weak order 2 on Gaussians; exact where D is constant. Final."""

    stochastic = True

    def step(self, x, transition, z: Tensor):
        scale = per_sample(transition.scale, x)
        prediction, ratio = self.predict(x, transition)
        h = -ratio.log()
        extrapolated = self.extrapolate(prediction, h)
        self.remember(prediction, h, scale)
        fresh = -torch.expm1(-2 * h)  # share of the variance that is drawn anew
        x_mean = per_sample(ratio * transition.std_s / transition.std_t, x) * x
        x_mean = x_mean + per_sample(fresh, x) / scale * extrapolated
        return x_mean + per_sample(transition.std_s * fresh.sqrt(), x) * z, x_mean


class DPMSolverPP3M(DPMSolverPP):
    """Deterministic, order 3 after its first two steps, of orders 1 and 2. Final."""

    memory = 2

    def step(self, x, transition, z):
        scale = per_sample(transition.scale, x)
        prediction, ratio = self.predict(x, transition)
        h = -ratio.log()
        change = self.change(prediction, h)
        self.remember(prediction, h, scale)
        x = per_sample(transition.std_s / transition.std_t, x) * x
        return (x := x + change / scale), x

    def change(self, prediction: Tensor, h: Tensor) -> Tensor:
        """Return int_0^h exp(u - h) P(u) du, the shape of P."""
        constant = -torch.expm1(-h)  # int exp(u - h) u^n for n = 0, 1, 2
        linear = h - constant
        square = h**2 - 2 * linear
        change = per_sample(constant, prediction) * prediction
        if not self.history:
            return change
        before, h1 = self.history[0]
        slope = (prediction - before) / per_sample(h1, prediction)
        change = change + per_sample(linear, prediction) * slope
        if len(self.history) == 1:
            return change
        earlier, h2 = self.history[1]
        slope_before = (before - earlier) / per_sample(h2, prediction)
        curvature = (slope - slope_before) / per_sample(h1 + h2, prediction)
        return change + per_sample(square + h1 * linear, prediction) * curvature
