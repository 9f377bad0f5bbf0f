"""Langevin correction at time t, with a step size set by a signal-to-noise ratio r.

    x <- x + h score + sqrt(2 h) z,   h = 2 alpha (r |z| / |score|)^2,   alpha = scale_ts^2
    annealed:                         h = 2 alpha (r std(t))^2

(Song et al. 2021, algorithms 4 and 5). As published, |z| and |score| are means over the batch, so a
sample depends on the others in its batch. ``LangevinPerSample`` uses each sample's own |score|, and
sqrt(D) for |z|. A step size h(x) leaves p_t / h invariant in place of p_t, here p_t |score|^2. This
changes the variance by a factor of about 1 + 2 / D, which is negligible for images and large in the
plane. (With each sample's own |z| the change would be twice that.) A single score can be close to
zero; therefore h is bounded by four times the step of annealed Langevin, the step size at
|score| = |z| / std. The annealed step size (Song and Ermon 2019, arXiv:1907.05600, algorithm 1)
is set by the noise level alone.
"""

import math

import torch
from torch import Tensor

from sde.samplers.base import Corrector, langevin_update


class Langevin(Corrector):
    """The published step size, one for the batch. Final."""

    def step(self, x, transition, z: Tensor):
        score = self.score_fn(x, transition.t)
        ratio = event_norms(z).mean() / event_norms(score).mean()
        return langevin_update(x, score, langevin_step_size(self.snr, ratio, transition.scale), z)


class LangevinPerSample(Corrector):
    """A step size for each sample, independent of the other samples. Final."""

    def step(self, x, transition, z: Tensor):
        score = self.score_fn(x, transition.t)
        ratio = math.sqrt(x[0].numel()) / event_norms(score)
        ratio = torch.minimum(ratio, 2 * transition.std_t.to(ratio.dtype))
        return langevin_update(x, score, langevin_step_size(self.snr, ratio, transition.scale), z)


class AnnealedLangevin(Corrector):
    """The step size of ``Langevin`` for a score with |score| = |z| / std. Final."""

    def step(self, x, transition, z: Tensor):
        score = self.score_fn(x, transition.t)
        size = langevin_step_size(self.snr, self.sde.std(transition.t), transition.scale)
        return langevin_update(x, score, size, z)


def langevin_step_size(snr: float, ratio: Tensor, scale: Tensor) -> Tensor:
    """Return h = 2 scale^2 (snr ratio)^2, for ratio () or (B,) and scale (1,) or (B,)."""
    return 2 * scale**2 * (snr * ratio) ** 2


def event_norms(x: Tensor) -> Tensor:
    """Return the Euclidean norm of each sample, (B,)."""
    return x.flatten(1).norm(dim=1)
