"""Real birds in one figure: seen-unseen curves of finished runs, generated beside real features.

    python -m examples.real_birds RUNS [--out docs/figures]

RUNS holds runs of CUB, compact features, easy split, as `cizsl sweep compact_easy_gazsl ...` and
`cizsl baselines` leave them. Left: the curve of each method on the test classes, of its first seed.
Right: features of five unseen classes in a plane, those of photographs and those that the Gaussian
generator makes from the classes' articles; the plane is spanned by the means of the photographs.
"""

import argparse
from itertools import cycle
from pathlib import Path

import torch
from torch import Tensor

from cizsl import build, synthesis
from cizsl.config import CIZSLConfig
from cizsl.protocols import ZSLTask
from cizsl.report.grouping import METHODS
from cizsl.report.runs import Run, collect
from cizsl.training.records import read_curve
from examples import drawing
from repro import locate
from repro.seeding import generator

NAME = "real_birds"
CONFIG = "compact_easy_gaussian"
COLOURS = (drawing.BLUE, drawing.ORANGE, drawing.GREEN, drawing.PINK, drawing.YELLOW)
CLASSES, SAMPLES = 5, 40


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(prog="python -m examples.real_birds", description=main.__doc__)
    parser.add_argument("runs", type=Path, help="folder of the runs")
    parser.add_argument("--out", type=Path, default=Path("docs/figures"), help="its folder")
    options = parser.parse_args(arguments)
    figure, (left, right) = drawing.panels(1, 2, 3.6)
    curves(left, first_runs(collect([options.runs])))
    config = locate.load(CONFIG, "cizsl", CIZSLConfig, [])
    task = build.task(config, build.data(config), "test", torch.device("cpu"))
    features(right, task, config.with_values({}))
    drawing.save(figure, options.out, NAME)


def first_runs(runs: list[Run]) -> dict[str, Run]:
    """Return the finished run of each method with the smallest seed."""
    whole = [run for run in runs if run.results is not None and run.cell[1] == "easy"]
    ordered = sorted(whole, key=lambda run: run.summary.seed, reverse=True)
    found = {run.summary.method: run for run in ordered}
    return {method: found[method] for method in METHODS if method in found}


def curves(panel, runs: dict[str, Run]) -> None:
    """Draw the seen-unseen curve of each method, in %."""
    for (method, run), colour in zip(
        runs.items(), cycle((*COLOURS, drawing.SKY, drawing.GREY)), strict=False
    ):
        seen, unseen = 100 * read_curve(run.folder / "curves.npz", "final")
        area = 100 * run.summary.scores.ausuc
        panel.plot(unseen, seen, color=colour, lw=1.5, label=f"{method}: {area:.1f}")
    panel.set_xlabel("accuracy on unseen classes, %")
    panel.set_ylabel("accuracy on seen classes, %")
    panel.legend(frameon=False, fontsize=7.5, title="area, %", title_fontsize=7.5, loc="lower left")


def features(panel, task: ZSLTask, config: CIZSLConfig) -> None:
    """Draw photographs as dots, generated features as circles."""
    made = synthesis.synthesise(
        build.feature_generator(config, task), task.unseen_text, SAMPLES, generator(0)
    )
    groups = task.unseen_features, task.unseen_labels
    means = torch.stack([groups[0][groups[1] == c].mean(0) for c in range(len(made))])
    chosen = far_apart(means, CLASSES)
    centre = means[chosen].mean(0)
    axes = torch.linalg.svd(means[chosen] - centre, full_matrices=False)[2][:2]
    for c, colour in zip(chosen.tolist(), COLOURS, strict=True):
        real = (groups[0][groups[1] == c] - centre) @ axes.T
        drawn = (made[c] - centre) @ axes.T
        panel.scatter(*real.T, s=7, color=colour, alpha=0.5, lw=0)
        panel.scatter(*drawn.T, s=14, facecolors="none", edgecolors=colour, lw=0.7)
    panel.scatter([], [], s=9, color=drawing.GREY, label="photographs of an unseen class")
    panel.scatter(
        [], [], s=14, facecolors="none", edgecolors=drawing.GREY, label="from its article"
    )
    panel.legend(frameon=False, fontsize=7.5)
    panel.set_xlabel("first axis of the class means")
    panel.set_ylabel("second axis")


def far_apart(means: Tensor, count: int) -> Tensor:
    """Return classes far from each other: each next one is farthest from those chosen before."""
    distance = torch.cdist(means, means)
    chosen = [int(distance.sum(1).argmax())]
    while len(chosen) < count:
        chosen.append(int(distance[:, chosen].amin(1).argmax()))
    return torch.tensor(chosen)


if __name__ == "__main__":
    main()
