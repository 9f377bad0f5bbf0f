r"""The diffusion classifier: which class explains best what was removed by noise.

A density p has an exact denoiser D of features with noise s z. With gamma = 1 / s^2,

    log p(x) = - 1/2 int E |D(x + s z; s) - x|^2 dgamma     up to a term that is the same for all p

so two densities differ, at x, by the integral of the difference of their errors. One of the two is
the Gaussian of the class, whose log density is known:

    log p_c(x) = log N_c(x) - 1/2 int (|D_c(x + s z) - x|^2 - |D_N(x + s z) - x|^2) dgamma

over a few levels of s, with the same noise z and -z for all classes. The Gaussian is a control
variate: a denoiser without correction gives the Gaussian classifier exactly, and what is estimated
is only what the network adds. Classes that are not among the most likely by the Gaussians, seen and
unseen ones each on their own, score minus infinity.

Source: Kong, Brekelmans, Ver Steeg, "Information-theoretic diffusion" (arXiv:2302.03792), eq. 9; Li
et al., "Your diffusion model is secretly a zero-shot classifier" (arXiv:2303.16203).
"""

import torch
from torch import Tensor

from cizsl.closed_form.gaussian import GaussianClasses
from cizsl.score.denoiser import Condition, Denoiser, gaussian_denoiser

ROWS = 256  # images at a time


class DiffusionClassifier:
    """Scores of all classes: features (N, D) -> log densities up to a constant (N, C), float64.

    Args:
        denoiser: D.
        model: the Gaussians of all classes, seen ones first.
        signs: of the axes (r,).
        num_seen: how many of the classes are seen ones.
        rng: random numbers of the noise.
        levels: how many noise levels.
        ends: the smallest and the largest s.
        shortlist: how many seen and how many unseen classes have a score.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        model: GaussianClasses,
        signs: Tensor,
        num_seen: int,
        rng: torch.Generator,
        *,
        levels: int = 6,
        ends: tuple[float, float] = (0.2, 20.0),
        shortlist: int = 5,
    ):
        self.denoiser, self.model, self.signs = denoiser, model, signs
        self.num_seen, self.shortlist = num_seen, shortlist
        self.condition = Condition.of(model.mean * signs, model.variance)
        shape = (levels, model.mean.shape[1])
        self.noise = torch.randn(shape, generator=rng, device=rng.device)
        edges = torch.tensor(ends, device=rng.device).log()
        share = torch.arange(2 * levels + 1, device=rng.device) / (2 * levels)
        grid = (edges[0] + share * (edges[1] - edges[0])).exp()
        self.levels = grid[1::2]
        self.weights = grid[:-1:2] ** -2 - grid[2::2] ** -2  # of gamma

    @torch.no_grad()
    def __call__(self, features_ND: Tensor) -> Tensor:
        """Return the scores of images."""
        return torch.cat([self._scores(x) for x in features_ND.split(ROWS)])

    def _scores(self, features_ND: Tensor) -> Tensor:
        gaussian = self.model.log_density(features_ND)
        likely = self._likely(gaussian)  # (N, K)
        x = (self.model.coordinates(features_ND) * self.signs).float()
        rows = x.repeat_interleave(likely.shape[1], 0)
        excess = self._excess(rows, self.condition[likely.flatten()]).view_as(likely)
        scores = torch.full_like(gaussian, -torch.inf)
        return scores.scatter(1, likely, gaussian.gather(1, likely) - 0.5 * excess)

    def _likely(self, gaussian_NC: Tensor) -> Tensor:
        parts = gaussian_NC[:, : self.num_seen], gaussian_NC[:, self.num_seen :]
        best = [part.topk(min(self.shortlist, part.shape[1]), 1).indices for part in parts]
        return torch.cat([best[0], best[1] + self.num_seen], 1)

    def _excess(self, x: Tensor, c: Condition) -> Tensor:
        """Return the integral of the excess of squared errors, (B,) float64."""
        total = x.new_zeros(len(x), dtype=torch.float64)
        if self.denoiser.is_gaussian:
            return total
        for level, weight, z in zip(self.levels, self.weights, self.noise, strict=True):
            s = level[None]  # one row for all: what the network makes of it is computed once
            for y in (x + level * z, x - level * z):
                correction = self.denoiser.correction(y, s, c)
                error = gaussian_denoiser(y, s, c) - x
                total += weight / 2 * (correction * (correction + 2 * error)).sum(1)
        return total
