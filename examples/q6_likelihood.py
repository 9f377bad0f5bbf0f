"""The likelihood through the probability flow, and the bound for the SDE.

    flow:  log p_ode(x) = log prior(x_1) + int_0^1 div v dt       along one path, exactly
           (Song et al. 2021, arXiv:2011.13456, eq. 39)
    SDE:   log p_sde(x) >= E[ log prior(x_1) - int_0^1 (g^2 |s|^2 / 2 + g^2 div s - div f) dt ]
           over noisy paths that start at x   (arXiv:2101.09258, theorem 3, by partial integration)

The SDE gets from noise to x by infinitely many paths, and its density is their sum: only a bound of
it is at hand. With the exact score and prior all three agree. With another, the flow and the SDE
are different models. On Gaussian data with the score multiplied by c both densities are Gaussians
whose moments follow from linear equations, so that model, bound and integral can all be compared.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from examples import drawing
from examples.scores import (
    DATA,
    HELD_OUT,
    MEASURING,
    continuous_loss,
    perceptron,
    score_of,
    spread,
    train,
)
from repro.seeding import generator
from sde import likelihood
from sde.analytic import Mixture, gaussian
from sde.processes import SDE, VPSDE
from sde.reverse import ScoreFn

NAME = "q6_likelihood"
PROCESS = VPSDE(0.1, 20.0)
EPS = 1e-3  # the time at which the density is computed
LINE = gaussian(torch.tensor([0.3]), torch.tensor(0.25))
FACTORS = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
DRAWS = 8  # of a path's point at each time of the bound's integral
LOOKS = (30, 60, 120, 250, 500, 1000)  # iterations of training at which the model is measured


@dataclass(frozen=True)
class Densities:
    """Mean log densities of points of the data at ``EPS``, in nats, by what varies (a factor, or
    iterations of training): one number for each seed."""

    truth: dict[float, list[float]]
    flow: dict[float, list[float]]  # by the integral along the flow
    bound: dict[float, list[float]]  # of the SDE
    flow_model: dict[float, float] | None = None  # the closed forms, on the line
    sde_model: dict[float, float] | None = None


def measure(points: int = 1000, moments: int = 400, seeds: int = 3) -> tuple[Densities, Densities]:
    """Measure on the line with factors, and in the plane with a network in training."""
    return _on_the_line(points, moments, seeds), _in_training(points // 2, moments, seeds)


def sde_bound(
    sde: SDE, score: ScoreFn, x: Tensor, stream: torch.Generator, moments: int, prior_log_prob=None
) -> Tensor:
    """An unbiased estimate of the bound at x (N, D), data at ``EPS``: (N,) nats.

    ``DRAWS`` path points x_t | x at each of ``moments`` times, one time from each equal part of
    [EPS, 1], with the exact divergence. ``prior_log_prob`` stands in for the prior's.
    """
    count, x = len(x), x.repeat(DRAWS, 1)
    start = torch.tensor([EPS])
    integral = torch.zeros(len(x))
    for i in range(moments):
        t = EPS + (1 - EPS) * (i + torch.rand(1, generator=stream)) / moments
        scale, std = sde.transition(start, t)
        y = scale * x + std * torch.randn(x.shape, generator=stream)
        s, divergence = score_and_divergence(score, y, t.expand(len(x)))
        g2 = sde.diffusion(t) ** 2
        integrand = g2 * (s.square().sum(1) / 2 + divergence) - x.shape[1] * sde.drift_rate(t)
        integral += integrand * (1 - EPS) / moments
    scale, std = sde.transition(start, torch.ones(1))
    end = scale * x + std * torch.randn(x.shape, generator=stream)
    values = (prior_log_prob or sde.prior_log_prob)(end) - integral
    return values.reshape(DRAWS, count).mean(0)


def score_and_divergence(score: ScoreFn, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """s (N, D) and div s (N,) at x (N, D), t (N,), by one product for each dimension."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        s = score(x, t)
        parts = [
            torch.autograd.grad(s[:, d].sum(), x, retain_graph=True)[0][:, d]
            for d in range(x.shape[1])
        ]
    return s.detach(), torch.stack(parts).sum(0)


def scaled_score(factor: float) -> ScoreFn:
    """The exact score of ``LINE`` times ``factor``."""
    return lambda x, t: factor * LINE.score(x, PROCESS, t)


def model_moments(factor: float, noise: bool, steps: int = 4000) -> tuple[float, float]:
    """Mean and variance at ``EPS`` of what the reverse SDE (``noise``) or the flow makes of the
    prior with ``scaled_score(factor)``, by Heun's method on their linear equations.

    With u = x - scale m and k = factor (1 or 1/2) g^2 / (scale^2 v + std^2), the drift is
    f x + k u.
    """
    m, v = LINE.means.item(), LINE.variances.item()
    times = torch.linspace(1, EPS, steps + 1, dtype=torch.float64)
    scale, g2 = PROCESS.scale(times), PROCESS.diffusion(times) ** 2
    total = scale**2 * v + PROCESS.std(times) ** 2
    rate = PROCESS.drift_rate(times) + factor * (1.0 if noise else 0.5) * g2 / total
    offset, variance = -scale[0].item() * m, 1.0  # of the prior, in u
    h = (1 - EPS) / steps
    for a, b, g2_a, g2_b in zip(rate[:-1], rate[1:], g2[:-1], g2[1:], strict=True):
        a, b = a.item(), b.item()
        add_a, add_b = (g2_a.item(), g2_b.item()) if noise else (0.0, 0.0)
        slope = add_a - 2 * a * variance
        variance += h / 2 * (slope + add_b - 2 * b * (variance + h * slope))
        slope = -a * offset
        offset += h / 2 * (slope - b * (offset + h * slope))
    return offset + scale[-1].item() * m, variance


