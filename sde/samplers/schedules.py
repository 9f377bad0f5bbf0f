"""Time grids: N + 1 times from ``end_time`` (1) down to eps for N steps, (N+1,) float64.

uniform    equal steps of t                          what the published samplers use
log_noise  equal steps of log(std / scale)           arXiv:2211.01095
power      equal steps of (std / scale)^(1/7)        arXiv:2206.00364, eq. 5
published  N times, in place of N + 1: see ``published_times``
"""

import torch
from torch import Tensor

from sde.processes import SDE

POWER = 7.0


def uniform(sde: SDE, steps: int, eps: float, device) -> Tensor:
    """Return times at equal steps of t."""
    return torch.linspace(sde.end_time, eps, steps + 1, dtype=torch.float64, device=device)


def log_noise(sde: SDE, steps: int, eps: float, device) -> Tensor:
    """Return times at equal steps of log(std / scale)."""
    return _even(sde, steps, eps, device, torch.log, torch.exp)


def power(sde: SDE, steps: int, eps: float, device) -> Tensor:
    """Return times at equal steps of (std / scale)^(1/7): denser where there is little noise."""
    return _even(sde, steps, eps, device, lambda r: r ** (1 / POWER), lambda u: u**POWER)


def published_times(steps: int, eps: float, device) -> Tensor:
    """Return the N times of the published loop, at each of which a step of length 1/N starts."""
    return torch.linspace(1, eps, steps, dtype=torch.float64, device=device)


def _even(sde, steps, eps, device, forwards, backwards):
    ends = torch.tensor([sde.end_time, eps], dtype=torch.float64, device=device)
    high, low = forwards(sde.noise_ratio(ends))
    share = torch.linspace(0, 1, steps + 1, dtype=torch.float64, device=device)
    times = sde.inverse_noise_ratio(backwards(high + share * (low - high)))
    return torch.cat([ends[:1], times[1:-1], ends[1:]])


SCHEDULES = {"uniform": uniform, "log_noise": log_noise, "power": power}
