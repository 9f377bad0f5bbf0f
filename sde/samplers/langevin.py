"""Langevin correction at time t, its step size from a signal-to-noise ratio r.

    x <- x + h score + sqrt(2 h) z,   h = 2 alpha (r |z| / |score|)^2,   alpha = scale_ts^2

(Song et al. 2021, algorithms 4 and 5). As published, |z| and |score| are means over the batch, so a
sample depends on its companions; ``LangevinPerSample`` uses each sample's own norms. A single score
can all but vanish (between modes, or in few dimensions), so it never takes more than four times the
step of annealed Langevin, which is the step at |score| = |z| / std.
"""

import torch
from torch import Tensor

from sde.samplers.base import Corrector, langevin_update


class Langevin(Corrector):
    """The published step size, one for the batch. Final."""

    name = "langevin"

    def step(self, x, interval, z):
        score = self.score_fn(x, interval.t)
        ratio = event_norms(z).mean() / event_norms(score).mean()
        return langevin_update(x, score, langevin_step_size(self.snr, ratio, interval.scale), z)


class LangevinPerSample(Corrector):
    """A step size for each sample, so that no sample sees another. Final."""

    name = "langevin_per_sample"

    def step(self, x, interval, z):
        score = self.score_fn(x, interval.t)
        ratio = event_norms(z) / event_norms(score)
        ratio = torch.minimum(ratio, 2 * interval.std_t.to(ratio.dtype))
        return langevin_update(x, score, langevin_step_size(self.snr, ratio, interval.scale), z)


def langevin_step_size(snr: float, ratio: Tensor, scale: Tensor) -> Tensor:
    """h = 2 scale^2 (snr ratio)^2, for ratio () or (B,) and scale (1,) or (B,)."""
    return 2 * scale**2 * (snr * ratio) ** 2


def event_norms(x: Tensor) -> Tensor:
    """Euclidean norm of each event, (B,)."""
    return x.flatten(1).norm(dim=1)
