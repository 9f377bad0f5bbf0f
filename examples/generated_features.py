"""Generated features of unseen classes beside those of photographs: a figure, and failure modes.

    python -m examples.generated_features RUN... [--out docs/figures]

RUN are finished runs of the strict protocol on the same data with the same normalisation. The
figure has a panel for each run: features of five unseen classes in the plane of the two principal
axes of the means of their photographs, so no generated feature takes part in the choice of the
plane. The classes are far from each other, and are chosen for the picture only.

The numbers are measured on validation classes of the seen ones, with the generator that was best on
them. Photographs have the same numbers where these make sense, as the value to compare with.
"""

import argparse
from pathlib import Path
from statistics import fmean, stdev

import torch
from torch import Tensor

from cizsl import build, classifiers, synthesis
from cizsl.closed_form.gaussian_generator import GaussianGenerator
from cizsl.config import CIZSLConfig
from cizsl.data.normalise import normalise
from cizsl.protocols import ZSLTask
from cizsl.training import finished
from cizsl.training.evaluation import measure
from examples import drawing
from examples.real_birds import COLOURS, far_apart
from repro.seeding import generator

NAME = "generated_features"
CPU = torch.device("cpu")
CLASSES, SAMPLES, NEIGHBOURS, DRAWS = 5, 60, 20, 5
SHOWN = 40  # features of a class in the figure


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure and print the numbers."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.generated_features", description=main.__doc__
    )
    parser.add_argument("runs", type=Path, nargs="+", help="run folders")
    parser.add_argument("--out", type=Path, default=Path("docs/figures"), help="of the figure")
    options = parser.parse_args(arguments)
    runs = [finished.read(path) for path in options.runs]
    figure, panels = drawing.panels(1, len(runs), 3.4, squeeze=False, sharex=True, sharey=True)
    for run, panel in zip(runs, panels[0], strict=True):
        draw(panel, run)
        for name, text in numbers(run).items():
            print(f"{run.path}: {name}: {text}")
    panels[0, 0].set_ylabel("second axis")
    drawing.shared_legend(figure, panels[0, 0], 4)
    drawing.save(figure, options.out, NAME)


def draw(panel, run: finished.FinishedRun) -> None:
    """Draw photographs as dots, generated features as circles, and lines between their means."""
    data = run.data()
    task = build.task(run.config, data, "test", CPU)
    made = synthesis.synthesise(
        run.generator("generator", task), task.unseen_text, SHOWN, generator(0)
    )
    means = centroids(task)
    chosen = far_apart(means, CLASSES)
    centre = means[chosen].mean(0)
    axes = torch.linalg.svd(means[chosen] - centre, full_matrices=False)[2][:2]
    for c, colour in zip(chosen.tolist(), COLOURS, strict=True):
        real = (task.unseen_features[task.unseen_labels == c] - centre) @ axes.T
        drawn = (made[c] - centre) @ axes.T
        panel.scatter(*real.T, s=6, color=colour, alpha=0.35, lw=0)
        panel.scatter(*drawn.T, s=12, facecolors="none", edgecolors=colour, lw=0.6)
        ends = torch.stack([real.mean(0), drawn.mean(0)])
        panel.plot(*ends.T, color=drawing.BLACK, lw=0.9, marker="o", ms=2)
        name = data.names[data.num_seen + c].split(".")[-1].replace("_", " ")
        panel.scatter([], [], s=16, color=colour, label=name)
    panel.scatter([], [], s=9, color=drawing.GREY, alpha=0.6, label="photographs")
    hollow = {"facecolors": "none", "edgecolors": drawing.GREY}
    panel.scatter([], [], s=14, **hollow, label="made from the article")
    panel.plot([], [], color=drawing.BLACK, lw=0.9, marker="o", ms=2, label="between their means")
    panel.set_title(run.summary.method)
    panel.set_xlabel("first axis of the class means")


