"""The reverse-time equations of a process, given its score.

    reverse SDE:       dx = (f x - g^2 score(x, t)) dt + g dw       (Song et al. 2021, eq. 6)
    probability flow:  dx = (f x - g^2 score(x, t) / 2) dt          (eq. 13)

Both transport p_1 to p_0 through the same marginals p_t; time runs from 1 down, so dt < 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sde.broadcast import per_sample
from sde.processes import SDE

ScoreFn = Callable[[Tensor, Tensor], Tensor]  # (x (B, ...), t (B,)) -> grad log p_t(x) (B, ...)


@dataclass(frozen=True)
class ReverseSDE:
    """A reverse-time equation with the marginals of ``sde``.

    ``score_weight`` 1 is the reverse SDE, 1/2 the probability flow. Made by ``reverse_sde`` and
    ``probability_flow``.
    """

    sde: SDE
    score_fn: ScoreFn
    score_weight: float

    def drift(self, x: Tensor, t: Tensor) -> Tensor:
        """f(t) x - weight g(t)^2 score(x, t), the shape of x; t is (B,) or (1,)."""
        weight = self.score_weight * self.sde.diffusion(t) ** 2
        return self.sde.drift(x, t) - per_sample(weight, x) * self.score_fn(x, t)

    def diffusion(self, t: Tensor) -> Tensor:
        """g(t) of the reverse SDE, 0 of the probability flow; the shape of t."""
        return self.sde.diffusion(t) if self.score_weight == 1 else torch.zeros_like(t)


def reverse_sde(sde: SDE, score_fn: ScoreFn) -> ReverseSDE:
    """The reverse-time SDE (eq. 6), with ``drift(x, t)`` and ``diffusion(t)``."""
    return ReverseSDE(sde, score_fn, 1.0)


def probability_flow(sde: SDE, score_fn: ScoreFn) -> ReverseSDE:
    """The probability-flow ODE (eq. 13), with ``drift(x, t)`` and ``diffusion(t)`` = 0."""
    return ReverseSDE(sde, score_fn, 0.5)
