"""Langevin correction at time t, its step size from a signal-to-noise ratio r.

    x <- x + h score + sqrt(2 h) z,   h = 2 alpha (r |z| / |score|)^2,   alpha = scale_ts^2

(Song et al. 2021, algorithms 4 and 5). As published, |z| and |score| are means over the batch, so a
sample depends on its companions. ``LangevinPerSample`` takes each sample's own |score|, and sqrt(D)
for |z|. A step that depends on x leaves not p_t but p_t / h alone, here p_t |score|^2: off by 2 / D
in variance, nothing for images, much in the plane. (With its own |z| it would be twice that.) And
since a single score can all but vanish, it never takes more than four times the step of annealed
Langevin, which is the step at |score| = |z| / std.
"""

import math

import torch
from torch import Tensor

from sde.samplers.base import Corrector, langevin_update


class Langevin(Corrector):
    """The published step size, one for the batch. Final."""

    name = "langevin"

    def step(self, x, transition, z):
        score = self.score_fn(x, transition.t)
        ratio = event_norms(z).mean() / event_norms(score).mean()
        return langevin_update(x, score, langevin_step_size(self.snr, ratio, transition.scale), z)


class LangevinPerSample(Corrector):
    """A step size for each sample, so that no sample sees another. Final."""

    name = "langevin_per_sample"

    def step(self, x, transition, z):
        score = self.score_fn(x, transition.t)
        ratio = math.sqrt(x[0].numel()) / event_norms(score)
        ratio = torch.minimum(ratio, 2 * transition.std_t.to(ratio.dtype))
        return langevin_update(x, score, langevin_step_size(self.snr, ratio, transition.scale), z)


def langevin_step_size(snr: float, ratio: Tensor, scale: Tensor) -> Tensor:
    """h = 2 scale^2 (snr ratio)^2, for ratio () or (B,) and scale (1,) or (B,)."""
    return 2 * scale**2 * (snr * ratio) ** 2


def event_norms(x: Tensor) -> Tensor:
    """Euclidean norm of each event, (B,)."""
    return x.flatten(1).norm(dim=1)
