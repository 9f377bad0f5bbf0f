"""One evaluation of a generator: the same function for validation classes and for test classes.

Synthetic features of every class are drawn once. Those of the unseen classes feed a k-NN, which
gives zero-shot accuracy (unseen images against unseen classes). The class means, the pivots, give
the generalised setting, where all classes compete: the seen-unseen curve and its area, and, at
offset zero, seen and unseen accuracy averaged over classes, and their harmonic mean.

Source: GAZSL (arXiv:1712.01381), section 4; Xian et al. (arXiv:1707.00600), section 4 for s, u, H.
"""

from dataclasses import dataclass

import torch

from cizsl import classifiers, metrics, synthesis
from cizsl.networks import Generator
from cizsl.protocols import Problem
from repro.device import precision

CURVES = {"grid": metrics.grid_curve, "exact": metrics.exact_curve}


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
    pivots = synthesis.pivots(generator, problem.seen_text, samples, random)
    synthetic = synthesis.synthesise(generator, problem.unseen_text, samples, random)
    pivots = torch.cat([pivots, synthetic.mean(1)])
    bank_labels = torch.arange(num_unseen, device=synthetic.device).repeat_interleave(samples)
    unseen_labels = problem.unseen_labels + num_seen

    with precision("float32", synthetic.device):  # metrics are exact, whatever training uses
        predicted = classifiers.knn(
            synthetic.flatten(0, 1), bank_labels, problem.unseen_features, neighbours
        )
        seen_best = _best(problem.seen_features, problem.seen_labels, pivots, num_seen, True)
        unseen_best = _best(problem.unseen_features, unseen_labels, pivots, num_seen, False)
    drawn = CURVES[curve](seen_best, unseen_best)
    seen = metrics.per_class_top1(seen_best.predicted, problem.seen_labels.cpu())
    unseen = metrics.per_class_top1(unseen_best.predicted, unseen_labels.cpu())
    return Evaluation(
        top1=metrics.top1(predicted, problem.unseen_labels),
        per_class_top1=metrics.per_class_top1(predicted, problem.unseen_labels),
        ausuc=metrics.ausuc(drawn),
        seen=seen,
        unseen=unseen,
        harmonic=metrics.harmonic_mean(seen, unseen),
        curve=drawn,
    )


def _best(features, labels, pivots, num_seen: int, is_seen: bool) -> metrics.Best:
    """Cosines with every pivot, reduced block by block: no images x classes table is kept."""
    size = max(1, classifiers.BLOCK_ENTRIES // len(pivots))
    return metrics.join(
        [
            metrics.best_scores(classifiers.cosine(x, pivots), y, num_seen, is_seen)
            for x, y in zip(features.split(size), labels.split(size), strict=True)
        ]
    )
