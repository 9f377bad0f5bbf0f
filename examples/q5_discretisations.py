"""SMLD and DDPM, the earlier score-based models, as discretisations of SDEs.

    SMLD  x_k = x_{k-1} + sqrt(sigma_k^2 - sigma_{k-1}^2) z  ->  dx = g dw,  g^2 = d sigma^2 / dt
    DDPM  x_k = sqrt(1 - beta_k) x_{k-1} + sqrt(beta_k) z    ->  dx = -beta x / 2 dt + sqrt(beta) dw

as the number of levels N grows (Song et al. 2021, arXiv:2011.13456, section 3.4 and appendix B).
Nothing here is random: the tables are compared with the processes in float64, and on Gaussian data
with the exact score every step of a sampler is affine, x -> a x + c + b z, so that the law of what
it samples follows exactly from probing the step at x = 0, x = 1 and z = 1.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from examples import drawing
from sde.analytic import gaussian
from sde.discrete import DDPMTable, SMLDTable
from sde.processes import VESDE, VPSDE
from sde.reference_compat import published_transition
from sde.samplers import PREDICTORS
from sde.samplers.schedules import published_times

NAME = "q5_discretisations"
LEVELS = (50, 100, 200, 500, 1000, 2000)
VE, VP = VESDE(0.01, 50.0), VPSDE(0.1, 20.0)
MEAN, STD = 0.3, 0.5  # of the Gaussian data on the line
EPS = 1e-5


@dataclass(frozen=True)
class Gaps:
    """Distances from the continuous limit; each list has one entry for each N."""

    levels: tuple[int, ...]
    step: dict[str, list[float]]  # of the variance added by one step, the largest of the chain
    marginal: dict[str, list[float]]  # of the deviation of x_k given x_0, the largest
    law: dict[str, list[float]]  # Wasserstein-2 of what the sampler makes from the data


def measure(levels: tuple[int, ...] = LEVELS) -> Gaps:
    """Measure every gap at every N."""
    return Gaps(
        levels,
        {"DDPM": [ddpm_step_gap(n) for n in levels], "SMLD": [smld_step_gap(n) for n in levels]},
        {"DDPM": [ddpm_marginal_gap(n) for n in levels]},
        {
            f"{name}, {predictor.replace('_', ' ')}": [
                sampled_gap(sde, predictor, n) for n in levels
            ]
            for name, sde in (("DDPM", VP), ("SMLD", VE))
            for predictor in ("ancestral", "reverse_diffusion")
        },
    )


def _edges(n: int) -> tuple[Tensor, Tensor]:
    """Times k/N and (k+1)/N around each step of the chain, (N,) each."""
    grid = torch.linspace(0, 1, n + 1, dtype=torch.float64)
    return grid[:-1], grid[1:]


def ddpm_step_gap(n: int) -> float:
    """max_k |beta_k - variance that the VP process adds over the k-th N-th of time|."""
    s, t = _edges(n)
    return (DDPMTable(0.1, 20.0, n).betas(s) - VP.transition(s, t)[1] ** 2).abs().max().item()


def smld_step_gap(n: int) -> float:
    """max_k |g(t_k)^2 dt - variance that the table adds at its k-th step| / sigma_max^2. The
    table's step is the exact transition between its levels; g^2 dt is Euler's."""
    sigmas = SMLDTable(0.01, 50.0, n).sigmas(torch.zeros(1, dtype=torch.float64))
    added = sigmas[1:] ** 2 - sigmas[:-1] ** 2
    t = torch.arange(1, n, dtype=torch.float64) / (n - 1)
    return (VE.diffusion(t) ** 2 / (n - 1) - added).abs().max().item() / VE.sigma_max**2


def ddpm_marginal_gap(n: int) -> float:
    """max_k |sqrt(1 - abar_k) - std((k+1)/N)|."""
    _, t = _edges(n)
    std = DDPMTable(0.1, 20.0, n).scale_and_std(torch.arange(n), t)[1]
    return (std - VP.std(t)).abs().max().item()


def sampled_gap(sde, predictor: str, n: int) -> float:
    """Wasserstein-2 distance of N(MEAN, STD^2) from the law of the last mean of the published
    n-level chain, run with the exact score from the prior."""
    variance = torch.tensor(STD**2, dtype=torch.float64)
    data = gaussian(torch.tensor([MEAN], dtype=torch.float64), variance)
    scheme = PREDICTORS[predictor](sde, data.score_fn(sde))
    intervals = published_transition(sde, published_times(n, EPS, "cpu"), n)
    zero, one = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    mean, variance = 0.0, sde.prior_std**2
    for i in range(n):
        c, c_mean = (part.item() for part in scheme.step(zero, intervals[i], zero))
        a = scheme.step(one, intervals[i], zero)[0].item() - c
        b = scheme.step(zero, intervals[i], one)[0].item() - c
        last = i == n - 1  # published: the noise of the last step is left out
        mean, variance = a * mean + (c_mean if last else c), a**2 * variance + (not last) * b**2
    return math.hypot(mean - MEAN, math.sqrt(variance) - STD)


def order(levels, gaps) -> float:
    """Return p of gap ~ N^-p, by least squares over the larger half of N."""
    half = len(levels) // 2
    return -np.polyfit(np.log(levels[half:]), np.log(gaps[half:]), 1)[0]


STYLES = (("o-", drawing.BLUE), ("s-", drawing.ORANGE), ("^--", drawing.SKY), ("v--", drawing.PINK))


def figure(found: Gaps):
    """One panel for each of the three gaps."""
    drawn, axes = drawing.panels(1, 3, 3.2)
    labels = ("of one step", "of the marginal (SMLD: none)", "of the samples")
    notes = ("|variance added − exact|", "|deviation − exact|", "Wasserstein-2 distance")
    for panel, results, title, note in zip(
        axes, (found.step, found.marginal, found.law), labels, notes, strict=True
    ):
        for (style, colour), (name, gaps) in zip(STYLES, results.items(), strict=False):
            panel.plot(found.levels, gaps, style, color=colour, ms=4, lw=1.2, label=name)
        panel.set(xscale="log", yscale="log", xlabel="levels N", ylabel=note, title=title)
        drawing.plain_ticks(panel.xaxis, (50, 200, 1000))
    for panel in axes[:2]:
        panel.legend(frameon=False, fontsize=8, loc="lower left")
    drawing.shared_legend(drawn, axes[2], 4)
    axes[2].set_xlabel("levels N (lines: below)")
    return drawn


def main(out: Path, **sizes) -> None:
    """Draw the figure and print the gaps and their orders."""
    found = measure(**sizes)
    drawing.save(figure(found), out, NAME)
    for what in ("step", "marginal", "law"):
        for name, gaps in getattr(found, what).items():
            cells = "  ".join(f"{n}: {g:.2e}" for n, g in zip(found.levels, gaps, strict=True))
            print(f"   {what:9s}{name}: {cells}  order {order(found.levels, gaps):.2f}")
