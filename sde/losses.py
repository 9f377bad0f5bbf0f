"""Denoising score matching: the losses that train a score network.

With x_t = scale x_0 + std z, the score of x_t given x_0 is -z / std, and

    loss = E w(t) || score(x_t, t) + z / std ||^2          (Song et al. 2021, eq. 7; Vincent 2011)

is least at the score of p_t. The weightings:

    "variance"     w = std^2
    "likelihood"   w = g^2, an upper bound of the negative log likelihood (arXiv:2101.09258)
    "velocity"     w = g^4 / 4, the square error of the velocity of the flow: flow matching (Lipman
                   et al. 2023, arXiv:2210.02747); for the rectified flow || v - (z - x_0) ||^2
    "importance"   the expectation of "likelihood", with t drawn in proportion to g^2 / std^2

For a linear process the density g^2 / std^2 is the derivative of 2 log(std / scale), so
log noise_ratio is uniform under it (``importance_times``). The functions draw no random numbers:
t and z are arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from repro.errors import InputError
from sde.broadcast import per_sample
from sde.discrete import DDPMTable, SMLDTable
from sde.processes import SDE
from sde.reverse import ScoreFn

WEIGHTINGS = ("variance", "likelihood", "velocity", "importance")
REDUCTIONS = ("mean", "half_sum")
TRAINING_EPS = 1e-5


@dataclass(frozen=True)
class Loss:
    """A loss over a batch."""

    loss: Tensor  # () the mean over the batch, to be differentiated
    per_sample: Tensor  # (B,)


def uniform_times(u: Tensor, eps: float = TRAINING_EPS, end: float = 1.0) -> Tensor:
    """Times uniform on [eps, end] from u (B,) uniform on [0, 1)."""
    return u * (end - eps) + eps


def importance_times(sde: SDE, u: Tensor, eps: float = TRAINING_EPS) -> Tensor:
    """Times (B,) with density proportional to g^2 / std^2 on [eps, end_time], from u (B,)
    uniform."""
    low, high = _log_noise_range(sde, eps)
    return (
        sde.inverse_noise_ratio(torch.exp(low + u.double() * (high - low)))
        .to(u.dtype)
        .clamp(eps, sde.end_time)
    )


def denoising_score_matching(
    sde: SDE,
    score_fn: ScoreFn,
    x0: Tensor,
    t: Tensor,
    z: Tensor,
    *,
    weighting: str = "variance",
    reduce: str = "mean",
    eps: float = TRAINING_EPS,
) -> Loss:
    """The continuous loss (eq. 7).

    Args:
        sde: the process.
        score_fn: (x (B, ...), t (B,)) -> the score, the shape of x.
        x0: data (B, ...).
        t: times (B,) in (0, 1]; for "importance" those of ``importance_times`` with the same eps.
        z: standard normal noise of the shape of x0.
        weighting: one of ``WEIGHTINGS``.
        reduce: over the event, "mean" or "half_sum" (half the sum, as published).
        eps: the smallest time; "importance" alone depends on it.

    Raises InputError for an unknown weighting or reduction, times out of range, z of a wrong shape
    or data that are not finite.
    """
    check_data(x0, z)
    mean, std = sde.marginal(x0, t)
    residual = per_sample(std, x0) * score_fn(mean + per_sample(std, x0) * z, t) + z
    per_example = _reduce(residual**2, reduce)
    if weighting == "likelihood":
        per_example = per_example * ((sde.diffusion(t) / std) ** 2).to(x0.dtype)
    elif weighting == "velocity":
        per_example = per_example * ((sde.diffusion(t) ** 2 / (2 * std)) ** 2).to(x0.dtype)
    elif weighting == "importance":
        low, high = _log_noise_range(sde, eps)
        per_example = per_example * (2 * (high - low) / (sde.end_time - eps)).to(x0.dtype)
    elif weighting != "variance":
        raise InputError(f"unknown weighting {weighting!r}: choose from {', '.join(WEIGHTINGS)}")
    return Loss(per_example.mean(), per_example)


def smld(
    table: SMLDTable,
    network: Callable[[Tensor, Tensor], Tensor],
    x0: Tensor,
    timestep: Tensor,
    z: Tensor,
    *,
    reduce: str = "mean",
) -> Loss:
    """The discrete SMLD loss, sigma^2 || network(x_0 + sigma z, timestep) + z / sigma ||^2.

    timestep (B,) long counts from the largest sigma (arXiv:1907.05600, eq. 5); the network predicts
    the score.
    """
    check_data(x0, z)
    sigma = per_sample(table.sigma_at(timestep, x0), x0)
    residual = sigma * network(x0 + sigma * z, timestep) + z
    per_example = _reduce(residual**2, reduce)
    return Loss(per_example.mean(), per_example)


def ddpm(
    table: DDPMTable,
    network: Callable[[Tensor, Tensor], Tensor],
    x0: Tensor,
    timestep: Tensor,
    z: Tensor,
    *,
    reduce: str = "mean",
) -> Loss:
    """The discrete DDPM loss, || network(x_k, k) - z ||^2, at timesteps k (B,) long.

    The network predicts the noise (arXiv:2006.11239, eq. 14).
    """
    check_data(x0, z)
    scale, std = table.scale_and_std(timestep, x0)
    x = per_sample(scale, x0) * x0 + per_sample(std, x0) * z
    per_example = _reduce((network(x, timestep) - z) ** 2, reduce)
    return Loss(per_example.mean(), per_example)


DISCRETE_LOSSES = {SMLDTable: smld, DDPMTable: ddpm}


def check_data(x0: Tensor, z: Tensor) -> None:
    """Raise InputError unless z has x0's shape and, on the CPU, x0 is finite."""
    if z.shape != x0.shape:
        raise InputError(f"noise of shape {tuple(z.shape)} for data of shape {tuple(x0.shape)}")
    if x0.device.type == "cpu" and not bool(torch.isfinite(x0).all()):
        raise InputError("the data hold values that are not finite")


def _reduce(squares: Tensor, reduce: str) -> Tensor:
    if reduce == "mean":
        return squares.flatten(1).mean(1)
    if reduce == "half_sum":
        return 0.5 * squares.flatten(1).sum(1)
    raise InputError(f"unknown reduction {reduce!r}: choose from {', '.join(REDUCTIONS)}")


def _log_noise_range(sde: SDE, eps: float) -> tuple[Tensor, Tensor]:
    """log noise_ratio at eps and at the end, as CPU scalars, which any device takes."""
    ends = torch.tensor([eps, sde.end_time], dtype=torch.float64)
    low, high = sde.noise_ratio(ends).log()
    return low, high
