"""Forward processes: linear SDEs that turn data into noise.

    dx = f(t) x dt + g(t) dw,   t in [0, 1]                     (Song et al. 2021, eq. 5)

Such a process is Gaussian between any two times s < t,

    x_t | x_s ~ N(scale_ts x_s, std_ts^2 I),
    scale_ts = scale(t) / scale(s),   std_ts^2 = std(t)^2 - scale_ts^2 std(s)^2,

so everything downstream (losses, samplers, likelihood) reads five functions of time. Every one is
written with expm1 and its relatives, because 1 - exp(-1e-6) has no digits left in float32.

Times are tensors of shape (B,), or (1,) for a whole batch; x is (B, D), (B, C, H, W), any event.
Coefficients are computed in the dtype of t and cast to that of x where the two meet.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from sde.broadcast import check_times, per_sample
from sde.discrete import BetaSchedule, DDPMTable, SMLDTable, Transition, require_ordered


class SDE(ABC):
    """A linear process. Abstract: VESDE, VPSDE and SubVPSDE are all there is to know of it."""

    sampling_eps: float  # the time at which the published samplers stop
    published_network: tuple[str, str]  # (prediction, conditioning), see sde/score.py

    @abstractmethod
    def drift_rate(self, t: Tensor) -> Tensor:
        """f(t), 1/time, the shape of t."""

    @abstractmethod
    def diffusion(self, t: Tensor) -> Tensor:
        """g(t), the shape of t."""

    @abstractmethod
    def scale(self, t: Tensor) -> Tensor:
        """scale(t) = exp(int_0^t f), in (0, 1], the shape of t."""

    @abstractmethod
    def std(self, t: Tensor) -> Tensor:
        """Standard deviation of x_t given x_0, the shape of t."""

    @abstractmethod
    def transition(self, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """(scale_ts, std_ts) of x_t given x_s for s <= t, without cancellation as s -> t."""

    @abstractmethod
    def time_at(self, noise_ratio: Tensor) -> Tensor:
        """The inverse of ``noise_ratio``: the time at which std / scale has this value."""

    @property
    @abstractmethod
    def prior_std(self) -> float:
        """Standard deviation of the prior N(0, prior_std^2 I) that stands for p_1."""

    @abstractmethod
    def published_interval(self, t: Tensor, n: int) -> Transition:
        """The step of the published n-level chain from the level at time t to the one before."""

    def drift(self, x: Tensor, t: Tensor) -> Tensor:
        """f(t) x, the shape of x."""
        return per_sample(self.drift_rate(t), x) * x

    def marginal(self, x0: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Mean scale(t) x_0 (shape of x0) and std(t) (B,) of x_t given x_0 (eq. 29).

        Raises InputError for times outside (0, 1].
        """
        check_times(t, x0)
        return per_sample(self.scale(t), x0) * x0, self.std(t)

    def noise_ratio(self, t: Tensor) -> Tensor:
        """std(t) / scale(t), the noise level of x_t / scale(t): increasing, the shape of t."""
        return self.std(t) / self.scale(t)

    def interval(self, s: Tensor, t: Tensor) -> Transition:
        """The exact step between s and t, each of one shape (B,)."""
        scale, std = self.transition(s, t)
        std_s, std_t = self.std(s), self.std(t)
        return Transition(s, t, t - s, scale, std, std_s, std_t, std * std_s / std_t)

    def prior_sample(self, shape, generator=None, *, dtype=torch.float32, device=None) -> Tensor:
        """Noise of the given shape from the prior; on the generator's device unless told."""
        device = device or (generator.device if generator is not None else None)
        z = torch.randn(tuple(shape), generator=generator, dtype=dtype, device=device)
        return self.prior_std * z

    def prior_log_prob(self, z: Tensor) -> Tensor:
        """Log density of z (B, ...) under the prior, (B,) nats."""
        return log_normal(z, self.prior_std)


def log_normal(z: Tensor, std: float) -> Tensor:
    """log N(z; 0, std^2 I) over the event of z (B, ...), (B,) nats."""
    z = z.flatten(1)
    return -0.5 * ((z / std) ** 2).sum(1) - z.shape[1] * math.log(std * math.sqrt(2 * math.pi))


