"""Distances between two samples that need no pretrained weights.

    sliced Wasserstein   sqrt of the mean over directions of W_2^2 of the projections
    MMD^2                E k(x, x') + E k(y, y') - 2 E k(x, y)      Gretton et al. 2012
    energy distance^2    2 E|x - y| - E|x - x'| - E|y - y'|         Szekely and Rizzo 2013
    Frechet              |m_x - m_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^{1/2})   Heusel et al. 2017
    precision, recall    share of one sample within the k-neighbour balls of the other
                         Kynkaanniemi et al. 2019, arXiv:1904.06991

Each takes features (N, ...) and (M, ...), flattened, and returns the sample counts with the value,
which depends on them: at small counts all of these are biased or noisy.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from repro.errors import InputError

BLOCK = 2048  # rows of a distance matrix in memory at once


@dataclass(frozen=True)
class Distance:
    """A distance, with the number of samples it was computed from."""

    value: float
    num_real: int
    num_fake: int


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall in [0, 1], with the number of samples they were computed from."""

    precision: float  # of the fake samples, those within the support of the real
    recall: float  # of the real samples, those within the support of the fake
    num_real: int
    num_fake: int


def sliced_wasserstein(
    real: Tensor, fake: Tensor, *, generator: torch.Generator, directions: int = 200
) -> Distance:
    """Sliced 2-Wasserstein distance over random directions, in the units of the data.

    Counts may differ: quantile functions are compared exactly, as step functions.
    """
    real, fake = _features(real, fake)
    theta = torch.randn(
        real.shape[1], directions, generator=generator, dtype=real.dtype, device=real.device
    )
    theta = theta / theta.norm(dim=0)
    a, b = (real @ theta).sort(0).values, (fake @ theta).sort(0).values
    ends = torch.cat([_levels(a), _levels(b)]).sort().values  # where either quantile jumps
    middle = (ends[1:] + ends[:-1]) / 2
    gap = _quantiles(a, middle) - _quantiles(b, middle)
    return _distance((ends.diff()[:, None] * gap**2).sum(0).mean().sqrt(), real, fake)


def maximum_mean_discrepancy(
    real: Tensor, fake: Tensor, *, bandwidths: tuple[float, ...] | None = None
) -> Distance:
    """Unbiased squared MMD with a sum of Gaussian kernels exp(-|x - y|^2 / (2 h^2)).

    By default the bandwidths are {1/4, 1/2, 1, 2, 4} times the median distance within ``real``, so
    that values for different ``fake`` compare. May be slightly negative, being unbiased.
    """
    real, fake = _features(real, fake, least=2)
    if bandwidths is None:
        median = torch.pdist(real[:1000]).median().clamp_min(1e-12).item()
        bandwidths = tuple(median * factor for factor in (0.25, 0.5, 1.0, 2.0, 4.0))

    def kernel(distances: Tensor) -> Tensor:
        return cast(Tensor, sum(torch.exp(-(distances**2) / (2 * h**2)) for h in bandwidths))

    n, m = len(real), len(fake)
    diagonal = float(len(bandwidths))
    within_real = (_pair_sum(real, real, kernel) - n * diagonal) / (n * (n - 1))
    within_fake = (_pair_sum(fake, fake, kernel) - m * diagonal) / (m * (m - 1))
    return _distance(
        within_real + within_fake - 2 * _pair_sum(real, fake, kernel) / (n * m), real, fake
    )


def energy_distance(real: Tensor, fake: Tensor) -> Distance:
    """Unbiased (U-statistic) squared energy distance; zero only for equal laws."""
    real, fake = _features(real, fake, least=2)
    n, m = len(real), len(fake)
    between = _pair_sum(real, fake) / (n * m)
    within_real = _pair_sum(real, real) / (n * (n - 1))
    within_fake = _pair_sum(fake, fake) / (m * (m - 1))
    return _distance(2 * between - within_real - within_fake, real, fake)


def frechet_distance(real: Tensor, fake: Tensor) -> Distance:
    """Squared Frechet distance of the Gaussians fitted to two samples, on any features."""
    real, fake = _features(real, fake, least=2)
    value = gaussian_frechet(real.mean(0), torch.cov(real.T), fake.mean(0), torch.cov(fake.T))
    return _distance(value, real, fake)


def gaussian_frechet(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    """Squared 2-Wasserstein distance of two Gaussians, means (D,), covariances (D, D): ().

    tr (A B)^{1/2} is taken as that of the symmetric (A^{1/2} B A^{1/2})^{1/2}, by eigenvalues, so
    it is real and exact for singular covariances too.
    """
    cov_a, cov_b = torch.atleast_2d(cov_a), torch.atleast_2d(cov_b)
    values, axes = torch.linalg.eigh(cov_a)
    root = (axes * values.clamp(min=0).sqrt()) @ axes.mT
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    return ((mean_a - mean_b) ** 2).sum() + cov_a.trace() + cov_b.trace() - 2 * cross


def precision_recall(real: Tensor, fake: Tensor, *, neighbours: int = 3) -> PrecisionRecall:
    """Improved precision and recall with balls to the k-th neighbour.

    Raises InputError where a sample has no k-th neighbour.
    """
    real, fake = _features(real, fake, least=neighbours + 1)
    precision = _share_covered(fake, real, neighbours)
    recall = _share_covered(real, fake, neighbours)
    return PrecisionRecall(precision, recall, len(real), len(fake))


def _share_covered(points: Tensor, support: Tensor, neighbours: int) -> float:
    radii = torch.cat(
        [torch.cdist(rows, support).kthvalue(neighbours + 1, 1).values for rows in _blocks(support)]
    )
    covered = [(torch.cdist(rows, support) <= radii).any(1) for rows in _blocks(points)]
    return torch.cat(covered).double().mean().item()


def _pair_sum(a: Tensor, b: Tensor, kernel=lambda distances: distances) -> Tensor:
    return cast(Tensor, sum(kernel(torch.cdist(rows, b)).sum() for rows in _blocks(a)))


def _blocks(x: Tensor):
    return x.split(BLOCK)


def _quantiles(ordered: Tensor, level: Tensor) -> Tensor:
    return ordered[(level * len(ordered)).long().clamp(max=len(ordered) - 1)]


def _levels(x: Tensor) -> Tensor:
    return torch.linspace(0, 1, len(x) + 1, dtype=x.dtype, device=x.device)


def _features(real: Tensor, fake: Tensor, least: int = 1) -> tuple[Tensor, Tensor]:
    """Both flattened to (N, D) float64, because float32 sums would lose small distances.

    Raises InputError for shapes that disagree and values that are not finite.
    """
    if real.ndim < 2 or real.shape[1:] != fake.shape[1:] or min(len(real), len(fake)) < least:
        raise InputError(
            f"need two samples of one event shape, at least {least} each; got "
            f"{tuple(real.shape)} and {tuple(fake.shape)}"
        )
    real, fake = real.detach().flatten(1).double(), fake.detach().flatten(1).double()
    for name, x in (("real", real), ("fake", fake)):
        if not bool(torch.isfinite(x).all()):
            raise InputError(f"the {name} sample holds values that are not finite")
    return real, fake


def _distance(value: Tensor, real: Tensor, fake: Tensor) -> Distance:
    return Distance(float(value), len(real), len(fake))
