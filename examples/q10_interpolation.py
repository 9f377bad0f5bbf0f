"""Interpolating between two real texts.

    t_h(a) = (a t_i + (1 - a) t_j) / |a t_i + (1 - a) t_j|,   a from 0 to 1
                                            CIZSL (arXiv:1904.01109), section 3.2: a ~ U(0.2, 0.8)

On the TOY birds, whose articles stand for real texts. With m_i the mean real feature of class i and
x(a) the mean of the synthetic features of t_h(a), two numbers say where the mixture lies:

    along = <x(a) - m_j, m_i - m_j> / |m_i - m_j|^2        0 at class j, 1 at class i
    off   = |x(a) - m_j - along (m_i - m_j)| / |m_i - m_j|

and the discriminator's head says which class it takes the mixture for.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cizsl.hallucination import hallucinate
from examples import birds, drawing
from examples.q8_creativity import COLOURS, ITERATIONS, SEEDS
from examples.scores import spread

NAME = "q10_interpolation"
SPLIT = "easy"
WEIGHTS = torch.linspace(0, 1, 11)
METHODS = ("GAZSL", "CIZSL")


@dataclass(frozen=True)
class Course:
    """Features of one model for P pairs at the A weights of ``WEIGHTS``."""

    along: Tensor  # (A, P)
    off: Tensor  # (A, P)
    mass: Tensor  # (A, 3): the head's mean posterior of i, of j, of all other classes
    spread: Tensor  # (A,) deviation of the synthetic features within a mixture / |m_i - m_j|


def measure(
    iterations: int = ITERATIONS, seeds: int = SEEDS, count: int = 100, samples: int = 20
) -> dict[str, list[Course]]:
    """One ``Course`` for each method and seed: ``count`` pairs, ``samples`` features of each."""
    return {
        method: [
            course(birds.train(method, SPLIT, seed, iterations), count, samples, seed)
            for seed in range(seeds)
        ]
        for method in METHODS
    }


def course(bird: birds.Bird, count: int, samples: int, seed: int) -> Course:
    """Follow ``count`` pairs of seen classes from text j to text i, with the same noise."""
    first, second, stream = birds.pairs(bird.task, count, seed)
    z = bird.noise(count * samples, stream)
    found = {name: [] for name in ("along", "off", "mass", "spread")}
    for weight in WEIGHTS:
        text = hallucinate(bird.task.seen_text, first, second, weight.expand(count))
        text = text.repeat_interleave(samples, 0)
        x = bird.features(z, text).unflatten(0, (count, samples))
        along, off = place(x.mean(1), bird.task.centroids[first], bird.task.centroids[second])
        p = bird.posterior(z, text).unflatten(0, (count, samples)).mean(1)
        own = torch.stack([p.gather(1, c[:, None])[:, 0] for c in (first, second)], 1).mean(0)
        length = (bird.task.centroids[first] - bird.task.centroids[second]).norm(dim=1)
        found["along"].append(along)
        found["off"].append(off)
        found["mass"].append(torch.cat([own, 1 - own.sum(0, keepdim=True)]))
        found["spread"].append((x.var(1).sum(1).sqrt() / length).mean())
    return Course(**{name: torch.stack(values) for name, values in found.items()})


def place(x: Tensor, here: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """(along, off), (P,) each, of points x (P, D): 1 at ``here``, 0 at ``there``."""
    line = here - there
    length = line.norm(dim=1)
    along = ((x - there) * line).sum(1) / length**2
    return along, (x - there - along[:, None] * line).norm(dim=1) / length


def figure(courses: dict[str, list[Course]]):
    """Where the mixture lies between the classes, how far from their line, and for which class it
    is taken."""
    drawn, axes = drawing.panels(1, 3, 3.3)
    for (method, runs), line in zip(courses.items(), ("-", "--"), strict=True):
        colour = COLOURS[method][0]
        for panel, field in zip(axes, ("along", "off"), strict=False):
            values = torch.cat([getattr(run, field) for run in runs], 1)
            low, middle, high = values.quantile(torch.tensor([0.25, 0.5, 0.75]), 1)
            panel.plot(WEIGHTS, middle, line, color=colour, lw=1.5, label=method)
            panel.fill_between(WEIGHTS, low, high, color=colour, alpha=0.2, lw=0)
        mass = torch.stack([run.mass for run in runs]).mean(0)
        for column, mark, label in (
            (0, "o", "class i"),
            (1, "v", "class j"),
            (2, "", "all others"),
        ):
            axes[2].plot(
                WEIGHTS, mass[:, column], mark + line, color=colour, ms=3.5, lw=1.2,
                label=f"{method}: {label}",
            )  # fmt: skip
    axes[0].plot((0, 1), (0, 1), ":", color=drawing.BLACK, lw=1)
    axes[0].set(title="between the two classes", ylabel="along: 0 at class j, 1 at class i")
    axes[0].legend(frameon=False, fontsize=8)
    axes[1].set(title="off the line between them", ylabel="distance / |m_i − m_j|")
    axes[1].set_ylim(bottom=0)
    axes[2].set(title="taken by the head for", ylabel="mean posterior", ylim=(0, 1))
    for panel in axes:
        panel.set(xlabel="weight a of text i", xlim=(0, 1))
    drawing.shared_legend(drawn, axes[2], 3)
    return drawn


def main(out: Path, **sizes) -> None:
    """Draw the figure and print the course at a few weights."""
    courses = measure(**sizes)
    drawing.save(figure(courses), out, NAME)
    print("   TOY birds, easy split, pairs of seen classes; medians over pairs, ± over seeds")
    for method, runs in courses.items():
        for i in range(0, len(WEIGHTS), 2):
            along = spread((run.along[i].median().item() for run in runs), 2)
            off = spread((run.off[i].median().item() for run in runs), 2)
            width = spread((run.spread[i].item() for run in runs), 2)
            mass = " / ".join(spread((run.mass[i, c].item() for run in runs), 2) for c in range(3))
            print(f"   {method} a={WEIGHTS[i]:.1f}: along {along}  off {off}  own spread {width}  "
                  f"posterior i / j / others {mass}")  # fmt: skip
