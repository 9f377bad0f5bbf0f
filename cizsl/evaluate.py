"""One evaluation of a generator: the same function for validation classes and for test classes.

Synthetic features of every class are drawn once. Those of the unseen classes feed a classifier, a
k-NN or a softmax, which gives zero-shot accuracy (unseen images against unseen classes). The class
means, the pivots, give the generalised setting, where all classes compete: the seen-unseen curve
and its area, and, at offset zero, seen and unseen accuracy averaged over classes, and their
harmonic mean. The pivots are the queries of retrieval, too (:mod:`cizsl.retrieval`).

The attribute benchmarks have all classes compete by the same kind of classifier instead. Its other
half is synthetic features of the seen classes where it is a k-NN, as in GAZSL's code for them, and
their real training images where it is a softmax, as in f-CLSWGAN.

Source: GAZSL (arXiv:1712.01381), section 4; Xian et al. (arXiv:1707.00600), section 4 for s, u, H;
f-CLSWGAN (arXiv:1712.00981), section 3.3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from cizsl import classifiers, metrics, retrieval, softmax, synthesis
from cizsl.networks import Generator
from cizsl.protocols import ZSLTask
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

    def scores(self) -> dict[str, float]:
        """Everything but the curve, JSON-ready."""
        return {name: value for name, value in vars(self).items() if name != "curve"}


@torch.no_grad()
def evaluate(
    generator: Generator,
    problem: ZSLTask,
    random: torch.Generator,
    *,
    samples: int = 60,
    neighbours: int = 20,
    curve: str = "exact",
    classifier: str = "knn",
    penalty: float = 1e-4,
    generalised: bool = False,
) -> Evaluation:
    """Evaluate on the unseen classes of ``problem``.

    Args: ``samples`` synthetic features for each class; ``classifier``, knn with k =
    ``neighbours`` or softmax with its ``penalty``; ``generalised``: all classes compete by the
    classifier, not by pivots; ``curve``, a key of :data:`CURVES`.
    """
    learn = {
        "knn": partial(_voting, neighbours=neighbours),
        "softmax": partial(_softmax, penalty=penalty),
    }[classifier]
    if keeps_seen := generalised and classifier == "knn":
        seen = synthesis.synthesise(generator, problem.seen_text, samples, random)
    else:  # the seen classes only need their pivots, so their samples are not kept
        seen = synthesis.pivots(generator, problem.seen_text, samples, random)
    unseen = synthesis.synthesise(generator, problem.unseen_text, samples, random)
    pivots = torch.cat([seen.mean(1) if keeps_seen else seen, unseen.mean(1)])
    bank, labels = _labelled(unseen)

    with precision("float32", unseen.device):  # metrics are exact, whatever training uses
        predicted = learn(bank, labels, len(unseen))(problem.unseen_features).argmax(1)
        score = None
        if generalised:
            real = problem.train_features, problem.train_labels
            seen_bank, seen_labels = _labelled(seen) if keeps_seen else real
            labels = torch.cat([seen_labels, labels + len(problem.seen_text)])
            score = learn(torch.cat([seen_bank, bank]), labels, len(pivots))
        return assess(pivots, problem, curve=curve, predicted_N=predicted, score=score)


def _labelled(synthetic: Tensor) -> tuple[Tensor, Tensor]:
    """(C, samples, D) as rows (M, D) with their classes (M,)."""
    classes = torch.arange(len(synthetic), device=synthetic.device)
    return synthetic.flatten(0, 1), classes.repeat_interleave(synthetic.shape[1])


def _voting(bank, labels, num_classes: int, neighbours: int) -> Callable[[Tensor], Tensor]:
    return lambda x: classifiers.votes(bank, labels, x, num_classes, neighbours)


def _softmax(bank, labels, num_classes: int, penalty: float) -> Callable[[Tensor], Tensor]:
    return softmax.fit(bank, labels, num_classes, penalty=penalty).log_probabilities


def assess(
    vectors_CD: Tensor,
    problem: ZSLTask,
    *,
    similarity: str = "cosine",
    curve: str = "exact",
    predicted_N: Tensor | None = None,
    score: Callable[[Tensor], Tensor] | None = None,
) -> Evaluation:
    """Every metric of a classifier that has one vector in feature space for each class.

    Args: ``vectors_CD`` of the seen classes, then of the unseen ones; ``similarity`` to them, a
    key of :data:`classifiers.SIMILARITIES`; ``predicted_N``, the unseen class in [0, U) of each
    image of one, where that is not the most similar; ``score``, (N, D) to (N, C), where all
    classes compete by another score. Retrieval always ranks by the cosine.
    """
    num_seen = len(problem.seen_text)
    unseen_labels = problem.unseen_labels + num_seen
    similar = partial(classifiers.SIMILARITIES[similarity], pivots_CD=vectors_CD)
    seen_best = _best(score or similar, problem.seen_features, problem.seen_labels, problem, True)
    unseen_best = _best(score or similar, problem.unseen_features, unseen_labels, problem, False)
    drawn = CURVES[curve](seen_best, unseen_best)
    seen = metrics.per_class_top1(seen_best.predicted, problem.seen_labels.cpu())
    unseen = metrics.per_class_top1(unseen_best.predicted, unseen_labels.cpu())
    if predicted_N is None:
        predicted_N = similar(problem.unseen_features, pivots_CD=vectors_CD[num_seen:]).argmax(1)
    ranking = classifiers.cosine(problem.unseen_features, vectors_CD[num_seen:])
    return Evaluation(
        top1=metrics.top1(predicted_N, problem.unseen_labels),
        per_class_top1=metrics.per_class_top1(predicted_N, problem.unseen_labels),
        ausuc=metrics.ausuc(drawn),
        seen=seen,
        unseen=unseen,
        harmonic=metrics.harmonic_mean(seen, unseen),
        **retrieval.mean_precision(ranking, problem.unseen_labels),
        curve=drawn,
    )


def _best(score, features, labels, problem: ZSLTask, is_seen: bool) -> metrics.Best:
    """Scores of all classes, reduced block by block: no images x classes table is kept."""
    num_seen, num_unseen = len(problem.seen_text), len(problem.unseen_text)
    size = max(1, classifiers.BLOCK_ENTRIES // (num_seen + num_unseen))
    return metrics.join(
        [
            metrics.best_scores(score(x), y, num_seen, is_seen)
            for x, y in zip(features.split(size), labels.split(size), strict=True)
        ]
    )
