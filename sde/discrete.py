"""Steps between noise levels, and the tables of the discrete models as published.

    SMLD:  sigma_k = sigma_min (sigma_max / sigma_min)^(k / (N-1)),   x_k = x_0 + sigma_k z
    DDPM:  beta_k = (beta_min + (beta_max - beta_min) k / (N-1)) / N,  alpha_k = 1 - beta_k,
           x_k = sqrt(prod_{j<=k} alpha_j) x_0 + sqrt(1 - prod_{j<=k} alpha_j) z

for k = 0..N-1 (Song et al. 2021, arXiv:2011.13456, section 3.4 and appendix B). They agree with the
SDEs to O(1/N^2) per step, not exactly: a model trained on a table is sampled on that table.
"""

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from repro.errors import InputError


def require_ordered(low_name: str, low, high_name: str, high, *, strict: bool) -> None:
    """Raise InputError unless the parameters are finite and 0 < low < high (0 <= low <= high and
    high > 0 where not strict)."""
    ordered = 0 < low < high if strict else 0 <= low <= high and high > 0
    if not (math.isfinite(low) and math.isfinite(high) and ordered):
        law = f"0 < {low_name} < {high_name}" if strict else f"0 <= {low_name} <= {high_name} > 0"
        raise InputError(f"need {law}; got {low_name}={low}, {high_name}={high}")


def require_levels(n: int) -> None:
    """Raise InputError unless a table has at least two levels."""
    if not isinstance(n, int) or isinstance(n, bool) or n < 2:
        raise InputError(f"a discrete chain needs a whole number of levels, at least 2; got {n!r}")


def level_of(t: Tensor, n: int) -> Tensor:
    """The level k = floor(t (N-1)) that the published code reads at time t in [0, 1], (B,) long.

    A product that falls short of a whole number by rounding alone is that whole number.
    """
    return (t.double() * (n - 1) + 1e-6).long().clamp(0, n - 1)


@dataclass(frozen=True)
class Transition:
    """What a reverse-time scheme may ask of the forward process between s and t, s < t.

    Every field is (B,), or (N,) for a ladder of N steps, of which ``interval[i]`` is one as (1,).
    """

    s: Tensor  # the earlier time, where a reverse step arrives
    t: Tensor  # the later time, where it starts
    dt: Tensor  # t - s
    scale: Tensor  # scale_ts in x_t = scale_ts x_s + std_ts z
    std: Tensor  # std_ts
    std_s: Tensor  # marginal standard deviations given x_0
    std_t: Tensor
    ancestral_std: Tensor  # noise of an ancestral step, std_ts std_s / std_t unless published

    def __getitem__(self, i: int) -> "Transition":
        return Transition(*[getattr(self, field.name)[i : i + 1] for field in fields(self)])


@dataclass(frozen=True)
class BetaSchedule:
    """beta(t) = beta_min + (beta_max - beta_min) t and its integral B."""

    beta_min: float
    beta_max: float

    def rate(self, t: Tensor) -> Tensor:
        """beta(t), 1/time, the shape of t."""
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def integral(self, s, t: Tensor) -> Tensor:
        """B(t) - B(s), factorised so that it keeps its digits as s -> t; s may be 0."""
        return (t - s) * (self.beta_min + 0.5 * (self.beta_max - self.beta_min) * (t + s))

    def time_at(self, integral: Tensor) -> Tensor:
        """The time at which B has this value: the stable root of a quadratic."""
        slope = self.beta_max - self.beta_min
        root = torch.sqrt(self.beta_min**2 + 2 * slope * integral)
        return 2 * integral / (self.beta_min + root)


