"""Gaussian mixtures, whose score is known in closed form at every time: the oracle of the tests.

A mixture of Gaussians stays one under a linear process. With x_0 ~ sum_k w_k N(m_k, C_k),

    p_t(x) = sum_k w_k N(x; scale m_k, scale^2 C_k + std^2 I)
    grad log p_t(x) = sum_k r_k(x) (scale^2 C_k + std^2 I)^-1 (scale m_k - x)

with r_k the posterior probability of component k. In the eigenbasis C_k = Q_k diag(l_k) Q_k^T
everything is elementwise, and no matrix is inverted. For a single component the probability flow is
known too: each coordinate in the eigenbasis keeps its quantile.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from repro.errors import InputError
from sde.processes import SDE


class Mixture:
    """A mixture of Gaussians over any event shape. Final.

    Args:
        means: (K, *event).
        covariances: (K, D, D) over the flattened event, or (K,) variances of isotropic components.
        weights: (K,), positive; they are normalised. Default: equal weights.

    Raises InputError for shapes that disagree, values that are not finite, or covariances that are
    not positive definite.
    """

    def __init__(self, means: Tensor, covariances: Tensor, weights: Tensor | None = None):
        weights = means.new_ones(len(means)) if weights is None else weights.to(means)
        count, dims = len(means), means[0].numel()
        if covariances.shape not in ((count,), (count, dims, dims)) or weights.shape != (count,):
            raise InputError(
                f"a mixture of {count} components in {dims} dimensions needs covariances ({count},)"
                f" or ({count}, {dims}, {dims}) and weights ({count},); got "
                f"{tuple(covariances.shape)} and {tuple(weights.shape)}"
            )
        self.event_shape = tuple(means.shape[1:])
        self.means = means.flatten(1)
        if covariances.ndim == 3:
            variances, self.axes = torch.linalg.eigh(covariances.to(means))
        else:
            variances, self.axes = covariances.to(means)[:, None].expand(count, dims), None
        self.variances = variances
        if not (bool((variances > 0).all()) and bool((weights > 0).all())):
            raise InputError("a mixture needs positive weights and positive definite covariances")
        if not bool(torch.isfinite(self.means).all()):
            raise InputError("a mixture needs finite means")
        self.log_weights = torch.log(weights / weights.sum())

    def to(self, *args, **kwargs) -> "Mixture":
        """The same mixture in another dtype or on another device."""
        other = object.__new__(Mixture)
        other.event_shape = self.event_shape
        for name in ("means", "variances", "log_weights", "axes"):
            value = getattr(self, name)
            setattr(other, name, None if value is None else value.to(*args, **kwargs))
        return other

    def given(self, components: Sequence[int]) -> "Mixture":
        """The law of x_0 given that it is of one of these components, the oracle of conditions."""
        other, chosen = object.__new__(Mixture), list(components)
        other.event_shape = self.event_shape
        other.means, other.variances = self.means[chosen], self.variances[chosen]
        other.axes = None if self.axes is None else self.axes[chosen]
        other.log_weights = torch.log_softmax(self.log_weights[chosen], 0)
        return other

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draws from p_0, (count, *event)."""
        return self.labelled_sample(count, generator)[0]

    def labelled_sample(self, count: int, generator=None) -> tuple[Tensor, Tensor]:
        """Draws from p_0 (count, *event) and the component of each (count,)."""
        k = torch.multinomial(self.log_weights.exp(), count, replacement=True, generator=generator)
        z = torch.randn(
            (count, self.means.shape[1]),
            generator=generator,
            dtype=self.means.dtype,
            device=self.means.device,
        )
        z = z * self.variances[k].sqrt()
        if self.axes is not None:
            z = torch.einsum("bij,bj->bi", self.axes[k], z)
        return (self.means[k] + z).unflatten(1, self.event_shape), k

    def sample_at(self, sde: SDE, t: Tensor, generator: torch.Generator) -> Tensor:
        """Draws from p_t, one per time in t (B,): (B, *event)."""
        x0 = self.sample(len(t), generator)
        mean, std = sde.marginal(x0, t.to(x0))
        z = torch.randn(x0.shape, generator=generator, dtype=x0.dtype, device=x0.device)
        return mean + std.reshape(-1, *[1] * (x0.ndim - 1)) * z

    def log_prob(self, x: Tensor, sde: SDE | None = None, t: Tensor | None = None) -> Tensor:
        """log p_t(x), (B,) nats, for x (B, *event); log p_0 where no process is given."""
        joint, _, _ = self._components(x, *self._scale_and_variance(x, sde, t))
        return torch.logsumexp(joint, 1)

    def component_log_prob(self, x: Tensor, sde: SDE, t: Tensor) -> Tensor:
        """log P(component | x_t), (B, K): the exact noise-aware classifier of the mixture."""
        return torch.log_softmax(self._components(x, *self._scale_and_variance(x, sde, t))[0], 1)

    def score(self, x: Tensor, sde: SDE | None = None, t: Tensor | None = None) -> Tensor:
        """grad log p_t(x), the shape of x."""
        joint, whitened, variance = self._components(x, *self._scale_and_variance(x, sde, t))
        pull = -whitened / variance
        if self.axes is not None:
            pull = torch.einsum("kij,bkj->bki", self.axes, pull)
        return (torch.softmax(joint, 1)[:, :, None] * pull).sum(1).reshape(x.shape)

    def score_fn(self, sde: SDE) -> Callable[[Tensor, Tensor], Tensor]:
        """The exact score as samplers and the likelihood take it: (x, t) -> the shape of x."""
        return lambda x, t: self.score(x, sde, t)

    def log_prob_fn(self, sde: SDE, t: float | None = None) -> Callable[[Tensor], Tensor]:
        """z -> log p_t(z) (B,), by default at ``end_time``, where a likelihood ends: its
        ``terminal_log_prob``."""
        time = sde.end_time if t is None else t
        return lambda z: self.log_prob(z, sde, z.new_full((1,), time))

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean (D,) and covariance (D, D) of p_0 over the flattened event."""
        weights = self.log_weights.exp()
        axes = torch.eye(self.means.shape[1]).to(self.means) if self.axes is None else self.axes
        within = (axes * self.variances[:, None, :]) @ axes.mT
        mean = weights @ self.means
        centred = self.means - mean
        between = centred[:, :, None] * centred[:, None, :]
        return mean, (weights[:, None, None] * (within + between)).sum(0)

    def _scale_and_variance(self, x, sde, t):
        if tuple(x.shape[1:]) != self.event_shape:
            raise InputError(
                f"the distribution is over events {self.event_shape}; got x {tuple(x.shape)}"
            )
        if sde is None:
            return x.new_ones(1), x.new_zeros(1)
        return sde.scale(t).to(x), (sde.std(t) ** 2).to(x)

    def _components(self, x, scale, added_variance):
        """log(w_k N_k) (B, K), the centred x in the axes of k (B, K, D), variances (B, K, D)."""
        variance = scale[:, None, None] ** 2 * self.variances + added_variance[:, None, None]
        centred = x.flatten(1)[:, None, :] - scale[:, None, None] * self.means
        if self.axes is not None:
            centred = torch.einsum("kij,bki->bkj", self.axes, centred)
        density = -0.5 * (centred**2 / variance + torch.log(2 * math.pi * variance)).sum(2)
        return self.log_weights + density, centred, variance


def gaussian(mean: Tensor, covariance: Tensor) -> Mixture:
    """N(mean, covariance): mean (*event), covariance (D, D) over the flattened event, or a scalar
    tensor, the variance of an isotropic one."""
    return Mixture(mean[None], covariance[None])


def gaussian_flow(distribution: Mixture, sde: SDE, x: Tensor, t: Tensor, s: Tensor) -> Tensor:
    """Where the exact probability flow of a Gaussian takes x (B, *event) from time t to s, (1,).

    Each eigen-coordinate is carried by x -> mean_s + (x - mean_t) sd_s / sd_t.
    """
    if len(distribution.means) != 1:
        raise InputError("the flow is known in closed form for one Gaussian, not for a mixture")
    scale_t, added_t = distribution._scale_and_variance(x, sde, t)
    scale_s, added_s = distribution._scale_and_variance(x, sde, s)
    _, centred, variance_t = distribution._components(x, scale_t, added_t)
    variance_s = scale_s[:, None, None] ** 2 * distribution.variances + added_s[:, None, None]
    moved = centred * (variance_s / variance_t).sqrt()
    if distribution.axes is not None:
        moved = torch.einsum("kij,bkj->bki", distribution.axes, moved)
    return (scale_s[:, None] * distribution.means + moved[:, 0]).reshape(x.shape)


def ring(modes: int = 8, radius: float = 2.0, std: float = 0.15, dtype=torch.float32) -> Mixture:
    """The eight Gaussians of many papers: modes on a circle in the plane."""
    angle = torch.arange(modes, dtype=dtype) * (2 * math.pi / modes)
    means = radius * torch.stack([angle.cos(), angle.sin()], 1)
    return Mixture(means, torch.full((modes,), std**2, dtype=dtype))
