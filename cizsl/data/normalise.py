"""Normalisations of visual features, by name.

The published code normalises features by two numbers taken over the whole training matrix X,

    x -> (x - mean(X)) / var(X)

It divides by the variance, not by the standard deviation. Published results depend on it, so it is
`NORMALISATIONS["published"]`.

"root" is for pooled activations, which are not negative: x -> sqrt(x) / |sqrt(x)|, so that the
product of two images is the Bhattacharyya coefficient of their activations.

"discriminant" is another kind: it needs the classes of the training images, and gives the
coordinates of linear discriminant analysis (:mod:`cizsl.data.discriminants`). "root_discriminant"
takes "root" first.
"""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor

from cizsl.data.discriminants import discriminants, within_covariance
from repro.errors import InputError
from repro.plugins import resolve

DISCRIMINANTS = {"discriminant": "none", "root_discriminant": "root"}  # what is taken first
SHRINKAGE = 0.3  # chosen on validation classes of CUB (docs/results.md)


def normalise(features: Tensor, reference: Tensor, kind: str) -> Tensor:
    """Normalise features by `NORMALISATIONS[kind]`.

    Args:
        features: (N, D).
        reference: (M, D), from which statistics are taken: the training features, also where the
            features of unseen classes are normalised.
        kind: a key of `NORMALISATIONS`, or "package.module:name" of a function like them.

    Returns (N, D). Raises `InputError` for an unknown kind.
    """
    return resolve(kind, NORMALISATIONS, "normalisation")(features, reference)


def normaliser(reference: Tensor, labels: Tensor, kind: str) -> Callable[[Tensor], Tensor]:
    """Return the normalisation of features (N, D) by statistics of the training images.

    Args:
        reference: features of the training images (M, D).
        labels: classes of the training images (M,).
        kind: one of :func:`kinds`, or "package.module:name" as in :func:`normalise`.

    Raises `InputError` for an unknown kind.
    """
    if kind not in DISCRIMINANTS:
        return partial(normalise, reference=reference, kind=kind)
    first = partial(normalise, reference=reference, kind=DISCRIMINANTS[kind])
    reference = first(reference)
    present, place = labels.unique(return_inverse=True)
    sums = reference.new_zeros(len(present), reference.shape[1], dtype=torch.float64)
    sums.index_add_(0, place, reference.double())
    centroids = sums / place.bincount()[:, None]
    space = discriminants(within_covariance(reference, place, centroids), centroids, SHRINKAGE)
    return lambda features: space.encode(first(features)).to(features.dtype)


def kinds() -> Iterable[str]:
    """Return the names of all normalisations."""
    return (*NORMALISATIONS, *DISCRIMINANTS)


def _published(features: Tensor, reference: Tensor) -> Tensor:
    mean, variance = _moments(reference)
    return (features - mean) / variance


def _standardise_matrix(features: Tensor, reference: Tensor) -> Tensor:
    mean, variance = _moments(reference)
    return (features - mean) / variance.sqrt()


def _moments(reference: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(reference, correction=0)
    if variance == 0:
        raise InputError("the training features are all one number: nothing to normalise by")
    return mean, variance


def _standardise(features: Tensor, reference: Tensor) -> Tensor:
    std, mean = torch.std_mean(reference, dim=0, correction=0)
    varies = std > 1e-6 * mean.abs()  # what is left of a constant feature is rounding
    return (features - mean) / torch.where(varies, std, 1)


def _minmax(features: Tensor, reference: Tensor) -> Tensor:
    low, high = torch.aminmax(reference, dim=0)
    return (features - low) / torch.where(high > low, high - low, 1)


def _l2(features: Tensor, reference: Tensor) -> Tensor:
    return torch.nn.functional.normalize(features, dim=1)


def _root(features: Tensor, reference: Tensor) -> Tensor:
    if (low := features.min()) < 0:
        raise InputError(f"data.normalisation=root: features as low as {low:.3g}; expected >= 0")
    return torch.nn.functional.normalize(features.sqrt(), dim=1)


def _none(features: Tensor, reference: Tensor) -> Tensor:
    return features


NORMALISATIONS = {
    "published": _published,  # (x - mean) / variance, two numbers for the whole matrix
    "standardise_matrix": _standardise_matrix,  # (x - mean) / deviation, the same two numbers
    "standardise": _standardise,  # each feature to mean 0 and deviation 1; a constant one to 0
    "minmax": _minmax,  # each feature to [0, 1] on the reference; GAZSL and f-CLSWGAN on GBU
    "l2": _l2,  # each image to unit length; zero stays zero
    "root": _root,  # square roots, then each image to unit length
    "none": _none,
}
