r"""Coordinates of linear discriminant analysis, in which classes can be told apart.

With the covariance S_w of images within a class, shrunk to S = (1 - a) S_w + a tr(S_w)/D I = L L',
the mean g of the class centroids M, and the right singular vectors V of the whitened centroids
(M - g) L^-T, a feature x has the r <= S - 1 coordinates

    y = P (x - g),        P = V' L^-1

and x = g + L V y is the feature with these coordinates whose remaining part is the mean. Within a
class, y scatters like the identity, up to the shrinkage.

Source: Hastie, Tibshirani, Friedman, The Elements of Statistical Learning (2009), section 4.3.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from repro.errors import InputError

ROWS = 4096  # images at a time, so that no second copy of all images is made


@dataclass(frozen=True, eq=False)
class Discriminants:
    """Coordinates y = project (x - centre), of which x = centre + embed y is a right inverse.

    centre (D,), project (r, D), embed (D, r); within (r, r): covariance of y within a class.
    """

    centre: Tensor
    project: Tensor
    embed: Tensor
    within: Tensor

    def encode(self, features_ND: Tensor) -> Tensor:
        """Return y of the features: (N, D) -> (N, r), float64."""
        blocks = features_ND.split(ROWS)
        return torch.cat([(x.double() - self.centre) @ self.project.T for x in blocks])

    def decode(self, y_Nr: Tensor) -> Tensor:
        """Return features of coordinates (N, r): (N, D), float64."""
        return self.centre + y_Nr @ self.embed.T


def within_covariance(features: Tensor, labels: Tensor, centroids: Tensor) -> Tensor:
    """Return the pooled covariance of images around their class centroid, (D, D) float64.

    Args: features (N, D), labels (N,), centroids (S, D). Divides by N - S, S the classes present.
    """
    total = torch.zeros(features.shape[1], features.shape[1]).to(centroids.double())
    for x, y in zip(features.split(ROWS), labels.split(ROWS), strict=True):
        difference = x.double() - centroids.double()[y]
        total += difference.T @ difference
    return total / max(1, len(labels) - len(labels.unique()))


def discriminants(within: Tensor, centroids: Tensor, shrinkage: float) -> Discriminants:
    """Return the coordinates in which class centroids differ.

    Args:
        within: covariance within classes (D, D).
        centroids: of the seen classes (S, D).
        shrinkage: a in [0, 1], towards a multiple of the identity.

    Raises `InputError` where the shrunk covariance is singular.
    """
    dim, M = len(within), centroids.double()
    centre = M.mean(0)
    scale = within.diagonal().mean()
    shrunk = (1 - shrinkage) * within + shrinkage * scale * torch.eye(dim).to(within)
    L = cholesky(shrunk)
    whitened = torch.linalg.solve_triangular(L, (M - centre).T, upper=False)  # (D, S)
    V, sizes, _ = torch.linalg.svd(whitened, full_matrices=False)
    V = V[:, sizes > 1e-6 * sizes[0]]  # the centred centroids span at most S - 1 directions
    project = torch.linalg.solve_triangular(L.T, V, upper=True).T
    return Discriminants(centre, project, L @ V, project @ within @ project.T)


def cholesky(covariance: Tensor) -> Tensor:
    """Return L with L L^T = covariance within classes; raise `InputError` where it is singular."""
    L, failed = torch.linalg.cholesky_ex(covariance)
    if failed:
        raise InputError(
            "features: their covariance within classes is singular: the images of each class do "
            "not differ, or are too few for so little shrinkage"
        )
    return L
