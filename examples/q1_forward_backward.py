"""The forward and the backward process, step by step.

    forward       dx = f x dt + g dw                     Song et al. 2021 (arXiv:2011.13456), eq. 5
    backward      dx = (f x - g^2 score) dt + g dw       eq. 6, time runs from 1 down to 0
    without noise dx = (f x - g^2 score / 2) dt          eq. 13, the probability flow

For a Gaussian mixture on the line, the density p_t and its score are known at every t. The three
processes should have these densities. This is measured by the largest gap between the distribution
function of the samples and that of p_t (Kolmogorov and Smirnov) at several times.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from examples import drawing
from repro.seeding import generator
from sde import samplers
from sde.analytic import Mixture
from sde.broadcast import per_sample
from sde.processes import SDE, VESDE, VPSDE, SubVPSDE

NAME = "q1_forward_backward"
PROCESSES = {"VE": VESDE(0.01, 10.0), "VP": VPSDE(0.1, 20.0), "sub-VP": SubVPSDE(0.1, 20.0)}
DATA = Mixture(
    torch.tensor([[1.0], [-0.8]]), torch.tensor([0.03, 0.03]), torch.tensor([0.35, 0.65])
)
EPS, LOOKS = 1e-3, 10  # last time of the backward runs; number of time intervals compared
DIRECTIONS = {"forward": "forward", "backward": "backward SDE", "flow": "probability flow"}


@dataclass(frozen=True)
class Path3:
    """Paths of one process at T times from t = EPS to 1, for N samples."""

    times: Tensor  # (steps + 1,) ascending
    paths: dict[str, Tensor]  # each direction: (steps + 1, N), in the order of the times
    gaps: dict[str, list[float]]  # each direction: the gap at every time compared


def measure(samples: int = 10000, steps: int = 500, seed: int = 0) -> dict[str, Path3]:
    """Run every process in all three directions."""
    return {name: _run(sde, samples, steps, seed) for name, sde in PROCESSES.items()}


def _run(sde: SDE, samples: int, steps: int, seed: int) -> Path3:
    stream = generator(seed)
    times = torch.linspace(EPS, 1, steps + 1)
    paths = {"forward": _forward(sde, times, DATA.sample(samples, stream), stream)}
    for direction in ("backward", "flow"):
        run = samplers.sample(
            sde, DATA.score_fn(sde), (samples, 1), predictor="euler_maruyama", steps=steps, eps=EPS,
            generator=stream, denoise=False, trajectory=True, probability_flow=direction == "flow",
        )  # fmt: skip
        paths[direction] = run.trajectory[:, :, 0].flip(0)
    looks = range(0, steps + 1, max(1, steps // LOOKS))
    gaps = {
        direction: [ks(path[i], sde, times[i : i + 1]) for i in looks]
        for direction, path in paths.items()
    }
    return Path3(times, paths, gaps)


def _forward(sde: SDE, times: Tensor, x0: Tensor, stream) -> Tensor:
    """x_t at every time from x_0 (N, 1), step by step by the exact transition: (T, N)."""
    mean, std = sde.marginal(x0, times[:1])
    path = [mean + per_sample(std, x0) * torch.randn(x0.shape, generator=stream)]
    for s, t in pairwise(times):
        scale, std = sde.transition(s, t)
        path.append(scale * path[-1] + std * torch.randn(x0.shape, generator=stream))
    return torch.stack(path)[:, :, 0]


def ks(x: Tensor, sde: SDE, t: Tensor) -> float:
    """Return the largest gap between the distribution functions of x (N,) and of p_t."""
    x = x.sort().values
    variance = sde.scale(t) ** 2 * DATA.variances[:, 0] + sde.std(t) ** 2
    centred = (x[:, None] - sde.scale(t) * DATA.means[:, 0]) / variance.sqrt()
    exact = torch.special.ndtr(centred) @ DATA.log_weights.exp()
    rank = torch.arange(len(x) + 1) / len(x)
    return torch.maximum((exact - rank[:-1]).abs(), (exact - rank[1:]).abs()).max().item()


def critical(samples: int) -> float:
    """Return the gap that exact samples exceed with probability 0.001 (asymptotic)."""
    return math.sqrt(-0.5 * math.log(0.001 / 2) / samples)


def figure(runs: dict[str, Path3]):
    """Draw directions as rows, processes as columns, and the density p_t in grey."""
    drawn, axes = drawing.panels(3, 3, 6.4, sharex=True, sharey=True)
    for column, (name, run) in enumerate(runs.items()):
        sde = PROCESSES[name]
        deviation = _deviation(sde, run.times)
        y = torch.linspace(-3, 3, 200)
        rows = [
            (DATA.log_prob((y * d)[:, None], sde, t[None]).exp() * d)
            for t, d in zip(run.times[::4], deviation[::4], strict=True)
        ]
        for row, (direction, label) in enumerate(DIRECTIONS.items()):
            panel = axes[row, column]
            panel.grid(False)
            panel.imshow(
                torch.stack(rows, 1).clamp(max=1.2).numpy(), extent=(EPS, 1, -3, 3), origin="lower",
                aspect="auto", cmap="Greys", vmin=0, vmax=1.6,
            )  # fmt: skip
            lines = _spaced(run.paths[direction]) / deviation[:, None]
            for i, colour in enumerate((drawing.BLUE, drawing.ORANGE, drawing.GREEN, drawing.PINK,
                                        drawing.YELLOW)):  # fmt: skip
                panel.plot(run.times, lines[:, i], color=colour, lw=0.8)
            if row == 0:
                panel.set_title(name)
            if column == 0:
                panel.set_ylabel(f"{label}\n$x_t$ / its deviation")
    for panel in axes[2]:
        panel.set(xlabel="time t", xlim=(0, 1), ylim=(-3, 3))
    return drawn


def _spaced(path: Tensor) -> Tensor:
    """Five of the paths (T, N), spaced by where they are at t = 1."""
    order = path[-1].argsort()
    return path[
        :, order[[round(share * (len(order) - 1)) for share in (0.05, 0.3, 0.5, 0.7, 0.95)]]
    ]


def _deviation(sde: SDE, times: Tensor) -> Tensor:
    """Standard deviation of x_t about zero at times (T,): the unit of the figure."""
    mean, covariance = DATA.moments()
    second = covariance[0, 0] + mean[0] ** 2
    return (sde.scale(times) ** 2 * second + sde.std(times) ** 2).sqrt()


def main(out: Path, **sizes) -> None:
    """Draw the figure and print the largest gap of each run."""
    runs = measure(**sizes)
    drawing.save(figure(runs), out, NAME)
    count = next(iter(runs.values())).paths["forward"].shape[1]
    print(f"   largest gap over {LOOKS + 1} looks, {count} samples; exact samples exceed "
          f"{critical(count):.4f} at one look once in a thousand times")  # fmt: skip
    for name, run in runs.items():
        worst = "  ".join(f"{DIRECTIONS[d]} {max(g):.4f}" for d, g in run.gaps.items())
        print(f"   {name:7s}{worst}")