@dataclass(frozen=True)
class SMLDTable:
    """N geometric noise levels, ascending. Labels of the published networks count downwards:
    label k means sigma_{N-1-k}. Raises InputError for a bad range or fewer than 2 levels."""

    sigma_min: float = 0.01
    sigma_max: float = 50.0
    n: int = 1000

    def __post_init__(self):
        require_ordered("sigma_min", self.sigma_min, "sigma_max", self.sigma_max, strict=True)
        require_levels(self.n)

    def sigmas(self, like: Tensor) -> Tensor:
        """sigma_k, (N,) ascending, in the dtype and on the device of ``like``."""
        k = torch.linspace(0, 1, self.n, dtype=torch.float64, device=like.device)
        return (self.sigma_min * (self.sigma_max / self.sigma_min) ** k).to(like.dtype)

    def interval(self, t: Tensor) -> Transition:
        """The step from the level at time t (B,) to the one before, 0 below the first."""
        sigmas, k = self.sigmas(t), level_of(t, self.n)
        std_s = torch.where(k == 0, torch.zeros_like(t), sigmas[(k - 1).clamp(min=0)])
        std_t, dt = sigmas[k], torch.full_like(t, 1 / self.n)
        std = ((std_t - std_s) * (std_t + std_s)).sqrt()
        return Transition(t, t, dt, torch.ones_like(t), std, std_s, std_t, std * std_s / std_t)

    def label(self, t: Tensor) -> Tensor:
        """The label a discrete network was trained with, round((1 - t)(N-1)), (B,) long."""
        return torch.round((1 - t.double()) * (self.n - 1)).long()

    def time(self, label: Tensor) -> Tensor:
        """The time at which the SDE has the noise of these labels (B,), float64."""
        return 1 - label.double() / (self.n - 1)

    def fractional_label(self, t: Tensor) -> Tensor:
        """What the published sampler feeds the network: for SMLD, the label itself."""
        return self.label(t)

    def score(self, output: Tensor, label: Tensor) -> Tensor:
        """The score from a network's output at these labels: the output itself."""
        return output

    def sigma_at(self, label: Tensor, like: Tensor) -> Tensor:
        """sigma of a descending label (B,), in the dtype of ``like``."""
        return self.sigmas(like)[self.n - 1 - label]


@dataclass(frozen=True)
class DDPMTable:
    """N levels of DDPM; the label is k itself. Raises InputError where some beta_k >= 1."""

    beta_min: float = 0.1
    beta_max: float = 20.0
    n: int = 1000

    def __post_init__(self):
        require_ordered("beta_min", self.beta_min, "beta_max", self.beta_max, strict=False)
        require_levels(self.n)
        if self.n <= self.beta_max:
            raise InputError(
                f"a DDPM chain needs more levels than beta_max: beta = {self.beta_max}/{self.n} "
                f"would be 1 or more; use more than {self.beta_max:g} steps or the exact grid"
            )

    def betas(self, like: Tensor) -> Tensor:
        """beta_k, (N,) in the dtype and on the device of ``like``."""
        k = torch.linspace(0, 1, self.n, dtype=torch.float64, device=like.device)
        return ((self.beta_min + (self.beta_max - self.beta_min) * k) / self.n).to(like.dtype)

    def log_alphas_cumprod(self, like: Tensor) -> Tensor:
        """log prod_{j<=k} alpha_j, (N,), summed in float64."""
        return torch.log1p(-self.betas(like).double()).cumsum(0).to(like.dtype)

    def label(self, t: Tensor) -> Tensor:
        """The label a discrete network was trained with, floor(t (N-1)), (B,) long."""
        return level_of(t, self.n)

    def time(self, label: Tensor) -> Tensor:
        """The time that the published sampler gives these labels (B,), float64: k / (N-1)."""
        return label.double() / (self.n - 1)

    def fractional_label(self, t: Tensor) -> Tensor:
        """What the published sampler feeds the network: t (N-1), not rounded."""
        return t * (self.n - 1)

    def score(self, output: Tensor, label: Tensor) -> Tensor:
        """The score from a network's output, the predicted noise: -output / std_k."""
        std = self.scale_and_std(label, output)[1]
        return -output / std.reshape(-1, *[1] * (output.ndim - 1))

    def scale_and_std(self, label: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(abar_k) and sqrt(1 - abar_k) at labels (B,), in the dtype of ``like``."""
        log_abar = self.log_alphas_cumprod(like)[label]
        return torch.exp(0.5 * log_abar), (-torch.expm1(log_abar)).sqrt()

    def interval(self, t: Tensor) -> Transition:
        """The step from the level at time t (B,) to the one before; the published ancestral noise
        is sqrt(beta_k), the larger of the two choices of DDPM (arXiv:2006.11239, section 3.2)."""
        k = level_of(t, self.n)
        beta, std_t = self.betas(t)[k], self.scale_and_std(k, t)[1]
        std_s = self.scale_and_std((k - 1).clamp(min=0), t)[1]
        std_s = torch.where(k == 0, torch.zeros_like(t), std_s)
        dt, std = torch.full_like(t, 1 / self.n), beta.sqrt()
        return Transition(t, t, dt, (1 - beta).sqrt(), std, std_s, std_t, std)
