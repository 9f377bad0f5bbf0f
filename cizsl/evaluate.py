"""One evaluation of a generator: the same function for validation classes and for test classes.

Synthetic features of every class are drawn once, and two classifiers follow from them
(:mod:`cizsl.answers`). One gives zero-shot accuracy (unseen images against unseen classes), the
other the generalised setting, where all classes compete: the seen-unseen curve and its area, and,
at offset zero, seen and unseen accuracy averaged over classes, and their harmonic mean. The
prototypes are also the queries of retrieval (:mod:`cizsl.retrieval`).

Calibrated stacking fixes the offset before the test: the one whose harmonic mean is highest on
validation classes, where the curve of the test classes only says what the best offset would give.

Source: GAZSL (arXiv:1712.01381), section 4; Xian et al. (arXiv:1707.00600), section 4 for s, u, H;
Chao et al. (arXiv:1605.04253), section 4, for calibrated stacking.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from cizsl import classifiers, metrics, retrieval
from cizsl.answers import Answers, from_densities, from_samples
from cizsl.heads import Head
from cizsl.networks import Discriminator, Generator
from cizsl.protocols import ZSLTask
from cizsl.synthesis import DensityGenerator, FeatureGenerator
from repro.device import precision

CURVES = {"grid": metrics.grid_curve, "exact": metrics.exact_curve}


@dataclass(frozen=True)
class Evaluation:
    """Fractions in [0, 1]; ``top1`` and the curve per image, the rest averages over classes."""

    top1: float
    per_class_top1: float
    ausuc: float
    seen: float
    unseen: float
    harmonic: float
    map25: float
    map50: float
    map100: float
    curve: metrics.Curve
    groups: tuple[metrics.Best, metrics.Best]  # the images of seen and of unseen classes
    right: np.ndarray  # (N,) whether top1 counts each image of unseen classes

    def scores(self) -> dict[str, float]:
        """Every number, JSON-ready."""
        others = ("curve", "groups", "right")
        return {name: value for name, value in vars(self).items() if name not in others}

    def best_offset(self) -> float:
        """Return the offset of the unseen scores with the highest harmonic mean on these images."""
        return metrics.best_offset(*self.groups)

    def calibrated(self, offset: float) -> dict[str, float]:
        """Return seen and unseen accuracy at an offset, averages over classes, and their harmonic
        mean, by the names that records have."""
        seen, unseen = metrics.accuracies_at(*self.groups, offset)
        harmonic = metrics.harmonic_mean(seen, unseen)
        found = {"seen": seen, "unseen": unseen, "harmonic": harmonic}
        return {f"calibrated_{name}": value for name, value in found.items()}


@torch.no_grad()
def evaluate(
    generator: FeatureGenerator,
    task: ZSLTask,
    rng: torch.Generator,
    *,
    samples: int = 60,
    neighbours: int = 20,
    curve: str = "exact",
    classifier: str = "knn",
    weight_decay: float = 1e-4,
    generalised: bool = False,
) -> Evaluation:
    """Evaluate a generator on the unseen classes of ``task``.

    Args:
        generator: makes the synthetic features.
        task: images and texts.
        rng: random numbers of the noise.
        samples: synthetic features for each class.
        neighbours: k of the k-NN.
        curve: a key of :data:`CURVES`.
        classifier: "knn" or "softmax".
        weight_decay: of the softmax.
        generalised: whether all classes compete by the classifier, and not by prototypes.
    """
    found = from_samples(
        generator,
        task,
        rng,
        samples=samples,
        neighbours=neighbours,
        classifier=classifier,
        weight_decay=weight_decay,
        generalised=generalised,
    )
    return assess_answers(found, task, curve)


@torch.no_grad()
def evaluate_without_samples(
    generator: DensityGenerator,
    task: ZSLTask,
    rng: torch.Generator,
    *,
    curve: str = "exact",
    generalised: bool = False,
) -> Evaluation:
    """Evaluate a generator by the densities of its classes, on the unseen classes of ``task``.

    Args: as for :func:`evaluate`; ``generalised``: whether all classes compete by their densities,
    and not by prototypes.
    """
    return assess_answers(
        from_densities(generator, task, rng, generalised=generalised), task, curve
    )


@torch.no_grad()
def assess_answers(answers: Answers, task: ZSLTask, curve: str = "exact") -> Evaluation:
    """Return every metric of what a generator says of the images of a task.

    Args: the answers; the task; ``curve``, a key of :data:`CURVES`.
    """
    with precision("float32", task.seen_text.device):  # metrics are exact, whatever training uses
        predicted = answers.classify(task.unseen_features).argmax(1)
        return assess(
            answers.vectors, task, curve=curve, predicted_N=predicted, score=answers.score
        )


@torch.no_grad()
def evaluate_discriminator(
    discriminator: Discriminator,
    head: Head,
    generator: Generator,
    task: ZSLTask,
    curve: str = "exact",
) -> Evaluation:
    """Evaluate the discriminator's semantic classifier, without any synthetic feature.

    An image is its embedding s(x), a class of any text its reduced text e(t), and they meet in
    s(x) . e(t) (:mod:`cizsl.heads`). Unseen images choose among the unseen classes for the
    accuracies, among all classes for the curve.

    Args: the trained networks; ``head``, a semantic one; images and texts; ``curve``, a key of
    :data:`CURVES`.
    """
    with precision("float32", task.seen_text.device):
        texts = generator.reduce(torch.cat([task.seen_text, task.unseen_text]))
        seen, unseen = (
            head.embed(discriminator(features)[1])
            for features in (task.seen_features, task.unseen_features)
        )
        embedded = replace(task, seen_features=seen, unseen_features=unseen)
        similarity = "product" if head.scale is None else "cosine"
        return assess(texts, embedded, similarity=similarity, curve=curve)


@torch.no_grad()
def embedding_norms(
    discriminator: Discriminator, head: Head, generator: Generator, task: ZSLTask
) -> tuple[float, float]:
    """Return the mean lengths of s(x) of the unseen classes' images and of e(t) of all classes.

    Inner products have no temperature, so these lengths are the scale of the logits.
    """
    images = head.embed(discriminator(task.unseen_features)[1])
    texts = generator.reduce(torch.cat([task.seen_text, task.unseen_text]))
    return images.norm(dim=1).mean().item(), texts.norm(dim=1).mean().item()


def assess(
    vectors_CD: Tensor,
    task: ZSLTask,
    *,
    similarity: str = "cosine",
    curve: str = "exact",
    predicted_N: Tensor | None = None,
    score: Callable[[Tensor], Tensor] | None = None,
) -> Evaluation:
    """Return every metric of a classifier with one vector in feature space for each class.

    Args:
        vectors_CD: of the seen classes, then of the unseen ones.
        task: images and texts.
        similarity: of images and vectors, a key of :data:`classifiers.SIMILARITIES`.
        curve: a key of :data:`CURVES`.
        predicted_N: unseen class in [0, U) of each image of an unseen class; by default the most
            similar one.
        score: maps (N, D) to (N, C) scores by which all classes compete; by default the
            similarity. Retrieval always ranks by the cosine.
    """
    similar = partial(classifiers.SIMILARITIES[similarity], prototypes_CD=vectors_CD)
    of_unseen = vectors_CD[len(task.seen_text) :]
    if predicted_N is None:
        predicted_N = similar(task.unseen_features, prototypes_CD=of_unseen).argmax(1)
    ranking = classifiers.cosine(task.unseen_features, of_unseen)
    most = int(task.unseen_sizes.max())
    precisions = retrieval.class_precisions(ranking, task.unseen_labels, most)
    # until here nothing waits for the device, and afterwards everything is on the CPU
    *tables, predicted, precisions = metrics.to_host(
        *_tables(score or similar, task), predicted_N, precisions
    )
    groups = metrics.as_best(tables[0], True), metrics.as_best(tables[1], False)
    drawn, labels = CURVES[curve](*groups), groups[1].labels - len(task.seen_text)
    seen, unseen = (metrics.per_class_top1(group.predicted, group.labels) for group in groups)
    return Evaluation(
        top1=metrics.top1(predicted, labels),
        per_class_top1=metrics.per_class_top1(predicted, labels),
        ausuc=metrics.ausuc(drawn),
        seen=seen,
        unseen=unseen,
        harmonic=metrics.harmonic_mean(seen, unseen),
        **retrieval.means(torch.from_numpy(precisions), task.unseen_sizes),
        curve=drawn,
        groups=groups,
        right=predicted == labels,
    )


def _tables(score: Callable[[Tensor], Tensor], task: ZSLTask) -> tuple[Tensor, Tensor]:
    """Reduced scores of the images of seen classes and of unseen ones, on the device."""
    unseen_labels = task.unseen_labels + len(task.seen_text)
    return (
        _table(score, task.seen_features, task.seen_labels, task, True),
        _table(score, task.unseen_features, unseen_labels, task, False),
    )


def _table(score, features, labels, task: ZSLTask, is_seen: bool) -> Tensor:
    """Scores of all classes, reduced block by block: no images x classes table is kept."""
    num_seen, num_unseen = len(task.seen_text), len(task.unseen_text)
    size = max(1, classifiers.block_entries(features.device) // (num_seen + num_unseen))
    blocks = zip(features.split(size), labels.split(size), strict=True)
    return torch.cat(
        [metrics.best_columns(score(x), y, num_seen, is_seen) for x, y in blocks], dim=1
    )
