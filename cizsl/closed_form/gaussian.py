r"""A Gaussian for each class, in closed form: the simplest generator of visual features from text.

    x | class c  ~  N( m_c,  S_w + s v_c S_b )

m_c is the mean that the text predicts (:mod:`cizsl.closed_form.class_means`), S_w the covariance of
images within a class, S_b that of the errors m_i - mu_i of seen classes left out of the prediction,
v_c the predictive variance over its mean on the seen classes, and s a number: the image scatters
around its class mean, and the class mean around its prediction. Seen classes have their centroid
in the place of m_c, and v_c = 0.

Everything happens in the r <= S - 1 coordinates of :mod:`cizsl.data.discriminants`, in which
classes can be told apart. A last rotation and scaling makes S_w the identity and S_b
diagonal, so that every density is a product of one-dimensional ones.

Source: linear discriminant analysis (Hastie, Tibshirani, Friedman, The Elements of Statistical
Learning, 2009, section 4.3), with the uncertain means of class_means.
"""

import copy

import torch
from torch import Tensor

from cizsl.closed_form.class_means import ClassMeans
from cizsl.data.discriminants import Discriminants, cholesky


class GaussianClasses:
    """The Gaussians of all classes, seen ones first.

    Args:
        space: the discriminant coordinates.
        centroids: of the seen classes (S, D).
        means: predicted from texts, in feature space.
        spread: s >= 0, the weight of the means' own uncertainty.
        isotropy: b in [0, 1]; S_b becomes (1 - b) S_b + b tr(S_b)/r I in whitened coordinates.

    ``mean`` and ``variance`` (C, r) of each class; ``left_out`` (S, r), the predictions of seen
    classes left out, whose errors have the variance ``error_variance`` (S, r).
    """

    def __init__(
        self,
        space: Discriminants,
        centroids: Tensor,
        means: ClassMeans,
        spread: float,
        isotropy: float = 0.0,
    ):
        self.space, self.num_seen = space, len(centroids)
        errors = space.encode(means.left_out) - space.encode(centroids)
        half = cholesky(space.within)
        scaled = torch.linalg.solve_triangular(half, errors.T, upper=False)  # (r, S)
        between, U = torch.linalg.eigh(scaled @ scaled.T / len(centroids))
        between = (1 - isotropy) * between + isotropy * between.mean()
        self.axes = half @ U  # y = axes w: within a class w scatters like the identity
        typical = means.left_out_variance.mean()
        excess = (means.unseen_variance / typical).clamp_min(0)
        widths = 1 + spread * excess[:, None] * between.clamp_min(0)
        self.variance = torch.cat([torch.ones_like(between).expand(self.num_seen, -1), widths])
        self.mean = self.coordinates(torch.cat([centroids.double(), means.unseen]))
        self.left_out = self.coordinates(means.left_out)
        left_out = means.left_out_variance / typical
        self.error_variance = spread * left_out.clamp_min(0)[:, None] * between.clamp_min(0)

    def reordered(self, classes: Tensor) -> "GaussianClasses":
        """Return the same Gaussians in another order: (C,) indices."""
        other = copy.copy(self)
        other.mean, other.variance = self.mean[classes], self.variance[classes]
        return other

    def coordinates(self, features: Tensor) -> Tensor:
        """Return w, in which a class scatters like the identity: (N, D) -> (N, r), float64."""
        return torch.linalg.solve(self.axes, self.space.encode(features).T).T

    def log_density(self, features_ND: Tensor) -> Tensor:
        """Return log p(y | c) of every class, up to a constant of all classes: (N, C), nats."""
        w, precision = self.coordinates(features_ND), 1 / self.variance
        squares = w.square() @ precision.T - 2 * w @ (self.mean * precision).T
        constant = (self.mean.square() * precision).sum(1) + self.variance.log().sum(1)
        return -0.5 * (squares + constant)

    def sample(self, classes: Tensor, count: int, rng: torch.Generator) -> Tensor:
        """Draw ``count`` features of each class: (c,) indices -> (c, count, D), float64."""
        shape = (len(classes), count, self.mean.shape[1])
        noise = torch.randn(shape, generator=rng, dtype=torch.float64, device=rng.device)
        w = self.mean[classes][:, None] + self.variance[classes].sqrt()[:, None] * noise
        return self.features(w)

    def features(self, w: Tensor) -> Tensor:
        """Return features of coordinates w: (..., r) -> (..., D), float64."""
        return self.space.decode(w @ self.axes.T)
