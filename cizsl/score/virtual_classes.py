r"""Training features with the condition that they come with: virtual classes, or the seen ones.

A network that is conditioned on the means of S seen classes learns where these means lie, and pulls
an unseen class to the nearest of them. Two remedies make the condition in training as wrong as it
will be in use. Let image i of class y have coordinates x, and let class c have the prediction m_c
left out, and the variance V_c - 1 of its error.

``seen``     x as it is, with the condition (m_y, V_y): predictions that leave the class out.
``virtual``  a class that does not exist: with a class c drawn at random and

                 x' = x - mu_y + m_c + e,        e = (V_c - 1)^(1/2) u,
                 u = +- a^(1/2) u_i +- (1 - a)^(1/2) u_j

             where u_i is the left-out error of class i in units of its standard deviation. No mean
             of a seen class remains to be learnt, while images scatter as real ones do.

In a quarter of the rows the class is certain, as seen classes are when they are generated: the
mean mu_y or mu_c, and V = 1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from cizsl.closed_form.gaussian import GaussianClasses
from cizsl.score.denoiser import Condition

CERTAIN = 0.25  # share of the rows whose class mean is known


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Images of the seen classes, and what is known of their classes.

    ``images`` (N, r), their class ``labels`` (N,); ``means`` (S, r), ``left_out`` (S, r),
    ``variance`` (S, r): V of the left-out predictions. Everything in float32.
    """

    images: Tensor
    labels: Tensor
    means: Tensor
    left_out: Tensor
    variance: Tensor

    @classmethod
    def of(
        cls, classes: GaussianClasses, images: Tensor, labels: Tensor, signs: Tensor
    ) -> "TrainingSet":
        """Return the training set of images (N, D) with labels among ``classes``, the seen ones."""
        w = classes.coordinates(images) * signs
        means, left_out = classes.mean * signs, classes.left_out * signs
        variance = 1 + classes.error_variance
        return cls(w.float(), labels, means.float(), left_out.float(), variance.float())

    @property
    def rms(self) -> float:
        """Root mean square of the coordinates of the images."""
        return float(self.images.square().mean().sqrt())

    def unit_errors(self) -> Tensor:
        """Return the left-out errors in units of their standard deviation, (S, r)."""
        errors = self.left_out - self.means
        return errors / errors.square().mean(0).sqrt().clamp_min(1e-12)


def batch(
    data: TrainingSet, size: int, virtual: bool, rng: torch.Generator
) -> tuple[Tensor, Condition]:
    """Return ``size`` features (B, r) and their conditions."""
    rows = _draw(len(data.images), size, rng)
    own = data.labels[rows]
    classes = _draw(len(data.means), size, rng) if virtual else own
    certain = _uniform(size, rng)[:, None] < CERTAIN
    mean = torch.where(certain, data.means[classes], data.left_out[classes])
    variance = torch.where(certain, torch.ones_like(mean), data.variance[classes])
    x = data.images[rows]
    if virtual:
        x = x - data.means[own] + mean + (variance - 1).sqrt() * mixed_errors(data, size, rng)
    return x, Condition.of(mean, variance)


def mixed_errors(data: TrainingSet, count: int, rng: torch.Generator) -> Tensor:
    """Return u (count, r): signed mixtures of two classes' left-out errors, with unit variance."""
    errors = data.unit_errors()
    first, second = _draw(len(errors), count, rng), _draw(len(errors), count, rng)
    share = _uniform(count, rng)[:, None]
    signs = 2 * torch.randint(0, 2, (2, count, 1), generator=rng, device=rng.device) - 1
    return signs[0] * share.sqrt() * errors[first] + signs[1] * (1 - share).sqrt() * errors[second]


def _draw(count: int, size: int, rng: torch.Generator) -> Tensor:
    return torch.randint(0, count, (size,), generator=rng, device=rng.device)


def _uniform(size: int, rng: torch.Generator) -> Tensor:
    return torch.rand(size, generator=rng, device=rng.device)
