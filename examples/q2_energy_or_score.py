"""Energy-based against score-based models.

    energy model   p_t(x) = exp(-E(x, t)) / Z(t),   score = -grad_x E     Z(t) unknown
    score model    score = network(x, t)            any vector field, not necessarily a gradient

Here both hold the same perceptron and are trained by the same denoising loss; the energy is the
form of Salimans and Ho 2021, |x - network|^2 / 2 (sde/networks/energy.py), Du et al. 2023
(arXiv:2302.11552), section 3. Measured: the error of the score, its cost, the circulation of the
field (the antisymmetric part of its Jacobian, zero for every gradient), and density ratios, which
only the energy gives and which allow the Metropolis test in Langevin sampling.
"""

import time
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
    continuous_loss,
    perceptron,
    score_error,
    score_of,
    spread,
    train,
)
from repro.seeding import generator
from sde import metrics, samplers
from sde.networks import EnergyNetwork
from sde.processes import VPSDE
from sde.reverse import ScoreFn
from sde.score import SIGMA_DATA

NAME = "q2_energy_or_score"
PROCESS = VPSDE(0.1, 20.0)
TIMES = (0.01, 0.03, 0.1, 0.3, 0.6, 1.0)  # where the error of the score is measured
COLD = 0.03  # the time whose density Langevin dynamics samples
STEPS = (0.1, 0.3, 1.0, 2.0)  # of Langevin, in units of std(COLD)^2


@dataclass(frozen=True)
class TrainedModel:
    """A trained model and its measurements."""

    network: nn.Module
    errors: list[float]  # at TIMES
    circulation: float
    iteration_ms: float
    evaluation_ms: float
    annealed: float  # squared energy distance of annealed Langevin samples from the data
    langevin: dict[float, float]  # step -> deficit at COLD, no test
    metropolis: dict[float, float]  # the same with the test; empty without an energy
    log_density: tuple[float, float] | None  # see ``log_density_errors``


def measure(iterations: int = 1000, samples: int = 1000, seeds: int = 3) -> dict:
    """{"score" | "energy": one ``TrainedModel`` for each seed}."""
    return {
        kind: [_run(kind, iterations, samples, seed) for seed in range(seeds)]
        for kind in ("score", "energy")
    }


def _run(kind: str, iterations: int, samples: int, seed: int) -> TrainedModel:
    network = perceptron(seed)
    network = network if kind == "score" else EnergyNetwork(network, form="square")
    started = time.process_time()
    train(network, continuous_loss(PROCESS, network), DATA, iterations, seed)
    iteration_ms = 1e3 * (time.process_time() - started) / iterations
    score = score_of(PROCESS, network)
    x = DATA.sample_at(PROCESS, torch.full((samples,), COLD), generator(seed, "cpu", HELD_OUT))
    started = time.process_time()
    for _ in range(20):
        score(x, torch.full((samples,), COLD)).detach()
    evaluation_ms = 1e3 * (time.process_time() - started) / 20
    chain = samplers.sample(
        PROCESS, score, (samples, 2), predictor="none", corrector="annealed_langevin", steps=100,
        corrector_steps=2, generator=generator(seed, "cpu", SAMPLING),
    )  # fmt: skip
    truth = DATA.sample(samples, generator(seed, "cpu", MEASURING))
    log_density = log_density_of(network) if kind == "energy" else None
    return TrainedModel(
        network,
        errors(score, samples, seed),
        circulation(score, x),
        iteration_ms,
        evaluation_ms,
        metrics.energy_distance(truth, chain.x).value,
        {h: langevin(score, None, h, samples, seed) for h in STEPS},
        {h: langevin(score, log_density, h, samples, seed) for h in STEPS} if log_density else {},
        log_density_errors(log_density, x) if log_density else None,
    )


def errors(score: ScoreFn, samples: int, seed: int) -> list[float]:
    """std^2 |score - true score|^2 per dimension at every one of ``TIMES``."""
    stream, result = generator(seed, "cpu", HELD_OUT), []
    for moment in TIMES:
        t = torch.full((samples,), moment)
        result.append(score_error(score, DATA, PROCESS, DATA.sample_at(PROCESS, t, stream), t))
    return result


