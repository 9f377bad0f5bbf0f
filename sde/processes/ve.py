"""Variance exploding."""

import math
from dataclasses import dataclass

import torch

from sde.processes.base import SDE, require_ordered


@dataclass(frozen=True)
class VESDE(SDE):
    """Variance exploding, the continuous SMLD: f = 0, std(t) = sigma_min (sigma_max/sigma_min)^t.

        g(t) = std(t) sqrt(2 log(sigma_max / sigma_min))                 (Song et al. 2021, eq. 30)

    As published, std(0) = sigma_min, not 0. Raises InputError unless 0 < sigma_min < sigma_max.
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0
    sampling_eps = 1e-5

    def __post_init__(self):
        require_ordered("sigma_min", self.sigma_min, "sigma_max", self.sigma_max, strict=True)

    @property
    def _log_ratio(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)

    @property
    def prior_std(self) -> float:
        return self.sigma_max

    def drift_rate(self, t):
        return torch.zeros_like(t)

    def diffusion(self, t):
        return self.std(t) * math.sqrt(2 * self._log_ratio)

    def scale(self, t):
        return torch.ones_like(t)

    def std(self, t):
        return self.sigma_min * torch.exp(self._log_ratio * t)

    def transition(self, s, t):
        growth = torch.expm1(2 * self._log_ratio * (t - s))
        return torch.ones_like(growth), self.std(s) * growth.sqrt()

    def inverse_noise_ratio(self, noise_ratio):
        return torch.log(noise_ratio / self.sigma_min) / self._log_ratio
