"""One evaluation of a generator: the same function for validation classes and for test classes.

Synthetic features of every class are drawn once. Those of the unseen classes feed a k-NN, which
gives zero-shot accuracy (unseen images against unseen classes). The class means, the pivots, give
the generalised setting, where all classes compete: the seen-unseen curve and its area, and, at
offset zero, seen and unseen accuracy averaged over classes, and their harmonic mean.

Source: GAZSL (arXiv:1712.01381), section 4; Xian et al. (arXiv:1707.00600), section 4 for s, u, H.
"""

from dataclasses import dataclass

import torch

from cizsl import classifiers, metrics
from cizsl.networks import Generator
from cizsl.protocols import Problem
from cizsl.synthesis import synthesise

CURVES = {"grid": metrics.published_curve, "exact": metrics.seen_unseen_curve}


@dataclass(frozen=True)
class Evaluation:
    """Fractions in [0, 1]; ``top1`` and the curve per image, the rest per class."""

    top1: float
    per_class_top1: float
    ausuc: float
    seen: float
    unseen: float
    harmonic: float
    curve: metrics.Curve

    def scores(self) -> dict[str, float]:
        """Everything but the curve, JSON-ready."""
        return {name: value for name, value in vars(self).items() if name != "curve"}


@torch.no_grad()
def evaluate(
    generator: Generator,
    problem: Problem,
    random: torch.Generator,
    *,
    samples: int = 60,
    neighbours: int = 20,
    curve: str = "exact",
) -> Evaluation:
    """Evaluate on the unseen classes of ``problem``.

    Args: ``samples`` synthetic features for each class; ``neighbours``, k of the k-NN; ``curve``,
    a key of :data:`CURVES`.
    """
    num_seen, num_unseen = len(problem.seen_text), len(problem.unseen_text)
    # the seen classes only need their pivots, so their samples are not kept
    pivots = synthesise(generator, problem.seen_text, samples, random).mean(1)
    synthetic = synthesise(generator, problem.unseen_text, samples, random)
    pivots = torch.cat([pivots, synthetic.mean(1)]).to(problem.unseen_features.dtype)

    bank_labels = torch.arange(num_unseen, device=synthetic.device).repeat_interleave(samples)
    predicted = classifiers.knn(
        synthetic.flatten(0, 1), bank_labels, problem.unseen_features, neighbours
    )
    seen_scores = classifiers.cosine(problem.seen_features, pivots)
    unseen_scores = classifiers.cosine(problem.unseen_features, pivots)
    unseen_labels = problem.unseen_labels + num_seen
    drawn = CURVES[curve](seen_scores, problem.seen_labels, unseen_scores, unseen_labels, num_seen)
    seen = metrics.per_class_top1(seen_scores.argmax(1), problem.seen_labels)
    unseen = metrics.per_class_top1(unseen_scores.argmax(1), unseen_labels)
    return Evaluation(
        top1=metrics.top1(predicted, problem.unseen_labels),
        per_class_top1=metrics.per_class_top1(predicted, problem.unseen_labels),
        ausuc=metrics.ausuc(drawn),
        seen=seen,
        unseen=unseen,
        harmonic=metrics.harmonic_mean(seen, unseen),
        curve=drawn,
    )
