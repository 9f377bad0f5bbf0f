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
t and z are arguments. ``TimeSampling`` draws t in other ways: with them the density of t multiplies
w(t), unless the loss is corrected; z may be paired with x_0 by ``optimal_transport``.
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
TIMES = ("uniform", "log_normal", "log_noise")
COUPLINGS = ("independent", "optimal_transport")
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


@dataclass(frozen=True)
class TimeSampling:
    """How times are drawn on [eps, end_time], by l = log noise_ratio(t).

    uniform: t is uniform; log_noise: l is uniform; log_normal: l has the distribution
    N(log_mean, log_std^2) (Karras et al. 2022, arXiv:2206.00364, table 1), cut to the range of l.
    """

    kind: str = "uniform"
    log_mean: float = -1.2
    log_std: float = 1.2

    def draw(self, sde: SDE, u: Tensor, eps: float = TRAINING_EPS) -> Tensor:
        """Return times (B,) from u (B,) uniform on [0, 1), by the inverse distribution."""
        if self.kind == "uniform":
            return uniform_times(u, eps, sde.end_time)
        if self.kind == "log_noise":
            return importance_times(sde, u, eps)
        low, high = torch.special.ndtr(self._normalised(sde, eps))
        # u = 0 where the range cuts off no more than rounding would be infinitely far away
        share = (low + u.double() * (high - low)).clamp(1e-15, 1 - 1e-15)
        log_ratio = self.log_mean + self.log_std * torch.special.ndtri(share)
        return sde.inverse_noise_ratio(log_ratio.exp()).to(u.dtype).clamp(eps, sde.end_time)

    def correction(self, sde: SDE, t: Tensor, eps: float = TRAINING_EPS) -> Tensor:
        """Return the density of uniform times over that of these, (B,): the importance weight.

        The density of t is that of l times dl/dt = g^2 / (2 std^2).
        """
        if self.kind == "uniform":
            return torch.ones_like(t)
        at = t.double()
        slope = (sde.diffusion(at) / sde.std(at)) ** 2 / 2
        density = self._density(sde, sde.noise_ratio(at).log(), eps)
        return (1 / ((sde.end_time - eps) * slope * density)).to(t.dtype)

    def corrected(self, loss: Loss, sde: SDE, t: Tensor, eps: float = TRAINING_EPS) -> Loss:
        """Return the loss at times t with the expectation that uniform times give it."""
        per_example = loss.per_sample * self.correction(sde, t, eps)
        return Loss(per_example.mean(), per_example)

    def _density(self, sde: SDE, log_ratio: Tensor, eps: float) -> Tensor:
        """The density of l at ``log_ratio``."""
        if self.kind == "log_noise":
            low, high = _log_noise_range(sde, eps)
            return torch.ones_like(log_ratio) / (high - low)
        low, high = torch.special.ndtr(self._normalised(sde, eps))
        normal = torch.distributions.Normal(self.log_mean, self.log_std)
        return normal.log_prob(log_ratio).exp() / (high - low)

    def _normalised(self, sde: SDE, eps: float) -> Tensor:
        return (torch.stack(_log_noise_range(sde, eps)) - self.log_mean) / self.log_std


def optimal_transport(x0: Tensor, z: Tensor) -> Tensor:
    """Return z in the order that pairs it with x0 at the least sum of squared distances.

    The distribution of z, taken alone, is unchanged. The pairs of a batch approach those of optimal
    transport as the batch grows (Pooladian et al. 2023, arXiv:2304.14772; Tong et al. 2024,
    arXiv:2302.00482).
    """
    from scipy.optimize import linear_sum_assignment

    cost = torch.cdist(x0.flatten(1).double(), z.flatten(1).double()) ** 2
    return z[torch.as_tensor(linear_sum_assignment(cost.cpu().numpy())[1], device=z.device)]


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
