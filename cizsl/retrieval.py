r"""Zero-shot retrieval: the images of an unseen class, found by its text.

The query is a class c, the pool all images of the unseen classes, ranked by their score for c: with
a generator the cosine with the class's prototype, the mean of its synthetic features. Of the
n_c images that the class has, a share r is asked for, k = ceil(r n_c) images, and what counts is
how many of those retrieved are of the class:

    P_c(r) = 1/k  sum_{rank <= k} 1[the image is of class c]        mAP(r) = mean_c P_c(r)

for r = 25, 50 and 100 %. Precision is thus taken where the list is cut, and at 100 % it equals
recall. The papers call its mean over classes "mean average precision"; it is not the area under a
precision-recall curve that the name stands for elsewhere.

They leave open, and nobody published code for: the measure of similarity (here the cosine, as in
their classification), the pool (here the images of unseen classes only) and how k is rounded (here
up, so that at least one image is retrieved).

Source: GAZSL (arXiv:1712.01381) and CIZSL (arXiv:1904.01109), the sections on zero-shot retrieval.
"""

import torch
from torch import Tensor

SHARES = {"map25": 0.25, "map50": 0.50, "map100": 1.00}


def mean_precision(scores_NU: Tensor, labels_N: Tensor) -> dict[str, float]:
    """mAP(r) for every r of :data:`SHARES`, fractions in [0, 1], by name.

    Args: scores (N, U) of the N images of unseen classes for each of the U classes; labels (N,) in
    [0, U). A class without images is no query. Which of several images with the same score at rank
    k is retrieved is not defined. Memory: U x the size of the largest class beside the scores.
    """
    sizes = torch.bincount(labels_N, minlength=scores_NU.shape[1]).cpu()
    return means(class_precisions(scores_NU, labels_N, int(sizes.max())).cpu(), sizes)


def class_precisions(scores_NU: Tensor, labels_N: Tensor, most: int) -> Tensor:
    """P_c(r) of each class, (U, 3) in float64, without waiting for the device; of a class without
    images it means nothing.

    Args: as for :func:`mean_precision`; ``most``, the size of the largest class.
    """
    classes = torch.arange(scores_NU.shape[1], device=labels_N.device)
    sizes = torch.zeros_like(classes).index_add_(0, labels_N, torch.ones_like(labels_N))
    nearest = scores_NU.T.topk(most, dim=1).indices
    hits = (labels_N[nearest] == classes[:, None]).cumsum(1)
    cuts = [(share * sizes).ceil().long().clamp_min(1) for share in SHARES.values()]
    cuts = torch.stack(cuts, dim=1)
    return hits.gather(1, cuts - 1) / cuts.double()


def means(precisions_U3: Tensor, sizes_U: Tensor) -> dict[str, float]:
    """Means over the classes that have images; both on the CPU."""
    return dict(zip(SHARES, precisions_U3[sizes_U > 0].mean(0).tolist(), strict=True))
