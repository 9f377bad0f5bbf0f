"""Variance preserving and sub-variance preserving, with a beta(t) that grows linearly."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sde.processes.base import SDE, require_ordered


@dataclass(frozen=True)
class LinearBetaSDE(SDE):
    """A process with drift -beta(t) x / 2, where beta grows linearly. Abstract: VPSDE, SubVPSDE.

        beta(t) = beta_min + (beta_max - beta_min) t,   B(t) = int_0^t beta,   scale = exp(-B / 2)

    Raises InputError unless 0 <= beta_min <= beta_max and beta_max > 0.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    sampling_eps = 1e-3

    def __post_init__(self):
        require_ordered("beta_min", self.beta_min, "beta_max", self.beta_max, strict=False)

    @property
    def prior_std(self) -> float:
        return 1.0

    def beta(self, t: Tensor) -> Tensor:
        """beta(t), 1/time, the shape of t."""
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def beta_integral(self, s: Tensor | float, t: Tensor) -> Tensor:
        """B(t) - B(s), factorised so that it does not cancel as s -> t; s may be 0."""
        return (t - s) * (self.beta_min + 0.5 * (self.beta_max - self.beta_min) * (t + s))

    def inverse_beta_integral(self, integral: Tensor) -> Tensor:
        """The time at which B has this value: the numerically stable root of a quadratic."""
        slope = self.beta_max - self.beta_min
        root = torch.sqrt(self.beta_min**2 + 2 * slope * integral)
        return 2 * integral / (self.beta_min + root)

    def drift_rate(self, t):
        return -0.5 * self.beta(t)

    def scale(self, t):
        return torch.exp(-0.5 * self.beta_integral(0, t))


@dataclass(frozen=True)
class VPSDE(LinearBetaSDE):
    """Variance preserving, the continuous DDPM (eq. 32):

    f = -beta(t) / 2,   g = sqrt(beta(t)),   scale = exp(-B/2),   std^2 = 1 - exp(-B)
    """

    def diffusion(self, t):
        return self.beta(t).sqrt()

    def std(self, t):
        return self.transition(0, t)[1]

    def transition(self, s: Tensor | float, t: Tensor) -> tuple[Tensor, Tensor]:
        integral = self.beta_integral(s, t)
        return torch.exp(-0.5 * integral), (-torch.expm1(-integral)).sqrt()

    def inverse_noise_ratio(self, noise_ratio):
        return self.inverse_beta_integral(torch.log1p(noise_ratio**2))


@dataclass(frozen=True)
class SubVPSDE(LinearBetaSDE):
    """Sub-variance preserving: the drift of VPSDE with less noise, std_subvp = std_vp^2 (eq. 28).

        g^2 = beta(t) (1 - exp(-2 B)),   std = 1 - exp(-B)
        std_ts^2 = (1 - exp(-(B_t - B_s))) (1 - exp(-(B_t + B_s)))

    The second line is the module's std_ts^2, factorised so that it does not cancel as s -> t.
    """

    def diffusion(self, t):
        return (-self.beta(t) * torch.expm1(-2 * self.beta_integral(0, t))).sqrt()

    def std(self, t):
        return -torch.expm1(-self.beta_integral(0, t))

    def transition(self, s: Tensor | float, t: Tensor) -> tuple[Tensor, Tensor]:
        between, total = self.beta_integral(s, t), self.beta_integral(0, t)
        variance = torch.expm1(-between) * torch.expm1(between - 2 * total)
        return torch.exp(-0.5 * between), variance.sqrt()

    def inverse_noise_ratio(self, noise_ratio):
        return self.inverse_beta_integral(2 * torch.asinh(noise_ratio / 2))
