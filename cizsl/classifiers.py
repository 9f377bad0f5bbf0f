r"""Classifiers on synthetic features: k nearest neighbours, and class prototypes.

A prototype is the mean synthetic feature of a class. The similarity is the cosine; the baselines in
closed form also use others. The k-NN works in blocks of images, so its memory does not grow with
their number.

Source: GAZSL (arXiv:1712.01381), section 4; train_CIZSL.py, lines 414 to 484.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

BLOCK_ENTRIES = 2**22  # entries of a block's table of similarities: 16 MB, near a CPU's cache


def block_entries(device: torch.device) -> int:
    """Entries of a block's table on a device: a GPU needs larger ones to be busy, 256 MB."""
    return 16 * BLOCK_ENTRIES if device.type == "cuda" else BLOCK_ENTRIES


def knn(
    synthetic_MD: Tensor, synthetic_labels_M: Tensor, features_ND: Tensor, k: int = 20
) -> Tensor:
    """Labels (N,) by majority among the k most similar synthetic features.

    Equal votes go to the smallest label, as published; which of several equally similar
    neighbours at rank k counts is not defined, as there.

    Args: synthetic features (M, D) with labels (M,) in [0, C), features (N, D); k is cut to M.
    """
    num_classes = int(synthetic_labels_M.max()) + 1
    return votes(synthetic_MD, synthetic_labels_M, features_ND, num_classes, k).argmax(1)


@torch.no_grad()
def votes(
    synthetic_MD: Tensor,
    synthetic_labels_M: Tensor,
    features_ND: Tensor,
    num_classes: int,
    k: int = 20,
) -> Tensor:
    """Count, among the k most similar synthetic features, those of each class: (N, C)."""
    training = normalize(synthetic_MD, dim=1)
    size = max(1, block_entries(training.device) // len(training))
    table = training.new_empty(min(size, len(features_ND)), len(training))  # used by every block
    counts = []
    for block in features_ND.split(size):
        # the length of an image's own features does not change the order of its neighbours
        similarity = torch.mm(block.to(training.dtype), training.T, out=table[: len(block)])
        nearest = similarity.topk(min(k, len(training)), dim=1).indices
        count = torch.zeros(len(block), num_classes, device=block.device)
        voters = synthetic_labels_M[nearest]
        counts.append(count.scatter_add_(1, voters, torch.ones_like(voters, dtype=count.dtype)))
    return torch.cat(counts)


def pivot_scores(
    synthetic_MD: Tensor, synthetic_labels_M: Tensor, features_ND: Tensor, num_classes: int
) -> Tensor:
    """Cosine of each feature with each class's mean synthetic feature: (N, C)."""
    return cosine(features_ND, class_centroids(synthetic_MD, synthetic_labels_M, num_classes))


def cosine(features_ND: Tensor, prototypes_CD: Tensor) -> Tensor:
    """cos(x, prototype) for every pair: (N, C). Zero vectors have cosine 0."""
    length = torch.linalg.vector_norm(features_ND, dim=1, keepdim=True)
    prototypes = normalize(prototypes_CD, dim=1).to(features_ND.dtype)
    return (features_ND @ prototypes.T).div_(torch.where(length > 0, length, 1))


def euclidean(features_ND: Tensor, prototypes_CD: Tensor) -> Tensor:
    """-||x - prototype||^2 for every pair: (N, C)."""
    prototypes = prototypes_CD.to(features_ND.dtype)
    squares = prototypes.square().sum(1) + features_ND.square().sum(1, keepdim=True)
    return 2 * features_ND @ prototypes.T - squares


def product(features_ND: Tensor, prototypes_CD: Tensor) -> Tensor:
    """x' prototype for every pair: (N, C)."""
    return features_ND @ prototypes_CD.to(features_ND.dtype).T


SIMILARITIES = {"cosine": cosine, "euclidean": euclidean, "product": product}


def class_centroids(features: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Return the mean of the features (N, D) of each class by label (N,): (num_classes, D).

    A class without images gets zeros. On CUDA the order of the sum, hence the last bit, varies
    unless torch.use_deterministic_algorithms is on.
    """
    sums = features.new_zeros(num_classes, features.shape[1]).index_add_(0, labels, features)
    counts = torch.bincount(labels, minlength=num_classes).clamp(min=1)
    return sums / counts[:, None]