def circulation(score: ScoreFn, x: Tensor) -> float:
    """Root mean square over x (N, 2) of d s_1 / d x_2 - d s_2 / d x_1, over that of the whole
    Jacobian: 0 for the gradient of anything."""
    x = x[:500].detach().requires_grad_()
    s = score(x, torch.full((len(x),), COLD))
    rows = [torch.autograd.grad(s[:, i].sum(), x, retain_graph=True)[0] for i in range(2)]
    curl = rows[0][:, 1] - rows[1][:, 0]
    return (curl.square().mean() / torch.stack(rows).square().sum((0, 2)).mean()).sqrt().item()


def log_density_of(network: EnergyNetwork):
    """(x (N, 2), t (N,)) -> log p_t(x) up to a constant, (N,), by the "denoised" parametrisation.

    score = a F(b x) - |b|^2 x with F = grad E integrates to (a / b) E(b x) - b^2 |x|^2 / 2.
    """

    def log_density(x: Tensor, t: Tensor) -> Tensor:
        scale, std = PROCESS.scale(t), PROCESS.std(t)
        total = ((std / scale) ** 2 + SIGMA_DATA**2).sqrt()
        a, b = SIGMA_DATA / (std * total), 1 / (scale * total)
        with torch.no_grad():
            energy = network.energy(x * b[:, None], PROCESS.noise_ratio(t).log() / 4)
        return a / b * energy - (b**2) * x.square().sum(1) / 2

    return log_density


def log_density_errors(log_density, x: Tensor) -> tuple[float, float]:
    """Deviation over x (N, 2) of the model's log density less the true one, in nats, the unknown
    constant dropping out; and the same with a constant for each mode."""
    t = torch.full((len(x),), COLD)
    gap = log_density(x, t) - DATA.log_prob(x, PROCESS, t)
    mode = DATA.component_log_prob(x, PROCESS, t).argmax(1)
    within = torch.cat([gap[mode == k] - gap[mode == k].mean() for k in range(3)])
    return gap.std().item(), within.std().item()


@torch.no_grad()
def langevin(score: ScoreFn, log_density, step: float, count: int, seed: int, moves: int = 100):
    """The ``deficit`` after ``moves`` steps of Langevin at ``COLD`` from ``count`` exact
    draws; with Metropolis' test where ``log_density`` is given."""
    stream = generator(seed, "cpu", SAMPLING)
    t = torch.full((count,), COLD)
    h = step * PROCESS.std(t[:1]).item() ** 2
    x = DATA.sample_at(PROCESS, t, stream)
    s, p = score(x, t).detach(), log_density(x, t) if log_density else None
    for _ in range(moves):
        y = x + h * s + (2 * h) ** 0.5 * torch.randn(x.shape, generator=stream)
        s_y = score(y, t).detach()
        if log_density is not None:
            p_y = log_density(y, t)
            back = (x - y - h * s_y).square().sum(1) - (y - x - h * s).square().sum(1)
            taken = torch.rand(count, generator=stream).log() < p_y - p - back / (4 * h)
            y, s_y = torch.where(taken[:, None], y, x), torch.where(taken[:, None], s_y, s)
            p = torch.where(taken, p_y, p)
        x, s = y, s_y
    exact = DATA.sample_at(PROCESS, torch.full((20000,), COLD), stream)
    return deficit(x, exact)


def deficit(x: Tensor, exact: Tensor) -> float:
    """How far the mean true log density at ``COLD`` of x (N, 2) falls below that of exact draws
    (M, 2), in nats: c - 1 for samples of the modes with c times the variance in the plane."""
    t = torch.tensor([COLD])
    return (DATA.log_prob(exact, PROCESS, t).mean() - DATA.log_prob(x, PROCESS, t).mean()).item()


