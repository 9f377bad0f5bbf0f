"""Variance preserving with the cosine schedule (Nichol and Dhariwal 2021, arXiv:2102.09672).

    scale(t) = cos(theta) / cos(theta_0),   theta = theta_0 + (pi / 2 - theta_0) t,
    std^2 = 1 - scale^2                                                              (eq. 17)

with theta_0 = (pi / 2) offset / (1 + offset). Since theta is linear in t, products of sines give

    std_ts^2 = sin(theta_t - theta_s) sin(theta_t + theta_s) / cos(theta_s)^2

without cancellation. f = -theta' tan(theta) and g^2 = 2 theta' tan(theta) are infinite at t = 1,
where the scale is 0: the paper bounds its discrete beta by 0.999, this process has an ``end_time``.
"""

import math
from dataclasses import dataclass

import torch

from repro.errors import InputError
from sde.processes.base import SDE, require_end_time


@dataclass(frozen=True)
class CosineVPSDE(SDE):
    """VP with scale cos(theta) / cos(theta_0), defined for sampling on [0, end_time].

    Samplers start and likelihoods end at ``end_time`` with the prior N(0, I), as for VPSDE. At the
    default the scale there is 0.0078, that of VPSDE at 1 is 0.0066. Raises InputError unless
    0 <= offset <= 1 and 0 < end_time < 1.
    """

    offset: float = 0.008
    end_time: float = 0.995
    sampling_eps = 1e-3

    def __post_init__(self):
        require_end_time(self.end_time)
        if not 0 <= self.offset <= 1:
            raise InputError(f"need 0 <= offset <= 1; got offset={self.offset}")

    @property
    def prior_std(self) -> float:
        return 1.0

    @property
    def _start(self) -> float:  # theta_0
        return 0.5 * math.pi * self.offset / (1 + self.offset)

    @property
    def _rate(self) -> float:  # theta'
        return 0.5 * math.pi - self._start

    def _cotangent(self, t):
        """cot(theta) = tan(pi / 2 - theta), which keeps its digits as t -> 1."""
        return torch.tan(self._rate * (1 - t))

    def drift_rate(self, t):
        return -self._rate / self._cotangent(t)

    def diffusion(self, t):
        return (2 * self._rate / self._cotangent(t)).sqrt()

    def scale(self, t):
        return torch.sin(self._rate * (1 - t)) / math.cos(self._start)

    def std(self, t):
        return self.transition(torch.zeros_like(t), t)[1]

    def transition(self, s, t):
        cosine = torch.sin(self._rate * (1 - s))
        sum_of_angles = 2 * self._start + self._rate * (t + s)
        variance = torch.sin(self._rate * (t - s)) * torch.sin(sum_of_angles) / cosine**2
        return torch.sin(self._rate * (1 - t)) / cosine, variance.sqrt()

    def inverse_noise_ratio(self, noise_ratio):
        # tan(theta)^2 = tan(theta_0)^2 + (r / cos(theta_0))^2; the tangent of the difference
        start = math.tan(self._start)
        square = (noise_ratio / math.cos(self._start)) ** 2
        tangent = (start**2 + square).sqrt()
        return torch.atan(square / ((tangent + start) * (1 + start * tangent))) / self._rate
