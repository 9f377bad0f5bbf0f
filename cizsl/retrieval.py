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
    sizes = torch.bincount(labels_N, minlength=scores_NU.shape[1])
    queries = torch.nonzero(sizes).ravel()
    sizes = sizes[queries]
    nearest = scores_NU.T[queries].topk(int(sizes.max()), dim=1).indices
    hits = (labels_N[nearest] == queries[:, None]).cumsum(1)
    cuts = torch.stack([(share * sizes).ceil().long() for share in SHARES.values()], dim=1)
    means = (hits.gather(1, cuts - 1) / cuts.double()).mean(0).tolist()
    return dict(zip(SHARES, means, strict=True))