@dataclass(frozen=True)
class VESDE(SDE):
    """Variance exploding, the continuous SMLD: f = 0, std(t) = sigma_min (sigma_max/sigma_min)^t.

        g(t) = std(t) sqrt(2 log(sigma_max / sigma_min))                 (Song et al. 2021, eq. 30)

    As published, std(0) = sigma_min, not 0. Raises InputError unless 0 < sigma_min < sigma_max.
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0
    sampling_eps = 1e-5
    published_network = ("score", "std")

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

    def time_at(self, noise_ratio):
        return torch.log(noise_ratio / self.sigma_min) / self._log_ratio

    def published_interval(self, t, n):
        return SMLDTable(self.sigma_min, self.sigma_max, n).interval(t)


@dataclass(frozen=True)
class VPSDE(SDE):
    """Variance preserving, the continuous DDPM: with B(t) = int_0^t beta,

        f = -beta(t) / 2,  g = sqrt(beta(t)),  scale = exp(-B/2),  std^2 = 1 - exp(-B)    (eq. 32)

    Raises InputError unless 0 <= beta_min <= beta_max and beta_max > 0.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    prior_std = 1.0
    sampling_eps = 1e-3
    published_network = ("noise", "time_999")

    def __post_init__(self):
        require_ordered("beta_min", self.beta_min, "beta_max", self.beta_max, strict=False)

    @property
    def beta(self) -> BetaSchedule:
        return BetaSchedule(self.beta_min, self.beta_max)

    def drift_rate(self, t):
        return -0.5 * self.beta.rate(t)

    def diffusion(self, t):
        return self.beta.rate(t).sqrt()

    def scale(self, t):
        return torch.exp(-0.5 * self.beta.integral(0, t))

    def std(self, t):
        return self.transition(0, t)[1]

    def transition(self, s, t):
        integral = self.beta.integral(s, t)
        return torch.exp(-0.5 * integral), (-torch.expm1(-integral)).sqrt()

    def time_at(self, noise_ratio):
        return self.beta.time_at(torch.log1p(noise_ratio**2))

    def published_interval(self, t, n):
        return DDPMTable(self.beta_min, self.beta_max, n).interval(t)


@dataclass(frozen=True)
class SubVPSDE(SDE):
    """Sub-variance preserving: the drift of VPSDE with less noise, std_subvp = std_vp^2.

        g^2 = beta(t) (1 - exp(-2 B)),  std = 1 - exp(-B),  B = int_0^t beta            (eq. 28)
        std_ts^2 = (1 - exp(-(B_t - B_s))) (1 - exp(-(B_t + B_s)))

    The second line is the law of the module's docstring, multiplied out and factorised: it does
    not cancel. Raises InputError unless 0 <= beta_min <= beta_max and beta_max > 0.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    prior_std = 1.0
    sampling_eps = 1e-3
    published_network = ("noise", "time_999")

    def __post_init__(self):
        require_ordered("beta_min", self.beta_min, "beta_max", self.beta_max, strict=False)

    @property
    def beta(self) -> BetaSchedule:
        return BetaSchedule(self.beta_min, self.beta_max)

    def drift_rate(self, t):
        return -0.5 * self.beta.rate(t)

    def diffusion(self, t):
        return (-self.beta.rate(t) * torch.expm1(-2 * self.beta.integral(0, t))).sqrt()

    def scale(self, t):
        return torch.exp(-0.5 * self.beta.integral(0, t))

    def std(self, t):
        return -torch.expm1(-self.beta.integral(0, t))

    def transition(self, s, t):
        between, total = self.beta.integral(s, t), self.beta.integral(0, t)
        variance = torch.expm1(-between) * torch.expm1(between - 2 * total)
        return torch.exp(-0.5 * between), variance.sqrt()

    def time_at(self, noise_ratio):
        return self.beta.time_at(2 * torch.asinh(noise_ratio / 2))

    def published_interval(self, t, n):
        dt = torch.full_like(t, 1 / n)
        scale, std = 1 + self.drift_rate(t) * dt, self.diffusion(t) * dt.sqrt()
        std_s, std_t = self.std((t - dt).clamp(min=0)), self.std(t)
        return Transition(t, t, dt, scale, std, std_s, std_t, std * std_s / std_t)