def numbers(run: finished.FinishedRun) -> dict[str, str]:
    """Return a number for each failure mode, by its name, on validation classes."""
    task = task_of(run, "validation")
    made = synthesis.synthesise(
        run.generator("best", task), task.unseen_text, SAMPLES, generator(0)
    )
    places = torch.arange(len(made)).repeat_interleave(SAMPLES)
    own, real = centroids(task), (task.unseen_features, task.unseen_labels)
    flat, means = made.flatten(0, 1), made.mean(1)
    shares = [100 * nearer_to_seen(x, y, task, own) for x, y in ((flat, places), real)]
    ratio = within(flat, places, means) / within(*real, own)
    spread = spread_of(means) / spread_of(own)
    error = ((means - own).square().sum(1).mean() / spread_of(own)).sqrt()
    return {
        "nearer to a seen mean, %": f"{shares[0]:.1f} (photographs: {shares[1]:.1f})",
        "variance within classes, of that of photographs": f"{ratio:.2f}",
        "variance of class means, of that of photographs": f"{spread:.2f}",
        "error of class means, of their distance from the centre": f"{error:.2f}",
        "top-1 by class means, %": f"{top1(real, means):.1f} (texts shuffled: "
        f"{top1(real, means.roll(1, 0)):.1f})",
        "skewness of k-occurrence": f"{hubness(flat, real[0]):.1f}",
        "seen classes by left-out means, %": left_out(run, task),
        "H at offset 0 and at the chosen one, %": at_offsets(run),
        "spread over draws of validation classes": over_draws(run),
        "largest feature after the published normalisation": f"{largest(run):.0f}",
    }


def task_of(run: finished.FinishedRun, stage: str, number: int = 0) -> ZSLTask:
    """Return the task of a run."""
    return build.task(run.config, run.data(), stage, CPU, number)


def centroids(task: ZSLTask) -> Tensor:
    """Return the mean features of the photographs of each unseen class, (U, D)."""
    features, labels = task.unseen_features, task.unseen_labels
    return classifiers.class_centroids(features, labels, len(task.unseen_text))


def nearer_to_seen(x: Tensor, labels: Tensor, task: ZSLTask, own: Tensor) -> float:
    """Return the share of features that are nearer to a seen class's mean than to their own
    class's, which is that of its photographs."""
    nearest = torch.cdist(x, task.centroids).amin(1)
    return (nearest < (x - own[labels]).norm(dim=1)).double().mean().item()


def within(x: Tensor, labels: Tensor, means: Tensor) -> float:
    """Return the trace of the covariance within classes."""
    return (x - means[labels]).square().sum().item() / (len(x) - len(means))


def spread_of(means: Tensor) -> Tensor:
    """Return the mean squared distance of class means from their centre."""
    return (means - means.mean(0)).square().sum(1).mean()


def top1(real: tuple[Tensor, Tensor], means: Tensor) -> float:
    """Return the share of photographs, in %, whose class has the mean of the largest cosine."""
    predicted = classifiers.cosine(real[0], means).argmax(1)
    return 100 * (predicted == real[1]).double().mean().item()


def hubness(samples: Tensor, images: Tensor) -> float:
    """Return the skewness of the number of images that have a sample among their neighbours."""
    nearest = classifiers.cosine(images, samples).topk(NEIGHBOURS, dim=1).indices
    counts = nearest.flatten().bincount(minlength=len(samples)).double()
    centred = counts - counts.mean()
    return (centred.pow(3).mean() / centred.square().mean().pow(1.5)).item()


def left_out(run: finished.FinishedRun, task: ZSLTask) -> str:
    """Return top-1 of held-out images among the seen classes, by predictions that leave the own
    class out and by the means of photographs; closed form."""
    if not isinstance(run.config, CIZSLConfig) or run.config.generator != "gaussian":
        return "no closed form"
    fitted = build.feature_generator(run.config, task)
    assert isinstance(fitted, GaussianGenerator)
    model = fitted.classes(task.seen_text)
    x = model.coordinates(task.seen_features)
    top = []
    for means in (model.left_out, model.mean):
        predicted = torch.cdist(x, means).argmin(1)
        top.append((predicted == task.seen_labels).double().mean().item())
    return f"{100 * top[0]:.1f} (means of photographs: {100 * top[1]:.1f})"


def at_offsets(run: finished.FinishedRun) -> str:
    """Return H on the test classes, as the run recorded it."""
    scores = run.summary.scores
    return f"{100 * scores.harmonic:.1f}, {100 * (scores.calibrated_harmonic or 0):.1f}"


def over_draws(run: finished.FinishedRun) -> str:
    """Return top-1 and AUSUC over draws of validation classes, mean and deviation; closed form."""
    config = run.config
    if not isinstance(config, CIZSLConfig) or config.generator != "gaussian":
        return "not measured"
    found = []
    for number in range(DRAWS):
        task = task_of(run, "validation", number)
        found.append(measure(config, build.feature_generator(config, task), task, 0))
    values = ([100 * getattr(one, name) for one in found] for name in ("top1", "ausuc"))
    return " / ".join(f"{fmean(each):.1f} ± {stdev(each):.1f}" for each in values)


def largest(run: finished.FinishedRun) -> float:
    """Return max |x| of the training features after the published normalisation."""
    raw = torch.from_numpy(run.data().train_features)
    return normalise(raw, raw, "published").abs().max().item()


if __name__ == "__main__":
    main()
