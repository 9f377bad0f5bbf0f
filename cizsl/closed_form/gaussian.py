r"""A Gaussian for each class, in closed form: the simplest generator of visual features from text.

    x | class c  ~  N( m_c,  S_w + s v_c S_b )

m_c is the mean that the text predicts (:mod:`cizsl.closed_form.class_means`), S_w the covariance of
images within a class, S_b that of the errors m_i - mu_i of seen classes left out of the prediction,
v_c the predictive variance over its mean on the seen classes, and s a number: the image scatters
around its class mean, and the class mean around its prediction. Seen classes have their centroid
in the place of m_c, and v_c = 0.

Everything happens in r <= S - 1 coordinates y = P (x - g) in which classes can be told apart: with
the shrunk covariance S = (1 - a) S_w + a tr(S_w)/D I = L L' and the right singular vectors V of the
whitened centroids (M - g) L^-T, P = V' L^-1; x = g + L V y is the feature with these coordinates
whose remaining part is the mean. A last rotation and scaling makes S_w the identity and S_b
diagonal, so that every density is a product of one-dimensional ones.

Source: linear discriminant analysis (Hastie, Tibshirani, Friedman, The Elements of Statistical
Learning, 2009, section 4.3), with the uncertain means of class_means.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from cizsl.closed_form.class_means import ClassMeans

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
    """
    dim, M = len(within), centroids.double()
    centre = M.mean(0)
    scale = within.diagonal().mean()
    shrunk = (1 - shrinkage) * within + shrinkage * scale * torch.eye(dim).to(within)
    L = torch.linalg.cholesky(shrunk)
    whitened = torch.linalg.solve_triangular(L, (M - centre).T, upper=False)  # (D, S)
    V, sizes, _ = torch.linalg.svd(whitened, full_matrices=False)
    V = V[:, sizes > 1e-6 * sizes[0]]  # the centred centroids span at most S - 1 directions
    project = torch.linalg.solve_triangular(L.T, V, upper=True).T
    return Discriminants(centre, project, L @ V, project @ within @ project.T)


class GaussianClasses:
    """The Gaussians of all classes, seen ones first.

    Args:
        space: the discriminant coordinates.
        centroids: of the seen classes (S, D).
        means: predicted from texts, in feature space.
        spread: s >= 0, the weight of the means' own uncertainty.
    """

    def __init__(self, space: Discriminants, centroids: Tensor, means: ClassMeans, spread: float):
        self.space, self.num_seen = space, len(centroids)
        errors = space.encode(means.left_out) - space.encode(centroids)
        half = torch.linalg.cholesky(space.within)
        scaled = torch.linalg.solve_triangular(half, errors.T, upper=False)  # (r, S)
        between, U = torch.linalg.eigh(scaled @ scaled.T / len(centroids))
        self.axes = half @ U  # y = axes w: within a class w scatters like the identity
        typical = means.left_out_variance.mean()
        excess = (means.unseen_variance / typical).clamp_min(0)
        widths = 1 + spread * excess[:, None] * between.clamp_min(0)
        self.variance = torch.cat([torch.ones_like(between).expand(self.num_seen, -1), widths])
        self.mean = self._coordinates(torch.cat([centroids.double(), means.unseen]))

    def reordered(self, classes: Tensor) -> "GaussianClasses":
        """Return the same Gaussians in another order: (C,) indices."""
        other = copy.copy(self)
        other.mean, other.variance = self.mean[classes], self.variance[classes]
        return other

    def _coordinates(self, features: Tensor) -> Tensor:
        return torch.linalg.solve(self.axes, self.space.encode(features).T).T

    def log_density(self, features_ND: Tensor) -> Tensor:
        """Return log p(y | c) of every class, up to a constant of all classes: (N, C), nats."""
        w, precision = self._coordinates(features_ND), 1 / self.variance
        squares = w.square() @ precision.T - 2 * w @ (self.mean * precision).T
        constant = (self.mean.square() * precision).sum(1) + self.variance.log().sum(1)
        return -0.5 * (squares + constant)

    def sample(self, classes: Tensor, count: int, rng: torch.Generator) -> Tensor:
        """Draw ``count`` features of each class: (c,) indices -> (c, count, D), float64."""
        shape = (len(classes), count, self.mean.shape[1])
        noise = torch.randn(shape, generator=rng, dtype=torch.float64, device=rng.device)
        w = self.mean[classes][:, None] + self.variance[classes].sqrt()[:, None] * noise
        return self.space.decode(w @ self.axes.T)
