"""DPM-Solver++(2M): two-step exponential integration of the denoised prediction.

With D = E[x_0 | x_t] and h = log(r_t / r_s), r = std / scale, the probability flow over a step is

    x_s = (std_s / std_t) x_t + scale_s (1 - exp(-h)) D'
    D'  = D_t + (D_t - D_before) h / (2 h_before)           (D' = D_t at the first step)

(Lu et al. 2022, arXiv:2211.01095, algorithm 2), order 2. Here P = scale_t D is stored, which needs
the transition alone: scale_s / scale_t = 1 / scale_ts.
"""

from sde.broadcast import per_sample
from sde.samplers.base import Predictor


class DPMSolverPP2M(Predictor):
    """One evaluation per step; deterministic; remembers the last prediction. Final."""

    stochastic = False

    def reset(self):
        self.last = None

    def step(self, x, transition, z):
        t, scale = transition.t, per_sample(transition.scale, x)
        prediction = x + per_sample(transition.std_t**2, x) * self.score_fn(x, t)
        ratio = transition.scale * transition.std_s / transition.std_t  # exp(-h)
        h = -ratio.log()
        extrapolated = prediction
        if self.last is not None:
            before, h_before = self.last
            extrapolated = prediction + per_sample(h / (2 * h_before), x) * (prediction - before)
        self.last = prediction / scale, h
        x = per_sample(transition.std_s / transition.std_t, x) * x
        x = x + per_sample(1 - ratio, x) / scale * extrapolated
        return x, x
