"""The cost of discrete noise levels, compared with a continuum.

    discrete     E_k sigma_k^2 |network(x_0 + sigma_k z, k) + z / sigma_k|^2,   k = 0..N-1
    continuous   the same over every t in [0, 1], sigma(t) = sigma_min (sigma_max/sigma_min)^t

(Song and Ermon 2019, arXiv:1907.05600; Song et al. 2021, arXiv:2011.13456, section 3.) One network
budget for every N. The network is told log sigma, a number, so it can be asked between the levels
that it was trained on; one that looks its level up in a table could not. Measured: the error of the
score at the levels and half way between them, samples from the published N-level chain and from 200
steps through levels never trained, and the likelihood that the flow through them gives.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from examples import drawing
from examples.scores import (
    DATA,
    HELD_OUT,
    MEASURING,
    SAMPLING,
    LossFn,
    continuous_loss,
    perceptron,
    score_error,
    score_of,
    spread,
    train,
)
from repro.errors import InputError
from repro.seeding import generator
from sde import likelihood, losses, metrics, samplers
from sde.discrete import SMLDTable
from sde.processes import VESDE
from sde.reverse import ScoreFn

NAME = "q7_noise_levels"
PROCESS = VESDE(0.02, 10.0)
LEVELS = (3, 5, 10, 30, 100, 1000)
LIKELIHOOD_EPS = 1e-3
FINE_STEPS = 200
LEAST = 1e-4  # what is drawn for less: an unbiased distance may be negative


@dataclass(frozen=True)
class Fit:
    """Measurements of one model; distances are squared energy distances from held-out points."""

    at_levels: float  # error of the score, mean over the N levels
    between: float  # the same half way between neighbours
    own_chain: float  # samples of the N-level chain; of 1000 steps for the continuum
    fine: float  # samples of 200 ancestral steps through any time
    lost: float  # nats of the flow's log density below the true one; nan where the solver stalls


def measure(
    levels=LEVELS, iterations: int = 1000, samples: int = 2000, points: int = 300, seeds: int = 2
) -> dict[int | None, list[Fit]]:
    """One ``Fit`` for each number of levels, None for the continuum, and seed."""
    return {
        n: [_fit(n, iterations, samples, points, seed) for seed in range(seeds)]
        for n in (*levels, None)
    }


def discrete_loss(network: nn.Module, n: int) -> LossFn:
    """The loss of SMLD on n levels; u chooses the level."""
    table, score = SMLDTable(PROCESS.sigma_min, PROCESS.sigma_max, n), score_of(PROCESS, network)

    def at_label(x: Tensor, label: Tensor) -> Tensor:
        return score(x, 1 - label.to(x.dtype) / (n - 1))  # labels count from the largest sigma

    def loss(x0: Tensor, u: Tensor, z: Tensor) -> Tensor:
        return losses.smld(table, at_label, x0, (u * n).long(), z).loss

    return loss


def _fit(n: int | None, iterations: int, samples: int, points: int, seed: int) -> Fit:
    network = perceptron(seed)
    loss = discrete_loss(network, n) if n else continuous_loss(PROCESS, network)
    score = score_of(PROCESS, train(network, loss, DATA, iterations, seed))
    held_out = DATA.sample(samples, generator(seed, "cpu", HELD_OUT))
    steps = n or 1000
    return Fit(
        _error(score, torch.linspace(0, 1, steps), samples, seed),
        _error(score, (torch.arange(steps - 1) + 0.5) / (steps - 1), samples, seed),
        _distance(score, held_out, seed, steps, "published"),
        _distance(score, held_out, seed, FINE_STEPS, "exact"),
        _lost(score, held_out[:points]),
    )


def _error(score: ScoreFn, moments: Tensor, samples: int, seed: int) -> float:
    """The error of the score at times drawn evenly from ``moments``, none below 1e-5."""
    t = moments.clamp(min=1e-5).repeat(-(-samples // len(moments)))
    x = DATA.sample_at(PROCESS, t, generator(seed, "cpu", MEASURING))
    return score_error(score, DATA, PROCESS, x, t)


def _distance(score: ScoreFn, held_out: Tensor, seed: int, steps: int, grid: str) -> float:
    drawn = samplers.sample(
        PROCESS, score, held_out.shape, predictor="ancestral", steps=steps, grid=grid,
        generator=generator(seed, "cpu", SAMPLING),
    )  # fmt: skip
    return metrics.energy_distance(held_out, drawn.x).value


def _lost(score: ScoreFn, x: Tensor) -> float:
    t = torch.tensor([LIKELIHOOD_EPS])
    x = x + PROCESS.std(t) * torch.randn(x.shape, generator=generator(0))
    try:
        result = likelihood.log_prob(
            PROCESS, score, x, exact=True, eps=LIKELIHOOD_EPS, rtol=1e-3, atol=1e-3
        )
    except InputError:  # the field is too rough for the solver
        return float("nan")
    return (DATA.log_prob(x, PROCESS, t) - result.log_prob).mean().item()


def figure(fits: dict[int | None, list[Fit]]):
    """Score, samples and likelihood over N, the continuum as a line."""
    drawn, axes = drawing.panels(1, 3, 3.2)
    _lines(axes[0], fits, {"at_levels": "at the levels", "between": "half way between"})
    axes[0].set(title="error of the score", ylabel="sigma² |error|² per dimension")
    _lines(axes[1], fits, {"own_chain": "N-level chain", "fine": "200 steps, any level"})
    axes[1].set(title="samples", ylabel="energy distance²")
    _lines(axes[2], fits, {"lost": "through any level"})
    axes[2].set(title="likelihood by the flow", ylabel="nats below the truth")
    for panel in axes:
        panel.set(xscale="log", yscale="log", xlabel="levels N in training")
        drawing.plain_ticks(panel.xaxis, (3, 10, 100, 1000))
        panel.legend(frameon=False, fontsize=7.5)
    return drawn


def _lines(panel, fits, fields: dict[str, str]) -> None:
    styles = ((drawing.BLUE, "o-"), (drawing.ORANGE, "s--"))
    levels = [n for n in fits if n]
    for (field, label), (colour, style) in zip(fields.items(), styles, strict=False):
        values = torch.tensor([[getattr(fit, field) for fit in fits[n]] for n in levels])
        panel.plot(
            levels, values.mean(1).clamp(min=LEAST), style, color=colour, ms=4, lw=1.2, label=label
        )
        low, high = (v.clamp(min=LEAST) for v in values.aminmax(dim=1))
        panel.fill_between(levels, low, high, color=colour, alpha=0.2, lw=0)
    continuum = [getattr(fit, next(reversed(fields))) for fit in fits[None]]
    height = max(LEAST, sum(continuum) / len(continuum))
    panel.axhline(height, color=drawing.BLACK, lw=0.9, ls=":", label="continuum")


def main(out: Path, **sizes) -> None:
    """Draw the figure and print the results for every number of levels."""
    fits = measure(**sizes)
    drawing.save(figure(fits), out, NAME)
    for n, models in fits.items():
        print(f"   {f'N = {n}' if n else 'continuum':10s}"
              f"error at levels {spread((m.at_levels for m in models), 4)}, "
              f"between {spread((m.between for m in models), 4)}; energy distance² "
              f"own chain {spread((m.own_chain for m in models), 4)}, "
              f"200 steps {spread((m.fine for m in models), 4)}; "
              f"nats lost {spread(m.lost for m in models)}")  # fmt: skip
