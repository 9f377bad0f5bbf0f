r"""Guidance of the denoiser while it samples.

    classifier-free   D_w = D_c + w (D_c - D_0), D_0 with the null condition. For Gaussians of one
                      covariance the samples are exactly those of N(m + w (m - m_0), V).
    neighbours        D_w = D_c + w (D_c - D_-), D_- with the condition of a mixture of the texts of
                      the nearest seen classes: away from where seen-class bias pulls.
    entropy           D - c s^2 grad_y S(p, uniform), where p is the posterior of the seen classes
                      given the noisy feature and S a divergence of :mod:`cizsl.divergences`. It is
                      the creativity loss of CIZSL as an energy. In these coordinates the posterior
                      is closed: p_k ~ exp(-|y - mu_k|^2 / (2 (1 + s^2))). Off where s < 0.3.

Source: Ho and Salimans (arXiv:2207.12598), eq. 6; Elhoseiny and Elfeki (arXiv:1904.01109), eq. 4.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cizsl.score.denoiser import Condition, Denoiser
from sde.conditional.two_scores import extrapolate

LEAST_NOISE = 0.3  # of entropy guidance, as a noise ratio
Divergence = Callable[[Tensor], Tensor]  # posterior (B, S) -> (B,)


@dataclass(frozen=True, eq=False)
class Entropy:
    """Entropy guidance: its weight c, the divergence, and the means of seen classes (S, r)."""

    weight: float
    divergence: Divergence
    means: Tensor

    def shift(self, y: Tensor, s: Tensor) -> Tensor:
        """Return -c s^2 grad_y S, (B, r); zeros where s < 0.3."""
        square = s.square()[:, None]
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            logits = y @ self.means.T - 0.5 * self.means.square().sum(1)
            value = self.divergence((logits / (1 + square)).softmax(1)).sum()
            (gradient,) = torch.autograd.grad(value, y)
        return torch.where(square >= LEAST_NOISE**2, -self.weight * square * gradient, 0.0)


@dataclass(frozen=True, eq=False)
class Guided:
    """The guided denoiser of a batch of rows: (y, s) -> D.

    Args:
        denoiser: D.
        condition: of the rows.
        negatives: weights w, with the conditions that the samples are to leave.
        entropy: entropy guidance, or None.
    """

    denoiser: Denoiser
    condition: Condition
    negatives: tuple[tuple[float, Condition], ...] = ()
    entropy: Entropy | None = None

    def __call__(self, y: Tensor, s: Tensor) -> Tensor:
        wanted = self.denoiser(y, s, self.condition)
        others = ((w, self.denoiser(y, s, condition)) for w, condition in self.negatives)
        guided = extrapolate(wanted, *others)
        return guided if self.entropy is None else guided + self.entropy.shift(y, s)

    @property
    def mean(self) -> Tensor:
        """m + sum w (m - m_-): the mean of the samples where all are Gaussian, (B, r)."""
        m = self.condition.mean
        return m + sum(w * (m - other.mean) for w, other in self.negatives)
