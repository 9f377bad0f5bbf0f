"""Rectified flow: the straight line from data to noise.

    x_t = (1 - t) x_0 + t z                       (Liu et al. 2023, arXiv:2209.03003;
                                                   Lipman et al. 2023, arXiv:2210.02747)

The linear SDE with these marginals has

    f = -1 / (1 - t),   g^2 = 2 t / (1 - t),   noise ratio t / (1 - t)
    std_ts^2 = (t - s) (t + s - 2 t s) / (1 - s)^2

and the probability flow dx/dt = E[z - x_0 | x_t], which is the velocity of the papers; DDIM is
Euler's method for it. At t = 1 the scale is 0, f and g are infinite, and x_1 = z does not depend on
x_0. The velocity is finite there, but the score is -x and does not determine it. So samplers and
likelihoods use [eps, end_time], and the prior is the law of end_time z.
"""

from dataclasses import dataclass

from sde.processes.base import SDE, require_end_time


@dataclass(frozen=True)
class RectifiedFlow(SDE):
    """scale(t) = 1 - t, std(t) = t, defined for sampling on [0, end_time].

    The prior N(0, end_time^2 I) leaves out the part (1 - end_time) x_0 of x at ``end_time``: 0.005
    x_0 by default, where VPSDE leaves out 0.0066 x_0 at its end. Raises InputError unless
    0 < end_time < 1.
    """

    end_time: float = 0.995
    sampling_eps = 1e-3

    def __post_init__(self):
        require_end_time(self.end_time)

    @property
    def prior_std(self) -> float:
        return self.end_time

    def drift_rate(self, t):
        return -1 / (1 - t)

    def diffusion(self, t):
        return (2 * t / (1 - t)).sqrt()

    def scale(self, t):
        return 1 - t

    def std(self, t):
        return 1.0 * t

    def transition(self, s, t):
        variance = (t - s) * (t * (1 - s) + s * (1 - t))
        return (1 - t) / (1 - s), variance.sqrt() / (1 - s)

    def inverse_noise_ratio(self, noise_ratio):
        return noise_ratio / (1 + noise_ratio)
