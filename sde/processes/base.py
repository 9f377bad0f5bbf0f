"""The abstract forward process: linear SDEs that turn data into noise.

    dx = f(t) x dt + g(t) dw,   t in [0, 1]                     (Song et al. 2021, eq. 5)

Such a process is Gaussian between any two times s < t,

    x_t | x_s ~ N(scale_ts x_s, std_ts^2 I),
    scale_ts = scale(t) / scale(s),   std_ts^2 = std(t)^2 - scale_ts^2 std(s)^2,

so losses, samplers and likelihood read five functions of time. All are written with expm1 and its
relatives, because 1 - exp(-1e-6) has no digits left in float32.

Times are (B,), or (1,) for a whole batch; x is (B, D), (B, C, H, W), or any other event.
Coefficients are computed in the dtype of t and cast to that of x.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from repro.errors import InputError
from sde.broadcast import check_times, per_sample


@dataclass(frozen=True)
class Transition:
    """The Gaussian transition between times s < t, with the marginals at both ends.

    Every field is (B,), or (N,) for N consecutive steps; ``transition[i]`` is step i, fields (1,).
    """

    s: Tensor  # the earlier time, at which a reverse step arrives
    t: Tensor  # the later time, at which a reverse step starts
    dt: Tensor  # t - s
    scale: Tensor  # scale_ts in x_t = scale_ts x_s + std_ts z
    std: Tensor  # std_ts
    std_s: Tensor  # standard deviation of x_s given x_0
    std_t: Tensor  # standard deviation of x_t given x_0
    ancestral_std: Tensor  # noise of an ancestral step: std_ts std_s / std_t, or the DDPM table's

    def __getitem__(self, i: int) -> "Transition":
        return Transition(*[getattr(self, field.name)[i : i + 1] for field in fields(self)])


class SDE(ABC):
    """A linear process, defined by the functions of time below. Abstract.

    Where the scale of a process is 0 at time 1, its drift is infinite there and x_1 is pure noise,
    from which no score can tell x_0. Such a process has an ``end_time`` below 1.
    """

    sampling_eps: float  # the default time at which samplers stop
    end_time: float = 1.0  # the time at which samplers start, and at which a likelihood ends

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
    def inverse_noise_ratio(self, noise_ratio: Tensor) -> Tensor:
        """The time at which ``noise_ratio``, std / scale, has this value; the same shape."""

    @property
    @abstractmethod
    def prior_std(self) -> float:
        """Standard deviation of the prior N(0, prior_std^2 I), which approximates p_end."""

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
        """The exact transition between s and t, both (B,)."""
        scale, std = self.transition(s, t)
        std_s, std_t = self.std(s), self.std(t)
        return Transition(s, t, t - s, scale, std, std_s, std_t, std * std_s / std_t)

    def prior_sample(self, shape, generator=None, *, dtype=torch.float32, device=None) -> Tensor:
        """Draw from the prior: a tensor of ``shape``, by default on the generator's device."""
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


def require_end_time(end_time: float) -> None:
    """Raise InputError unless 0 < end_time < 1, for processes that are singular at time 1."""
    if not 0 < end_time < 1:
        raise InputError(f"need 0 < end_time < 1; got end_time={end_time}")


def require_ordered(low_name: str, low, high_name: str, high, *, strict: bool) -> None:
    """Raise InputError unless two finite numbers are in order: 0 < low < high.

    Where not ``strict``, low may be 0 or equal to high, which is positive.
    """
    ordered = 0 < low < high if strict else 0 <= low <= high and high > 0
    if not (math.isfinite(low) and math.isfinite(high) and ordered):
        law = f"0 < {low_name} < {high_name}" if strict else f"0 <= {low_name} <= {high_name} > 0"
        raise InputError(f"need {law}; got {low_name}={low}, {high_name}={high}")
