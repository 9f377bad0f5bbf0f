r"""Accuracies, and the seen-unseen curve of generalised zero-shot learning.

All classes compete. An offset added to the scores of the unseen ones trades one accuracy for the
other; the area under the curve that it draws (AUSUC) needs no choice of offset. With s the best
seen and u the best unseen score of an image, the offset lambda moves its prediction from seen to
unseen where lambda > s - u =: m. So an image of a seen class counts while its best seen class is
right and lambda <= m, one of an unseen class once its best unseen class is right and lambda > m:

    seen(lambda)   = mean 1[argmax seen right] 1[m >= lambda]
    unseen(lambda) = mean 1[argmax unseen right] 1[m < lambda]

Both are step functions with steps at the margins m only: sorting them gives the whole curve,
exactly, in O(N log N). The published code evaluates 400 offsets on a grid.

Source: Chao et al., ECCV 2016 (arXiv:1605.04253), section 4; train_CIZSL.py, lines 414 to 456.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

PUBLISHED_OFFSETS = np.arange(-2, 2, 0.01)


@dataclass(frozen=True)
class Curve:
    """Accuracies along rising offsets, fractions: ``seen`` falls, ``unseen`` rises; each (P,)."""

    seen: np.ndarray
    unseen: np.ndarray


@dataclass(frozen=True)
class _Margins:
    """For each image: s - u (N,), and whether the best class of its own group is right (N,)."""

    margin: np.ndarray
    right: np.ndarray


def seen_unseen_curve(
    seen_scores_NC: Tensor,
    seen_labels_N: Tensor,
    unseen_scores_NC: Tensor,
    unseen_labels_N: Tensor,
    num_seen: int,
) -> Curve:
    """The exact curve: one point for every interval of offsets on which nothing changes.

    Args: scores of the images of seen classes (N, C) and of unseen classes (N', C) for all
    classes, seen ones first; labels number all classes, so unseen labels lie in [num_seen, C).
    Ties between a seen and an unseen class go to the seen one.
    """
    seen = _margins(seen_scores_NC, seen_labels_N, num_seen, group_is_seen=True)
    unseen = _margins(unseen_scores_NC, unseen_labels_N, num_seen, group_is_seen=False)
    ends = np.unique(np.concatenate([seen.margin[seen.right], unseen.margin[unseen.right]]))
    # just above each end (right side of it), after the start where every offset is below all
    lost = np.searchsorted(np.sort(seen.margin[seen.right]), ends, side="right")
    won = np.searchsorted(np.sort(unseen.margin[unseen.right]), ends, side="right")
    return Curve(
        seen=(seen.right.sum() - np.concatenate([[0], lost])) / len(seen.right),
        unseen=np.concatenate([[0], won]) / len(unseen.right),
    )


def published_curve(
    seen_scores_NC: Tensor,
    seen_labels_N: Tensor,
    unseen_scores_NC: Tensor,
    unseen_labels_N: Tensor,
    num_seen: int,
    offsets: np.ndarray = PUBLISHED_OFFSETS,
) -> Curve:
    """The curve on the published grid of 400 offsets; arguments as in :func:`seen_unseen_curve`.

    The offset is added to the score before the comparison, in float64, so ties round as there.
    """
    accuracies = []
    for scores, labels, is_seen in (
        (seen_scores_NC, seen_labels_N, True),
        (unseen_scores_NC, unseen_labels_N, False),
    ):
        best_seen, best_unseen, right = _best(scores, labels, num_seen, is_seen)
        s, u = best_seen[right], best_unseen[right]
        hits = [np.count_nonzero((u + offset > s) != is_seen) for offset in offsets]
        accuracies.append(np.array(hits) / len(right))
    return Curve(*accuracies)


def ausuc(curve: Curve) -> float:
    """Area under seen accuracy over unseen accuracy, by trapezoids, in [0, 1]."""
    return float(np.trapezoid(curve.seen, curve.unseen))


def top1(predictions_N: Tensor, labels_N: Tensor) -> float:
    """Share of images that are right."""
    predictions, labels = torch.as_tensor(predictions_N), torch.as_tensor(labels_N)
    return (predictions == labels).double().mean().item()


def per_class_top1(predictions_N: Tensor, labels_N: Tensor) -> float:
    """Mean over the classes that occur of the share of their images that are right."""
    predictions, labels = torch.as_tensor(predictions_N), torch.as_tensor(labels_N)
    counts = torch.bincount(labels)
    right = torch.bincount(labels, weights=(predictions == labels).double())
    shares = right / counts.clamp_min(1)
    return shares[counts > 0].mean().item()


def harmonic_mean(seen: float, unseen: float) -> float:
    """H = 2 s u / (s + u); 0 where both are 0. Source: Xian et al. (arXiv:1707.00600), eq. 5."""
    return 2 * seen * unseen / (seen + unseen) if seen + unseen else 0.0


def _margins(scores: Tensor, labels: Tensor, num_seen: int, group_is_seen: bool) -> _Margins:
    best_seen, best_unseen, right = _best(scores, labels, num_seen, group_is_seen)
    return _Margins(best_seen - best_unseen, right)


def _best(scores: Tensor, labels: Tensor, num_seen: int, group_is_seen: bool):
    """Best seen score, best unseen score, and whether the own group's best class is right, of
    each image, as NumPy arrays: one transfer from the device."""
    scores, labels = torch.as_tensor(scores), torch.as_tensor(labels)
    seen, unseen = scores[:, :num_seen], scores[:, num_seen:]
    own = seen.argmax(1) if group_is_seen else unseen.argmax(1) + num_seen
    right = own == labels
    best = torch.stack([seen.amax(1).double(), unseen.amax(1).double(), right.double()]).cpu()
    return best[0].numpy(), best[1].numpy(), best[2].numpy() > 0
