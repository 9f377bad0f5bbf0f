r"""Top-1 accuracy and AUSUC of each unseen class, which comparisons over classes need.

The AUSUC is an average over the images i of unseen classes. With m_i the margin of an image (best
seen score minus best unseen score), its part is the accuracy on seen classes at the offset where it
changes from a seen to an unseen class, and 0 where its best unseen class is wrong,

    a_i = r_i (s(m_i) + s(m_i+)) / 2,     s(l) = share of seen images that are right with m >= l

by the trapezoid at each step of the curve. So the average of a_i over a class is the area under the
curve of its images alone, and the AUSUC is the average of the classes, weighted by their images.
"""

import numpy as np

from cizsl.evaluate import Evaluation
from cizsl.metrics import Best


def accuracies(evaluation: Evaluation) -> np.ndarray:
    """Return top-1 accuracy and AUSUC of the unseen classes that have images, in order: (2, U)."""
    labels = evaluation.groups[1].labels
    counts = np.bincount(labels)
    parts = evaluation.right, areas(*evaluation.groups)
    sums = np.stack([np.bincount(labels, weights=part) for part in parts])
    return sums[:, counts > 0] / counts[counts > 0]


def areas(seen: Best, unseen: Best) -> np.ndarray:
    """Return a_i of each image of unseen classes (N,), whose mean is the AUSUC."""
    margins = np.sort(seen.margins[seen.right])
    lost = np.stack([np.searchsorted(margins, unseen.margins, side) for side in ("left", "right")])
    before, after = (len(margins) - lost) / len(seen.right)
    return unseen.right * (before + after) / 2


def entry(accuracies_2U: np.ndarray) -> dict[str, list[float]]:
    """Return what ``results.json`` says of :func:`accuracies`."""
    top1, area = accuracies_2U.tolist()
    return {"top1": top1, "ausuc": area}
