"""GAZSL against CIZSL: what the creativity loss adds.

    GAZSL   text of class c -> features that look real, and like class c    arXiv:1712.01381
    CIZSL   the same, and for t_h = a t_i + (1 - a) t_j, normalised:
            - E[D(x_h)] + lambda E[ S(p(class | x_h), uniform) ]         arXiv:1904.01109, eq. 3

On the TOY birds: the same networks, iterations and seeds; the last line of the loss is the only
difference. Classes never seen are recognised by k-NN among synthetic features (top-1) and among all
classes (area under the seen-unseen curve, harmonic mean), after the last iteration, with nothing
selected. The third arm has the hallucinated text and no entropy term, weight 0.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from examples import birds, drawing
from examples.scores import spread

NAME = "q8_creativity"
METRICS = {"top1": "top-1, unseen", "ausuc": "area under the curve", "harmonic": "harmonic mean"}
SPLITS = ("easy", "hard")
ARMS = ("GAZSL", "weight 0", "CIZSL")
ITERATIONS, SEEDS = 120, 4
COLOURS = {
    "GAZSL": (drawing.BLUE, "o"),
    "weight 0": (drawing.GREY, "v"),
    "CIZSL": (drawing.ORANGE, "s"),
    "weight 3": (drawing.PINK, "^"),
    "weight 10": (drawing.GREEN, "D"),
}


@dataclass(frozen=True)
class Scores:
    """Fractions, by split, method and metric: one number for each seed."""

    values: dict[str, dict[str, dict[str, list[float]]]]

    def difference(self, split: str, metric: str, method: str = "CIZSL") -> list[float]:
        """``method`` less GAZSL, seed by seed."""
        arms = self.values[split]
        pairs = zip(arms[method][metric], arms["GAZSL"][metric], strict=True)
        return [a - b for a, b in pairs]


def measure(iterations: int = ITERATIONS, seeds: int = SEEDS, splits=SPLITS) -> Scores:
    """Train and evaluate every method on every split."""
    values = {}
    for split in splits:
        values[split] = {}
        for method in ARMS:
            runs = [birds.train(method, split, s, iterations).evaluation for s in range(seeds)]
            values[split][method] = {m: [getattr(run, m) for run in runs] for m in METRICS}
    return Scores(values)


def figure(found: Scores):
    """One panel for each metric; each seed a mark, each mean a bar."""
    drawn, axes = drawing.panels(1, len(METRICS), 3.0)
    for panel, (metric, title) in zip(axes, METRICS.items(), strict=True):
        for place, arms in enumerate(found.values.values()):
            for i, (method, metrics) in enumerate(arms.items()):
                colour, mark = COLOURS[method]
                at, values = place + 0.25 * (i - 1), 100 * torch.tensor(metrics[metric])
                panel.plot(
                    [at] * len(values), values, mark, color=colour, ms=4.5, mfc="none",
                    label=None if place else method,
                )  # fmt: skip
                panel.hlines(values.mean(), at - 0.09, at + 0.09, color=colour, lw=2)
        panel.set_xticks(range(len(found.values)), [f"{split} split" for split in found.values])
        panel.set(title=title, ylabel="%", xlim=(-0.5, len(found.values) - 0.5))
        panel.set_ylim(bottom=0)
    drawing.shared_legend(drawn, axes[0], 3)
    return drawn


def main(out: Path, **sizes) -> None:
    """Draw the figure and print means over seeds and the paired differences."""
    found = measure(**sizes)
    drawing.save(figure(found), out, NAME)
    print("   TOY birds, %, mean ± deviation over seeds; in brackets less GAZSL, seed by seed")
    for split, arms in found.values.items():
        for method, metrics in arms.items():
            cells = []
            for metric, values in metrics.items():
                less = spread((100 * d for d in found.difference(split, metric, method)), 1)
                cells.append(f"{metric} {spread((100 * v for v in values), 1)} ({less})")
            print(f"   {split:5s}{method:9s}{'  '.join(cells)}")