def _mean_log_normal(x: Tensor, mean: float, variance: float) -> float:
    squares = (x.double() - mean).square().mean().item()
    return -0.5 * (squares / variance + math.log(2 * math.pi * variance))


def _on_the_line(points: int, moments: int, seeds: int) -> Densities:
    truth, flow, bound = ({factor: [] for factor in FACTORS} for _ in range(3))
    flow_model, sde_model = {}, {}
    for factor in FACTORS:
        for seed in range(seeds):
            x = LINE.sample_at(
                PROCESS, torch.full((points,), EPS), generator(seed, "cpu", HELD_OUT)
            )
            values = _compare(LINE, scaled_score(factor), x, moments, seed)
            for store, value in zip((truth, flow, bound), values, strict=True):
                store[factor].append(value)
            if seed == 0:
                flow_model[factor] = _mean_log_normal(x, *model_moments(factor, noise=False))
                sde_model[factor] = _mean_log_normal(x, *model_moments(factor, noise=True))
    return Densities(truth, flow, bound, flow_model, sde_model)


def _in_training(points: int, moments: int, seeds: int) -> Densities:
    truth, flow, bound = ({look: [] for look in LOOKS} for _ in range(3))
    for seed in range(seeds):
        network = perceptron(seed)
        x = DATA.sample_at(PROCESS, torch.full((points,), EPS), generator(seed, "cpu", HELD_OUT))

        def watch(iteration: int, network=network, x=x, seed=seed) -> None:
            if iteration in LOOKS:
                values = _compare(DATA, score_of(PROCESS, network), x, moments // 4, seed)
                for store, value in zip((truth, flow, bound), values, strict=True):
                    store[iteration].append(value)

        train(network, continuous_loss(PROCESS, network), DATA, max(LOOKS), seed, watch=watch)
    return Densities(truth, flow, bound)


def _compare(data: Mixture, score: ScoreFn, x: Tensor, moments: int, seed: int):
    """Means over x (N, D) of log p_EPS, of the flow's and of the bound."""
    stream = generator(seed, "cpu", MEASURING)
    flow = likelihood.log_prob(PROCESS, score, x, exact=True, eps=EPS, rtol=1e-4, atol=1e-4)
    bound = sde_bound(PROCESS, score, x, stream, moments)
    truth = data.log_prob(x, PROCESS, torch.tensor([EPS]))
    return truth.mean().item(), flow.log_prob.mean().item(), bound.mean().item()


def figure(line: Densities, training: Densities):
    """What is lost to the truth: on the line, over the factor; in the plane, over training."""
    drawn, axes = drawing.panels(1, 2, 3.4)
    for panel, found in zip(axes, (line, training), strict=True):
        for name, colour, style in (("flow", drawing.BLUE, "o"), ("bound", drawing.ORANGE, "s")):
            lost = torch.tensor(_lost(found, name))
            label = {"flow": "flow, by its integral", "bound": "SDE, the bound"}[name]
            panel.errorbar(
                list(found.truth), lost.mean(1), lost.std(1), fmt=style, color=colour, ms=4.5,
                mfc="none", lw=1, label=label,
            )  # fmt: skip
        panel.axhline(0, color=drawing.BLACK, lw=0.8)
        panel.set_ylabel("nats below the true log density")
    for model, colour, label in (
        (line.flow_model, drawing.SKY, "flow, closed form"),
        (line.sde_model, drawing.GREEN, "SDE, closed form"),
    ):
        lost = [line.truth[c][0] - value for c, value in model.items()]
        axes[0].plot(list(model), lost, color=colour, lw=1.4, label=label)
    axes[0].set(xlabel="factor c on the exact score", title="Gaussian on the line")
    axes[0].set_yscale("symlog", linthresh=0.1, linscale=0.5)
    axes[0].legend(frameon=False, fontsize=8)
    axes[1].set(xlabel="iterations of training", title="network in the plane")
    axes[1].set(xscale="log", yscale="log", ylim=(0.01, 3))
    drawing.plain_ticks(axes[1].xaxis, LOOKS)
    axes[1].legend(frameon=False, fontsize=8)
    return drawn


def _lost(found: Densities, name: str) -> list[list[float]]:
    other = getattr(found, name)
    return [
        [truth - value for truth, value in zip(found.truth[key], other[key], strict=True)]
        for key in found.truth
    ]


def main(out: Path, **sizes) -> None:
    """Draw the figure and print nats below the true log density."""
    line, training = measure(**sizes)
    drawing.save(figure(line, training), out, NAME)
    for found, what in ((line, "factor"), (training, "iterations")):
        rows = zip(found.truth, _lost(found, "flow"), _lost(found, "bound"), strict=True)
        for key, flow, bound in rows:
            closed = ""
            if found.flow_model:
                lost = found.truth[key][0] - found.flow_model[key]
                closed = f"  closed forms: flow {lost:.4f}"
                closed += f", SDE {found.truth[key][0] - found.sde_model[key]:.4f}"
            print(f"   {what} {key:g}: nats below the truth: flow {spread(flow, 4)}, "
                  f"bound of the SDE {spread(bound, 4)}{closed}")  # fmt: skip
