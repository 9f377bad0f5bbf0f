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
class Best:
    """What the curve needs of each image, as NumPy arrays (N,): the best ``seen`` and the best
    ``unseen`` score, whether the best class of its own group is ``right``, the class ``predicted``
    at offset zero, and its true class in ``labels``. ``is_seen`` tells which group the images
    belong to."""

    seen: np.ndarray
    unseen: np.ndarray
    right: np.ndarray
    predicted: np.ndarray
    labels: np.ndarray
    is_seen: bool

    @property
    def margins(self) -> np.ndarray:
        """s - u of each image: it is predicted as unseen where the offset exceeds this."""
        return self.seen - self.unseen

    @property
    def weights(self) -> np.ndarray:
        """Weight of each image in an average over classes: 1 / (classes x images of its class)."""
        counts = np.bincount(self.labels)
        return 1 / (counts[self.labels] * np.count_nonzero(counts))


def seen_unseen_curve(
    seen_scores_NC: Tensor,
    seen_labels_N: Tensor,
    unseen_scores_NC: Tensor,
    unseen_labels_N: Tensor,
    num_seen: int,
) -> Curve:
    """Return the exact curve: one point for every interval of offsets on which nothing changes.

    Args: scores of the images of seen classes (N, C) and of unseen classes (N', C) for all
    classes, seen ones first; labels number all classes, so unseen labels lie in [num_seen, C).
    Ties between a seen and an unseen class go to the seen one.
    """
    return exact_curve(
        best_scores(seen_scores_NC, seen_labels_N, num_seen, is_seen=True),
        best_scores(unseen_scores_NC, unseen_labels_N, num_seen, is_seen=False),
    )


def exact_curve(seen: Best, unseen: Best) -> Curve:
    """The exact curve of :func:`seen_unseen_curve` from the best scores of each image."""
    lose = np.sort((seen.seen - seen.unseen)[seen.right])
    win = np.sort((unseen.seen - unseen.unseen)[unseen.right])
    ends = np.unique(np.concatenate([lose, win]))
    # just above each end (right side of it), after the start where every offset is below all
    lost = np.searchsorted(lose, ends, side="right")
    won = np.searchsorted(win, ends, side="right")
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
    return grid_curve(
        best_scores(seen_scores_NC, seen_labels_N, num_seen, is_seen=True),
        best_scores(unseen_scores_NC, unseen_labels_N, num_seen, is_seen=False),
        offsets,
    )


def grid_curve(seen: Best, unseen: Best, offsets: np.ndarray = PUBLISHED_OFFSETS) -> Curve:
    """The curve of :func:`published_curve` from the best scores of each image."""
    accuracies = []
    for best in (seen, unseen):
        first = _first_unseen(best.seen[best.right], best.unseen[best.right], offsets)
        moved = np.bincount(first, minlength=len(offsets)).cumsum()[: len(offsets)]
        hits = len(first) - moved if best.is_seen else moved
        accuracies.append(hits / len(best.right))
    return Curve(*accuracies)


