"""Conditional sampling with the score of an unconditional model.

    grad log p_t(x | y) = score(x, t) + grad log p_t(y | x)        (Song et al. 2021, eq. 14)

The second term is approximated in one of three ways.

    class_conditional   a classifier of noisy x; returns a score, for any sampler
    guided              part of x_0 is known, y = H x_0: the Gaussian N(y; H E[x_0 | x_t], r^2 I) of
                        Song et al. ("Pseudoinverse-guided diffusion models", ICLR 2023); exact for
                        isotropic Gaussian data; returns a score, for any sampler
    replacement         after every step the known part is overwritten by a noised copy (Song et al.
                        2021, appendix I); returns a ``constraint`` for ``samplers.sample`` and
                        ``solve``; the adaptive ODE takes none

An ``Observation`` states the known part: some coordinates of x_0 after a rotation. For inpainting
they are pixels, for colourisation the grey axis of rotated colours.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from repro.errors import InputError
from sde.broadcast import per_sample
from sde.processes import SDE
from sde.reverse import ScoreFn
from sde.samplers.base import denoise
from sde.samplers.loop import Constraint

# An orthonormal basis of colour, rows: grey, then two of chroma
COLOUR_BASIS = ((3**-0.5,) * 3, (2 / 6**0.5, -(6**-0.5), -(6**-0.5)), (0.0, 2**-0.5, -(2**-0.5)))


@dataclass(frozen=True)
class Observation:
    """The known part of x_0: rotate(x_0) equals ``value`` where ``mask`` is 1."""

    value: Tensor  # (1 or B, *event), rotated; what lies outside the mask is ignored
    mask: Tensor  # broadcastable to value, 1 where known, 0 elsewhere
    rotate: Callable[[Tensor], Tensor]  # orthogonal, on (B, *event)
    unrotate: Callable[[Tensor], Tensor]

    def combine(self, x: Tensor, known: Tensor) -> Tensor:
        """Return x (B, *event) with its known coordinates taken from ``known`` (rotated)."""
        mask = self.mask.to(x)
        return self.unrotate(self.rotate(x) * (1 - mask) + known * mask)

    def of_batch(self, x: Tensor) -> Tensor:
        """Return ``value`` for the batch of x. Raises InputError where the counts do not match."""
        if self.value.shape[1:] != self.rotate(x).shape[1:] or len(self.value) not in (1, len(x)):
            raise InputError(
                f"the observation has shape {tuple(self.value.shape)}, a batch {tuple(x.shape)}: "
                "give one value for all, or as many as batch_size"
            )
        return self.value.to(x)


def inpainting(known: Tensor, mask: Tensor) -> Observation:
    """Return the observation of known (1 or B, *event) where mask (broadcastable, 0 or 1) is 1."""
    if not bool(((mask == 0) | (mask == 1)).all()):
        raise InputError("an inpainting mask holds zeros and ones, one where the value is known")
    return Observation(known, mask, lambda x: x, lambda x: x)


def colourisation(grey: Tensor) -> Observation:
    """Return the observation of the channel mean, grey (1 or B, 1, H, W), of colour images."""
    if grey.ndim != 4 or grey.shape[1] != 1:
        raise InputError(f"grey images have shape (B, 1, H, W); got {tuple(grey.shape)}")
    value = torch.cat([grey * 3**0.5, torch.zeros_like(grey), torch.zeros_like(grey)], 1)
    mask = torch.tensor([1.0, 0.0, 0.0], device=grey.device)[:, None, None]

    def turn(x: Tensor, basis: Tensor) -> Tensor:
        if x.shape[1] != 3:
            raise InputError(f"colourisation needs three channels; got {x.shape[1]}")
        return torch.einsum("ij,bjhw->bihw", basis.to(x), x)

    basis = torch.tensor(COLOUR_BASIS, dtype=torch.float64, device=grey.device)
    return Observation(value, mask, lambda x: turn(x, basis), lambda x: turn(x, basis.T))


def replacement(sde: SDE, observation: Observation, *, mean_from_noisy: bool = False) -> Constraint:
    """Return a constraint that overwrites the known coordinates after every step by noised ones.

    The noised coordinates are draws of x_t | x_0; at the end they equal the observation exactly.
    With ``mean_from_noisy`` x_mean is rebuilt from the noisy x, as in the published code, which
    undoes its final denoising of the unknown part.
    """

    def constrain(x: Tensor, x_mean: Tensor, time: Tensor | None, z: Tensor | None):
        value = observation.of_batch(x)
        if time is None:
            x = observation.combine(x, value)
            return x, x
        assert z is not None  # given with every time
        mean = per_sample(sde.scale(time), x) * value
        noised = mean + per_sample(sde.std(time), x) * z
        x_mean = observation.combine(x if mean_from_noisy else x_mean, mean)
        return observation.combine(x, noised), x_mean

    return constrain


def published_start(observation: Observation, prior: Tensor) -> Tensor:
    """Return the state (B, *event) at which the published code starts, from draws of the prior.

    Its known coordinates are clean, in place of noised, and the prior is masked before it is
    rotated, so that for a colourisation one channel is. Pass it as ``init`` of a sampler.
    """
    value, mask = observation.of_batch(prior), observation.mask.to(prior)
    return observation.unrotate(value * mask + observation.rotate(prior * (1 - mask)))


def guided(
    sde: SDE, score_fn: ScoreFn, observation: Observation, *, data_std: float = 1.0
) -> ScoreFn:
    """Return the score given the observation, by the gradient of log N(y; H E[x_0|x_t], r^2 I).

    r^2 = std^2 data_std^2 / (std^2 + scale^2 data_std^2), the posterior variance of data of this
    standard deviation. An evaluation takes one backward pass through the score.
    """

    def conditional(x: Tensor, t: Tensor) -> Tensor:
        value, mask = observation.of_batch(x), observation.mask.to(x)
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            score = score_fn(x, t)
            estimate = denoise(sde, lambda x, t: score, x, t)
            error = mask * (value - observation.rotate(estimate))
            (gradient,) = torch.autograd.grad(-0.5 * (error**2).sum(), x)
        scale2, variance = sde.scale(t) ** 2, sde.std(t) ** 2
        spread = data_std**2 * variance / (variance + data_std**2 * scale2)
        return score.detach() + gradient / per_sample(spread, x)

    return conditional


def class_conditional(
    score_fn: ScoreFn,
    classifier: Callable[[Tensor, Tensor], Tensor],
    label: Tensor | int,
    *,
    strength: float = 1.0,
) -> ScoreFn:
    """Return the score given a class: score + strength grad log P(label | x_t).

    Args:
        classifier: (x, t) -> (B, C) logits or log probabilities of noisy x.
        label: one class for all, or (B,) for the whole batch.
        strength: factor of the gradient.

    Raises InputError where the labels do not fit the batch.
    """

    labels_on = functools.cache(lambda device: torch.as_tensor(label, device=device).reshape(-1))

    def conditional(x: Tensor, t: Tensor) -> Tensor:
        labels = labels_on(x.device)
        if len(labels) not in (1, len(x)):
            raise InputError(f"{len(labels)} labels for a batch of {len(x)}: set batch_size to it")
        with torch.enable_grad():
            noisy = x.detach().requires_grad_()
            log_probs = torch.log_softmax(classifier(noisy, t), 1)
            chosen = log_probs.gather(1, labels.expand(len(x))[:, None]).sum()
            (gradient,) = torch.autograd.grad(chosen, noisy)
        return score_fn(x, t) + strength * gradient

    return conditional
