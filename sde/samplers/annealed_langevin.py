"""Annealed Langevin correction: the step follows the noise level, not the score.

    x <- x + h score + sqrt(2 h) z,   h = 2 alpha (r std(t))^2,   alpha = scale_ts^2

(Song and Ermon 2019, arXiv:1907.05600, algorithm 1, in the form of Song et al. 2021.)
"""

from sde.samplers.base import Corrector, langevin_update
from sde.samplers.langevin import langevin_step_size


class AnnealedLangevin(Corrector):
    """The step |z| / |score| would give if |score| were |z| / std. Final."""

    name = "annealed_langevin"

    def step(self, x, transition, z):
        score = self.score_fn(x, transition.t)
        size = langevin_step_size(self.snr, self.sde.std(transition.t), transition.scale)
        return langevin_update(x, score, size, z)
