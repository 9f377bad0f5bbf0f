"""What limits zero-shot accuracy: the texts, the number of seen classes, or the features?

    python benchmarks/diagnose_text.py [--split easy] [--draws 5]

The Gaussian classifier on "CUB, compact features", with the same covariances and coordinates in
every row; only the origin of the unseen classes' means differs: texts, attributes in the place of
texts, k real images, or the regression from the class's real mean as its text. Half of the images
of the unseen classes provide images and means, the other half are tested, the same for all rows. It
reads test classes, so it explains results and must choose no setting.
"""

import argparse
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from cizsl import build
from cizsl.closed_form import class_means
from cizsl.closed_form.gaussian_classifier import START, Gaussian
from cizsl.config import Baseline, CIZSLConfig
from cizsl.evaluate import assess
from cizsl.protocols import ZSLTask
from cizsl.training.fit_baselines import Tasks, Trial
from repro import config as configuration
from repro.locate import find

SHOTS = (1, 2, 5, 10)
SHARES = (0.25, 0.5, 0.75)  # of the seen classes that the regression learns from
Halves = tuple[Tensor, Tensor]  # rows of the images of unseen classes: to learn from, to test


def halves(labels: Tensor, rng: np.random.Generator) -> Halves:
    """Return shuffled rows of images (N,), half of each class to learn from, the rest to test."""
    parts: tuple[list, list] = ([], [])
    for label in labels.unique():
        rows = torch.from_numpy(rng.permutation(torch.where(labels == label)[0].numpy()))
        parts[0].append(rows[: len(rows) // 2])
        parts[1].append(rows[len(rows) // 2 :])
    return torch.cat(parts[0]), torch.cat(parts[1])


def means_of(task: ZSLTask, rows: Tensor, shots: int | None = None) -> Tensor:
    """Return the mean of the first ``shots`` images of each unseen class among ``rows``: (U, D)."""
    labels = task.unseen_labels[rows]
    chosen = [rows[labels == c][:shots] for c in range(len(task.unseen_text))]
    return torch.stack([task.unseen_features[one].double().mean(0) for one in chosen])


def of_texts(task: ZSLTask, settings: dict, classes: Tensor) -> Tensor:
    """Return the means (U, D) that texts predict from some seen ``classes`` alone (n,)."""
    weights, widths = settings["text_weights"], task.text_blocks or (task.seen_text.shape[1],)
    seen, unseen = class_means.side_by_side(task.seen_text, task.unseen_text, widths, weights)
    known = task.centroids[classes].double()
    means = class_means.predict(seen[classes], unseen, known, settings["penalty"])
    return means.scaled(settings["scale"], task.centroids.double().mean(0)).unseen


def own_means_as_texts(task: ZSLTask, means: Tensor) -> ZSLTask:
    """Return the task in which the text of a class is its real mean, in whitened coordinates."""
    model = Gaussian(task).classes(**START, text_weights=[1.0] * len(task.text_blocks or (1,)))
    seen, unseen = model.coordinates(task.centroids), model.coordinates(means)
    return replace(task, seen_text=seen, unseen_text=unseen, text_blocks=())


def measured(
    task: ZSLTask, tested: Tensor, settings: dict, means: Tensor | None = None
) -> np.ndarray:
    """Return top-1 and AUSUC of the Gaussian classifier on the ``tested`` images.

    ``means``: (U, D) for the unseen classes, in the place of those that their texts predict.
    """
    model, seen = Gaussian(task).classes(**settings), len(task.seen_text)
    if means is not None:
        model = model.reordered(torch.arange(len(model.mean)))
        model.mean = torch.cat([model.mean[:seen], model.coordinates(means)])
    images, labels = task.unseen_features[tested], task.unseen_labels[tested]
    part = replace(task, unseen_features=images, unseen_labels=labels)
    predicted = model.log_density(images)[:, seen:].argmax(1)
    vectors = model.space.decode(model.mean @ model.axes.T).to(images.dtype)
    found = assess(vectors, part, score=model.log_density, predicted_N=predicted)
    return np.array([found.top1, found.ausuc])


def rows(task: ZSLTask, attributes: ZSLTask, settings: dict, seed: int) -> dict[str, np.ndarray]:
    """Return top-1 and AUSUC by the origin of the means, on one draw of the halves.

    Args: the test task with texts, and the same one with ``attributes`` as its text; ``settings``
    of the classifier, with ``text_weights``; ``seed`` of the halves and of the seen classes.
    """
    rng, count = np.random.default_rng(seed), len(task.seen_text)
    learnt, tested = halves(task.unseen_labels, rng)
    alone, weights = {**settings, "text_weights": [1.0]}, [*settings["text_weights"], 1.0]
    found = {
        "texts": measured(task, tested, settings),
        "attributes": measured(attributes, tested, alone),
        "texts and attributes": measured(
            _beside(task, attributes), tested, {**settings, "text_weights": weights}
        ),
    }
    for shots in (*SHOTS, None):
        origin = f"{shots or 'half of the'} real image{'' if shots == 1 else 's'}"
        found[origin] = measured(task, tested, settings, means_of(task, learnt, shots))
    real = own_means_as_texts(task, means_of(task, learnt))
    found["real mean as the text, scale 1"] = measured(real, tested, {**alone, "scale": 1.0})
    for share in SHARES:
        classes = torch.from_numpy(rng.permutation(count)[: round(share * count)])
        means = of_texts(task, settings, classes)
        found[f"texts, from {len(classes)} classes"] = measured(task, tested, settings, means)
    return found


def _beside(task: ZSLTask, other: ZSLTask) -> ZSLTask:
    """Return the task with the text of another one beside its own."""
    pairs = ((getattr(t, name) for t in (task, other)) for name in ("seen_text", "unseen_text"))
    seen, unseen = (torch.cat([*pair], 1) for pair in pairs)
    widths = (*task.text_blocks, other.seen_text.shape[1])
    return replace(task, seen_text=seen, unseen_text=unseen, text_blocks=widths)


def configured(split: str, *overrides: str) -> Baseline:
    """Return the Gaussian classifier on the compact features, choices by five draws."""
    source = find(f"compact_{split}_gazsl", "cizsl")
    by = "class" if split == "easy" else "family"
    asked = ["evaluation.validation_splits=5", f"evaluation.validation_by={by}", *overrides]
    return build.baseline(configuration.load(source, CIZSLConfig, asked), "gaussian")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What limits accuracy on unseen classes?")
    parser.add_argument("--split", choices=("easy", "hard"), default="easy")
    parser.add_argument("--draws", type=int, default=5, help="draws of the halves")
    options = parser.parse_args()
    tasks = Tasks(configured(options.split), torch.device("cpu"))
    trial = Trial(tasks.config, tasks.validation)
    settings, _ = max(trial.models[0].search(trial.score), key=lambda one: one[1])
    other = configured(options.split, "data.dataset=CUB-compact-attributes")
    attributes = Tasks(other, torch.device("cpu")).test
    found = [rows(tasks.test, attributes, settings, seed) for seed in range(options.draws)]
    print(f"settings, by validation classes: {settings}; {options.draws} draws of the halves")
    print("| the means of unseen classes come from | top-1 | AUSUC |\n| --- | --- | --- |")
    for name in found[0]:
        means = 100 * np.mean([one[name] for one in found], 0)
        print(f"| {name} | {means[0]:.2f} | {means[1]:.2f} |")


if __name__ == "__main__":
    main()
