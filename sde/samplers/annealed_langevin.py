"""Annealed Langevin correction: the step size is set by the noise level, not by the score.

    x <- x + h score + sqrt(2 h) z,   h = 2 alpha (r std(t))^2,   alpha = scale_ts^2

(Song and Ermon 2019, arXiv:1907.05600, algorithm 1, in the form of Song et al. 2021.)
"""

from torch import Tensor

from sde.samplers.base import Corrector, langevin_update
from sde.samplers.langevin import langevin_step_size


class AnnealedLangevin(Corrector):
    """The step size of ``langevin`` for a score with |score| = |z| / std. Final."""

    def step(self, x, transition, z: Tensor):
        score = self.score_fn(x, transition.t)
        size = langevin_step_size(self.snr, self.sde.std(transition.t), transition.scale)
        return langevin_update(x, score, size, z)