def figure(runs: dict):
    """The energy of the plane, the error over time, and Langevin's error over its step."""
    drawn, axes = drawing.panels(1, 3, 2.9)
    energy, score = runs["energy"], runs["score"]
    _landscape(axes[0], energy[0].network)
    for label, models, colour, mark in (
        ("score", score, drawing.BLUE, "o"),
        ("energy", energy, drawing.ORANGE, "s"),
    ):
        values = torch.tensor([model.errors for model in models])
        axes[1].plot(TIMES, values.mean(0), mark + "-", color=colour, ms=4, lw=1.2, label=label)
        axes[1].fill_between(
            TIMES, values.min(0).values, values.max(0).values, color=colour, alpha=0.2, lw=0
        )
        _over_steps(axes[2], [m.langevin for m in models], colour, mark, "-", f"{label}, plain")
    tested = [model.metropolis for model in energy]
    _over_steps(axes[2], tested, drawing.GREEN, "^", "--", "energy, Metropolis")
    axes[1].set(xscale="log", yscale="log", xlabel="time t", title="error of the score")
    axes[1].set_ylabel("std² |error|² per dimension")
    axes[1].legend(frameon=False, fontsize=8)
    drawing.plain_ticks(axes[1].xaxis, (0.01, 0.1, 1))
    axes[2].set_yscale("symlog", linthresh=0.1, linscale=1)
    axes[2].set(xscale="log", xlabel="step of Langevin / std²")
    axes[2].set(title=f"Langevin at t = {COLD}", ylabel="log density lost, nats")
    drawing.plain_ticks(axes[2].xaxis, STEPS)
    axes[2].legend(frameon=False, fontsize=7.5)
    return drawn


def _landscape(panel, network: EnergyNetwork) -> None:
    grid = torch.linspace(-1.4, 1.4, 120)
    x = torch.cartesian_prod(grid, grid)
    log_density = log_density_of(network)(x, torch.full((len(x),), COLD)).reshape(120, 120)
    shown = (log_density.max() - log_density).T.clamp(max=25).numpy()
    image = panel.imshow(shown, extent=(-1.4, 1.4, -1.4, 1.4), origin="lower", cmap="cividis_r")
    bar = panel.figure.colorbar(image, ax=panel, shrink=0.75)
    bar.ax.tick_params(labelsize=7)
    bar.set_label("E − min E, nats (cut at 25)", fontsize=8)
    panel.grid(False)
    panel.set(title=f"learnt energy at t = {COLD}", xlabel="$x_1$", ylabel="$x_2$")


def _over_steps(panel, runs, colour, mark, line, label) -> None:
    values = torch.tensor([[run[h] for h in STEPS] for run in runs])
    panel.plot(STEPS, values.mean(0), mark + line, color=colour, ms=4, lw=1.2, label=label)


def main(out: Path, **sizes) -> None:
    """Draw the figure and print accuracy and cost of each model."""
    runs = measure(**sizes)
    drawing.save(figure(runs), out, NAME)
    for kind, models in runs.items():
        print(f"   {kind}: {sum(p.numel() for p in models[0].network.parameters())} parameters, "
              f"{len(models)} seeds, CPU time per iteration "
              f"{spread((m.iteration_ms for m in models), 2)} ms, per evaluation "
              f"{spread((m.evaluation_ms for m in models), 2)} ms")  # fmt: skip
        for i, t in enumerate(TIMES):
            print(f"      error at t={t:<5g} {spread((m.errors[i] for m in models), 4)}")
        print(f"      circulation {spread((m.circulation for m in models), 4)}")
        print(f"      annealed Langevin {spread((m.annealed for m in models), 5)}")
        for h in STEPS:
            tested = [m.metropolis[h] for m in models if m.metropolis]
            more = f", with the test {spread(tested)}" if tested else ""
            print(f"      step {h:g}: {spread(m.langevin[h] for m in models)}{more}")
    whole, within = zip(*(model.log_density for model in runs["energy"]), strict=True)
    print(f"   log density up to a constant: off by {spread(whole)} nats; with a constant for "
          f"each mode: {spread(within)}")  # fmt: skip