def _first_unseen(s: np.ndarray, u: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Index of the first of rising offsets with u + offset > s, or one beyond the last: (N,).

    The sum is rounded as in the loop over offsets, by which s - u may miss the index by one.
    """
    guess = np.searchsorted(offsets, s - u, side="right")
    around = np.concatenate([[-np.inf], offsets, [np.inf]])
    return guess - 1 + sum(~(u + around[guess + shift] > s) for shift in (0, 1))


def accuracies_at(seen: Best, unseen: Best, offset: float) -> tuple[float, float]:
    """Return seen and unseen accuracy at an offset of the unseen scores, averages over classes."""
    hits = seen.right & (seen.margins >= offset), unseen.right & (unseen.margins < offset)
    return _over_classes(hits[0], seen.labels), _over_classes(hits[1], unseen.labels)


def _over_classes(hits: np.ndarray, labels: np.ndarray) -> float:
    counts = np.bincount(labels)
    shares = np.bincount(labels, weights=hits) / np.maximum(counts, 1)
    return float(shares[counts > 0].mean())


def best_offset(seen: Best, unseen: Best) -> float:
    """Return an offset of the unseen scores at which H of :func:`accuracies_at` is highest.

    H depends on the offset only through the interval between two margins that holds it; the middle
    of the first best one is returned, the smallest margin where that interval is unbounded, and 0
    where no image is right.
    """
    ends = np.unique(np.concatenate([best.margins[best.right] for best in (seen, unseen)]))
    if not len(ends):
        return 0.0
    s, u = seen.weights[seen.right].sum() - _up_to(seen, ends), _up_to(unseen, ends)
    h = np.divide(2 * s * u, s + u, where=s + u > 0, out=np.zeros_like(s))
    place = int(h.argmax())  # the interval (ends[place - 1], ends[place]]
    return float((ends[max(0, place - 1)] + ends[min(place, len(ends) - 1)]) / 2)


def _up_to(best: Best, ends: np.ndarray) -> np.ndarray:
    """Weight of the right images with a margin up to each end, after a zero: (P + 1,)."""
    margins, weights = best.margins[best.right], best.weights[best.right]
    order = margins.argsort()
    sums = np.concatenate([[0], weights[order].cumsum()])
    places = np.searchsorted(margins[order], ends, side="right")
    return np.concatenate([[0], sums[places]])


def ausuc(curve: Curve) -> float:
    """Return the area under seen accuracy over unseen accuracy, by trapezoids, in [0, 1]."""
    return float(np.trapezoid(curve.seen, curve.unseen))


def top1(predictions_N: Tensor | np.ndarray, labels_N: Tensor | np.ndarray) -> float:
    """Return the share of images that are classified correctly."""
    predictions, labels = torch.as_tensor(predictions_N), torch.as_tensor(labels_N)
    return (predictions == labels).double().mean().item()


def per_class_top1(predictions_N: Tensor | np.ndarray, labels_N: Tensor | np.ndarray) -> float:
    """Return the accuracy of each class that occurs, averaged over classes."""
    predictions, labels = torch.as_tensor(predictions_N), torch.as_tensor(labels_N)
    counts = torch.bincount(labels)
    right = torch.bincount(labels, weights=(predictions == labels).double())
    shares = right / counts.clamp_min(1)
    return shares[counts > 0].mean().item()


def harmonic_mean(seen: float, unseen: float) -> float:
    """H = 2 s u / (s + u); 0 where both are 0. Source: Xian et al. (arXiv:1707.00600), eq. 5."""
    return 2 * seen * unseen / (seen + unseen) if seen + unseen else 0.0


def best_scores(scores_NC: Tensor, labels_N: Tensor, num_seen: int, is_seen: bool) -> Best:
    """Reduce the scores of images of one group; one transfer from the device."""
    (table,) = to_host(best_columns(scores_NC, labels_N, num_seen, is_seen))
    return as_best(table, is_seen)


def best_columns(scores_NC: Tensor, labels_N: Tensor, num_seen: int, is_seen: bool) -> Tensor:
    """The fields of :class:`Best` in float64, (5, N), without waiting for the device."""
    scores, labels = torch.as_tensor(scores_NC), torch.as_tensor(labels_N)
    seen, unseen = scores[:, :num_seen].max(1), scores[:, num_seen:].max(1)
    of_seen, of_unseen = seen.indices, unseen.indices + num_seen
    own = of_seen if is_seen else of_unseen
    predicted = torch.where(seen.values >= unseen.values, of_seen, of_unseen)
    columns = (seen.values, unseen.values, own == labels, predicted, labels)
    return torch.stack([column.double() for column in columns])


def as_best(table: np.ndarray, is_seen: bool) -> Best:
    """The images of a table of :func:`best_columns`."""
    predicted, labels = table[3:].astype(np.int64)
    return Best(table[0], table[1], table[2] > 0, predicted, labels, is_seen)


def to_host(*tensors: Tensor) -> list[np.ndarray]:
    """Tensors as float64 arrays, after one transfer from their device."""
    joined = torch.cat([tensor.flatten().double() for tensor in tensors]).cpu().numpy()
    parts = np.split(joined, np.cumsum([tensor.numel() for tensor in tensors])[:-1])
    return [part.reshape(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]
