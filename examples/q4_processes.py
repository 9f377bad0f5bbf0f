"""VE, VP and sub-VP: variances over time, likelihoods and samples.

    VE      x_t = x_0 + sigma(t) z                     the noise grows without bound
    VP      x_t = sqrt(a) x_0 + sqrt(1 - a) z          variance 1 stays 1
    sub-VP  x_t = sqrt(a) x_0 + (1 - a) z              less noise than VP at every t

with a = exp(-int_0^t beta) (Song et al. 2021, arXiv:2011.13456, eqs. 29 to 33). One network budget:
the same perceptron, loss, iterations and seeds for each; only the process differs. The density of
the data is known, so the likelihood has a ceiling: the true mean log density of held-out points.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from examples import drawing
from examples.scores import (
    DATA,
    HELD_OUT,
    MEASURING,
    SAMPLING,
    continuous_loss,
    perceptron,
    score_error,
    score_of,
    spread,
    train,
)
from repro.seeding import generator
from sde import likelihood, metrics, samplers
from sde.processes import SDE, VESDE, VPSDE, SubVPSDE

NAME = "q4_processes"
PROCESSES = {"VE": VESDE(0.01, 50.0), "VP": VPSDE(0.1, 20.0), "sub-VP": SubVPSDE(0.1, 20.0)}
LIKELIHOOD_EPS = 1e-4
COLOURS = {
    "VE": (drawing.BLUE, "o-"),
    "VP": (drawing.ORANGE, "s--"),
    "sub-VP": (drawing.GREEN, "^-."),
}


@dataclass(frozen=True)
class Fit:
    """Measurements of one trained model."""

    lost: float  # true mean log density of held-out points less the model's, nats
    distance: float  # squared energy distance of samples from held-out points
    precise: float  # the same distance with the exact score: what the sampler alone leaves
    error: float  # of the score, std^2-weighted, mean over times uniform on [0.001, 1]
    nfe: int  # of the likelihood


def measure(
    iterations: int = 1000, samples: int = 4000, points: int = 500, seeds: int = 3
) -> dict[str, list[Fit]]:
    """One ``Fit`` for each process and seed."""
    return {
        name: [_fit(sde, iterations, samples, points, seed) for seed in range(seeds)]
        for name, sde in PROCESSES.items()
    }


def _fit(sde: SDE, iterations: int, samples: int, points: int, seed: int) -> Fit:
    network = perceptron(seed)
    train(network, continuous_loss(sde, network), DATA, iterations, seed)
    score = score_of(sde, network)
    held_out = DATA.sample(samples, generator(seed, "cpu", HELD_OUT))
    some = held_out[:points]
    result = likelihood.log_prob(sde, score, some, exact=True, eps=LIKELIHOOD_EPS)
    distances = []
    for field in (score, DATA.score_fn(sde)):
        drawn = samplers.solve(
            sde, field, (samples, 2), steps=50, generator=generator(seed, "cpu", SAMPLING)
        )
        distances.append(metrics.energy_distance(held_out, drawn.x).value)
    stream = generator(seed, "cpu", MEASURING)
    t = 1e-3 + 0.999 * torch.rand(samples, generator=stream)
    return Fit(
        (DATA.log_prob(some) - result.log_prob).mean().item(),
        *distances,
        score_error(score, DATA, sde, DATA.sample_at(sde, t, stream), t),
        result.nfe,
    )


def variances(sde: SDE, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Variance of x_t given x_0, and of x_t, for data of variance 1: (T,) each."""
    noise = sde.std(t) ** 2
    return noise, noise + sde.scale(t) ** 2


def figure(fits: dict[str, list[Fit]]):
    """Variances over time; likelihood; samples."""
    drawn, axes = drawing.panels(1, 3, 3.0, width_ratios=(1.5, 1, 1))
    t = torch.linspace(1e-3, 1, 300, dtype=torch.float64)
    for name, sde in PROCESSES.items():
        noise, total = variances(sde, t)
        colour, style = COLOURS[name]
        axes[0].plot(t, noise, style[1:], color=colour, lw=1.4, label=f"{name}: noise")
        axes[0].plot(t, total, ":", color=colour, lw=1.6, label=f"{name}: data + noise")
    axes[0].set(yscale="log", ylim=(1e-4, 5e3), xlabel="time t", ylabel="variance")
    axes[0].set(title="variances, data of variance 1")
    drawing.shared_legend(drawn, axes[0], 3)
    _dots(axes[1], fits, "lost", "nats lost to the truth", "log density, held out")
    _dots(axes[2], fits, "distance", "1000 energy distance²", "samples (×: exact score)", 1000)
    for place, name in enumerate(fits):
        values = [1000 * fit.precise for fit in fits[name]]
        axes[2].plot([place + 0.2] * len(values), values, "x", color=drawing.GREY, ms=5)
    return drawn


def _dots(panel, fits, field: str, label: str, title: str, unit: float = 1) -> None:
    for place, (name, models) in enumerate(fits.items()):
        colour, style = COLOURS[name]
        values = [unit * getattr(model, field) for model in models]
        panel.plot([place] * len(values), values, style[0], color=colour, ms=5, mfc="none")
    panel.set_xticks(range(len(fits)), fits)
    panel.set(ylabel=label, title=title, xlim=(-0.5, len(fits) - 0.5))
    panel.axhline(0, color=drawing.BLACK, lw=0.8)


def main(out: Path, **sizes) -> None:
    """Draw the figure and print the results of each process."""
    fits = measure(**sizes)
    drawing.save(figure(fits), out, NAME)
    for name, models in fits.items():
        print(f"   {name:7s}lost {spread((m.lost for m in models), 4)} nats  "
              f"energy distance² {spread((m.distance for m in models), 5)}, exact score "
              f"{spread((m.precise for m in models), 5)}  "
              f"score error {spread((m.error for m in models), 5)}  "
              f"evaluations of the likelihood {spread((m.nfe for m in models), 0)}")  # fmt: skip
