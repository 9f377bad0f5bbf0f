"""Euler-Maruyama, Langevin and predictor-corrector: where each fails.

    Euler-Maruyama    x <- x - (f x - g^2 score) dt + g sqrt(dt) z     once at each time, down
    Langevin          x <- x + h score + sqrt(2 h) z                   again and again at one time
    both              Song et al. 2021 (arXiv:2011.13456), algorithm 1: predict, then correct

The score is exact, so that every failure is the sampler's own. Three are looked for: modes (does
the lighter of two get its share?), the step of the corrector (the signal-to-noise ratio r of
algorithms 4 and 5), and the number of evaluations.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from examples import drawing
from examples.scores import DATA, spread
from repro.seeding import generator
from sde import metrics, samplers
from sde.analytic import Mixture
from sde.processes import VESDE
from sde.samplers.base import langevin_update

NAME = "q3_samplers"
PROCESS = VESDE(0.01, 10.0)
LIGHT, WIDTH = 0.2, 0.15  # weight of the lighter of two modes, and the deviation of both
DISTANCES = (0.4, 0.7, 1.0, 1.5, 2.0, 3.0)  # between them
RATIOS = (0.02, 0.05, 0.1, 0.16, 0.3, 0.5, 0.8)  # r of the corrector
BUDGETS = (6, 10, 20, 50, 100, 200, 500)  # evaluations of the score
PUBLISHED = 0.16  # r of the published VE models

# predictor, corrector
PARTS = {
    "Euler-Maruyama": ("euler_maruyama", "none"),
    "annealed Langevin": ("none", "annealed_langevin"),
    "predictor-corrector": ("euler_maruyama", "annealed_langevin"),
}


@dataclass(frozen=True)
class Failures:
    """Results by sampler and by the varied quantity, one number for each seed."""

    light: dict[str, dict[float, list[float]]]  # share on the lighter mode's side
    ratios: dict[str, dict[float, list[float]]]  # energy distance squared, at 200 evaluations
    budgets: dict[str, dict[int, list[float]]]  # the same at the published r
    floor: list[float]  # of that distance: exact draws


def measure(samples: int = 2000, seeds: int = 3, budgets=BUDGETS, budget: int = 200) -> Failures:
    """Run every sampler in every setting."""
    each = range(seeds)
    share = {
        name: {d: [_light_share(name, d, samples, seed) for seed in each] for d in DISTANCES}
        for name in ("Langevin at t = 0", *PARTS)
    }
    ratios = {
        name: {r: [_distance(name, budget, r, samples, s) for s in each] for r in RATIOS}
        for name in ("annealed Langevin", "predictor-corrector")
    }
    costs = {
        name: {n: [_distance(name, n, PUBLISHED, samples, s) for s in each] for n in budgets}
        for name in PARTS
    }
    floor = [metrics.energy_distance(*_exact(samples, s).chunk(2)).value for s in each]
    return Failures(share, ratios, costs, floor)


def _exact(samples: int, seed: int) -> Tensor:
    return DATA.sample(2 * samples, generator(seed, "cpu", 1))


def _distance(name: str, evaluations: int, snr: float, samples: int, seed: int) -> float:
    """Return the squared energy distance of samples from the same number of exact draws."""
    x = run(name, DATA, evaluations, snr, samples, seed)
    return metrics.energy_distance(_exact(samples, seed)[:samples], x).value


def run(name: str, data: Mixture, evaluations: int, snr: float, samples: int, seed: int) -> Tensor:
    """Samples (N, 2) of the named sampler at about this many evaluations of the exact score."""
    predictor, corrector = PARTS[name]
    steps = evaluations // 2 if "none" not in (predictor, corrector) else evaluations
    return samplers.sample(
        PROCESS, data.score_fn(PROCESS), (samples, 2), predictor=predictor, corrector=corrector,
        snr=snr, steps=steps, generator=generator(seed),
    ).x  # fmt: skip


def _light_share(name: str, distance: float, samples: int, seed: int) -> float:
    data = two_modes(distance)
    if name in PARTS:
        x = run(name, data, 200, PUBLISHED, samples, seed)
    else:
        x = langevin_from_noise(data, 200, samples, seed)
    return (x[:, 0] > 0).double().mean().item()


def two_modes(distance: float) -> Mixture:
    """The heavier mode on the left, the lighter on the right."""
    centres = torch.tensor([[-distance / 2, 0.0], [distance / 2, 0.0]])
    weights = torch.tensor([1 - LIGHT, LIGHT])
    return Mixture(centres, torch.full((2,), WIDTH**2), weights)


def true_share(distance: float) -> float:
    """P(x_1 > 0) of two modes this far apart."""
    tail = torch.special.ndtr(torch.tensor(distance / 2 / WIDTH)).item()
    return LIGHT * tail + (1 - LIGHT) * (1 - tail)


def langevin_from_noise(data: Mixture, moves: int, samples: int, seed: int) -> Tensor:
    """Samples (N, 2): Langevin on p_0 itself, from N(0, I), with steps of WIDTH^2 / 5."""
    stream = generator(seed)
    x, size = torch.randn(samples, 2, generator=stream), torch.tensor([WIDTH**2 / 5])
    for _ in range(moves):
        z = torch.randn(x.shape, generator=stream)
        x, _ = langevin_update(x, data.score(x), size, z)
    return x


COLOURS = {
    "Langevin at t = 0": (drawing.GREY, "v:"),
    "Euler-Maruyama": (drawing.BLUE, "o-"),
    "annealed Langevin": (drawing.ORANGE, "s--"),
    "predictor-corrector": (drawing.GREEN, "^-."),
}


def figure(found: Failures):
    """Modes, step and evaluations, one panel each."""
    drawn, axes = drawing.panels(1, 3, 3.2)
    _lines(axes[0], found.light, 0)
    axes[0].plot(DISTANCES, list(map(true_share, DISTANCES)), color=drawing.BLACK, lw=1)
    axes[0].set(xlabel="distance of the two modes", ylabel="share on the lighter side")
    axes[0].set(title="modes (black: true share)", ylim=(0, 0.6))
    _lines(axes[1], found.ratios, _floor(found) / 2)
    axes[1].set(xlabel="r of the corrector", ylabel="energy distance²")
    axes[1].set(title="step, at 200 evaluations", xscale="log", yscale="log")
    drawing.plain_ticks(axes[1].xaxis, (0.02, 0.05, 0.16, 0.5))
    _lines(axes[2], found.budgets, _floor(found) / 2)
    axes[2].set(xlabel="evaluations of the score", ylabel="energy distance²")
    axes[2].set(title=f"evaluations, at r = {PUBLISHED}", xscale="log", yscale="log")
    drawing.plain_ticks(axes[2].xaxis, (6, 20, 100, 500))
    for panel in axes[1:]:
        panel.axhspan(_floor(found) / 3, _floor(found), color=drawing.GREY, alpha=0.25, lw=0)
        panel.set_ylim(bottom=_floor(found) / 3)
    axes[0].fill([], [], color=drawing.GREY, alpha=0.25, lw=0, label="between exact samples")
    drawing.shared_legend(drawn, axes[0], 3)
    return drawn


def _floor(found: Failures) -> float:
    """Return the largest distance between two exact samples; smaller distances mean nothing."""
    return max(map(abs, found.floor))


def _lines(panel, results: dict, least: float) -> None:
    for name, line in results.items():
        colour, style = COLOURS[name]
        values = torch.tensor(list(line.values()))
        panel.plot(
            list(line),
            values.mean(1).clamp(min=least),
            style,
            color=colour,
            ms=4,
            lw=1.2,
            label=name,
        )
        low, high = (v.clamp(min=least) for v in values.aminmax(dim=1))
        panel.fill_between(list(line), low, high, color=colour, alpha=0.2, lw=0)


def main(out: Path, **sizes) -> None:
    """Draw the figure and print its numbers."""
    found = measure(**sizes)
    drawing.save(figure(found), out, NAME)
    for what, results, digits in (
        ("share on the side of the lighter mode, at distance", found.light, 3),
        ("energy distance² at r =", found.ratios, 5),
        ("energy distance² at evaluations =", found.budgets, 5),
    ):
        print(f"   {what}")
        for name, line in results.items():
            cells = "  ".join(f"{x:g}: {spread(values, digits)}" for x, values in line.items())
            print(f"      {name}: {cells}")
    truth = "  ".join(f"{d:g}: {true_share(d):.3f}" for d in DISTANCES)
    print(f"   true share: {truth}")
    print(f"   two exact samples: {spread(found.floor, 5)}, at most {_floor(found):.5f} in size")
