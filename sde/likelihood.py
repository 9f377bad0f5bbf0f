"""The likelihood of a score model by its probability-flow ODE.

Along dx/dt = v(x, t) a density changes by its divergence (Chen et al. 2018, arXiv:1806.07366):

    log p_eps(x_eps) = log p_1(x_1) + int_eps^1 div v(x_t, t) dt      (Song et al. 2021, eq. 39)

with the prior in place of p_1, or ``terminal_log_prob``; a process with an ``end_time`` below 1
ends there. The divergence is computed exactly, by one
vector-Jacobian product per dimension, or by Hutchinson's unbiased estimator e^T (dv/dx) e with
E[e e^T] = I and the same probes e along the whole path (eq. 40). The network runs once per
evaluation; all products reuse its graph. The integral is kept for each probe, so that the spread
over probes estimates the error. The likelihood is that of the ODE; the SDE with the same p_t gives
a lower bound only.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from repro.errors import InputError
from sde.data.quantisation import Quantisation
from sde.processes import SDE
from sde.reverse import ScoreFn, probability_flow
from sde.samplers.adaptive import integrate
from sde.samplers.base import CountedScore, check_finite

EPS = 1e-5


@dataclass(frozen=True)
class LogProb:
    """Log densities, with the latent codes and the cost."""

    log_prob: Tensor  # (B,) nats; the mean over probes
    z: Tensor  # (B, ...) the latent code, x at the end
    nfe: int  # evaluations of the score, one network pass each
    standard_error: Tensor | None  # (B,) nats over probes; None where exact or one probe


@dataclass(frozen=True)
class BitsPerDim:
    """Bits per dimension, with the latent codes and the cost."""

    bits: Tensor  # (B,)
    z: Tensor  # (B, ...)
    nfe: int
    standard_error: Tensor | None  # (B,) bits per dimension


def log_prob(
    sde: SDE,
    score_fn: ScoreFn,
    x: Tensor,
    *,
    exact: bool = False,
    generator: torch.Generator | None = None,
    terminal_log_prob: Callable[[Tensor], Tensor] | None = None,
    probes: int = 1,
    probe: str = "rademacher",
    probe_noise: Tensor | None = None,
    eps: float = EPS,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    method: str = "dormand_prince",
    at_once: bool = True,
) -> LogProb:
    """Compute log p_eps(x) in nats.

    Args:
        sde: the process.
        score_fn: (x (B, ...), t (B,)) -> the score, the shape of x.
        x: data (B, ...).
        exact: the exact divergence, at D products per evaluation, instead of an estimate.
        generator: of the probes.
        terminal_log_prob: z (B, ...) -> (B,), instead of the log density of the prior.
        probes: number of probes.
        probe: "rademacher" or "gaussian".
        probe_noise: the probes themselves (P, B, ...), instead of draws.
        eps: the time at which the integral starts.
        rtol, atol: tolerances of the ODE solver.
        method: of the ODE solver, one of ``samplers.adaptive.METHODS``.
        at_once: compute the products of all probes in one backward pass, which PyTorch cannot do
            for every network.

    Raises InputError for data that are not finite, eps outside (0, end_time), an unknown probe,
    a score that does not depend on x by autograd, or a solver that stalls.
    """
    _check(x, eps, sde.end_time)
    if exact:
        probe_noise = _unit_vectors(x)
    elif probe_noise is None:
        probe_noise = draw_probes(x, probes, probe, generator)
    score = CountedScore(_connected(score_fn))
    flow = probability_flow(sde, score)
    dims, columns = x[0].numel(), 1 if exact else len(probe_noise)

    def field(t: Tensor, state: Tensor) -> Tensor:
        at = state[:, :dims].reshape(x.shape)
        velocity, products = _velocity_and_products(flow, at, t, probe_noise, at_once)
        change = products.sum(1, keepdim=True) if exact else products
        return torch.cat([velocity.flatten(1), change], 1)

    start = torch.cat([x.detach().flatten(1), x.new_zeros(len(x), columns)], 1)
    state = integrate(field, start, eps, sde.end_time, rtol=rtol, atol=atol, method=method)
    z, change = state[:, :dims].reshape(x.shape), state[:, dims:]
    terminal = (terminal_log_prob or sde.prior_log_prob)(z)
    error = change.std(1) / math.sqrt(columns) if columns > 1 else None
    result = terminal + change.mean(1)
    check_finite(result, "the likelihood")
    return LogProb(result, z, score.calls, error)


def bits_per_dim(
    sde: SDE, score_fn: ScoreFn, x: Tensor, *, data_range: Quantisation, **how
) -> BitsPerDim:
    """Compute -log2 of the probability of the grey levels, per dimension, of dequantised x.

    Args:
        x: dequantised data (B, ...).
        data_range: the quantisation of x.
        how: further arguments of :func:`log_prob`.
    """
    result = log_prob(sde, score_fn, x, **how)
    nats_to_bits = 1 / (math.log(2) * x[0].numel())
    bits = -result.log_prob * nats_to_bits + data_range.offset_bits
    error = result.standard_error
    return BitsPerDim(bits, result.z, result.nfe, None if error is None else error * nats_to_bits)


@torch.no_grad()
def encode(
    sde: SDE, score_fn: ScoreFn, x: Tensor, *, eps: float = EPS, rtol=1e-5, atol=1e-5
) -> Tensor:
    """The latent code of x (B, ...): its image at ``end_time`` under the probability flow.

    ``samplers.probability_flow_sample(..., init=z, eps=eps)`` is the inverse.
    """
    flow = probability_flow(sde, CountedScore(score_fn))
    return integrate(lambda t, x: flow.drift(x, t), x, eps, sde.end_time, rtol=rtol, atol=atol)


def interpolate(z_a: Tensor, z_b: Tensor, weight: Tensor) -> Tensor:
    """Interpolate spherically from z_a to z_b (B, ...), at weights (B,) in [0, 1].

    Straight lines between Gaussian codes leave the shell in which codes lie (arXiv:1609.04468).
    """
    shape = (-1, *[1] * (z_a.ndim - 1))
    norms = z_a.flatten(1).norm(dim=1) * z_b.flatten(1).norm(dim=1)
    cosine = ((z_a * z_b).flatten(1).sum(1) / norms).clamp(-1 + 1e-6, 1 - 1e-6)
    angle = torch.arccos(cosine)
    part_a = torch.sin((1 - weight) * angle) / torch.sin(angle)
    part_b = torch.sin(weight * angle) / torch.sin(angle)
    return part_a.reshape(shape) * z_a + part_b.reshape(shape) * z_b


def draw_probes(x: Tensor, count: int, kind: str, generator) -> Tensor:
    """Draw probes (count, *x.shape) of identity covariance, "rademacher" or "gaussian"."""
    if not isinstance(count, int) or count < 1:
        raise InputError(f"probes must be a whole number, at least 1; got {count!r}")
    shape = (count, *x.shape)
    if kind == "gaussian":
        return torch.randn(shape, generator=generator, dtype=x.dtype, device=x.device)
    if kind != "rademacher":
        raise InputError(f"unknown probe {kind!r}: choose from rademacher, gaussian")
    return torch.randint(0, 2, shape, generator=generator, device=x.device).to(x.dtype) * 2 - 1


def _check(x: Tensor, eps: float, end: float) -> None:
    if x.ndim < 2 or not x.is_floating_point():
        raise InputError(f"x must be a floating tensor (B, *event); got {x.dtype} {tuple(x.shape)}")
    if not 0 < eps < end:
        raise InputError(f"eps must lie in (0, {end:g}); got {eps}")
    check_finite(x, "the data of the likelihood")


def _connected(score_fn: ScoreFn) -> ScoreFn:
    """The score function; it raises InputError where its output has no graph back to x."""

    def connected(x: Tensor, t: Tensor) -> Tensor:
        score = score_fn(x, t)
        if torch.is_grad_enabled() and not score.requires_grad:
            raise InputError("the score does not depend on x by autograd, so it has no divergence")
        return score

    return connected


def _unit_vectors(x: Tensor) -> Tensor:
    """Unit vectors (D, B, *event): entry d is the d-th unit vector for every sample."""
    dims = x[0].numel()
    units = torch.eye(dims, dtype=x.dtype, device=x.device)[:, None]
    return units.expand(dims, len(x), dims).reshape(dims, *x.shape)


def _velocity_and_products(
    flow, x: Tensor, t: Tensor, probe_noise: Tensor, at_once: bool
) -> tuple[Tensor, Tensor]:
    """The velocity at x and e^T (dv/dx) e for each probe, (B, P), from one pass of the network."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        velocity = flow.drift(x, t)
        if at_once:
            (products,) = torch.autograd.grad(velocity, x, probe_noise, is_grads_batched=True)
        else:
            each = [torch.autograd.grad(velocity, x, e, retain_graph=True)[0] for e in probe_noise]
            products = torch.stack(each)
    return velocity.detach(), (products * probe_noise).flatten(2).sum(2).T
