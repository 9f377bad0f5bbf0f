r"""Two classifiers in closed form that a trained generator should beat: ridge regression and ESZSL.

Classes have texts t (V,), the S seen ones also images x (D,). Classes are few and texts long, so
texts enter through their products K = T T' (S x S) only: no V x V matrix is formed. Each method
ends in one vector of the feature space for every class, seen or unseen.

Ridge regression predicts a class's centroid from its text, both centred by their means over the
seen classes, and takes the class whose prediction is nearest, by cosine or Euclidean distance:

    W = argmin ||T W - M||^2 + l ||W||^2,        m(t) = W't = M' (K + l I)^-1 T t

ESZSL scores a pair by x'V t; Y (N x S) is 1 for an image's own class, else 0:

    V = argmin ||X V T' - Y||^2 + g ||V T'||^2 + l ||X V||^2 + g l ||V||^2
      = (X'X + g I)^-1  X'Y  (K + l I)^-1  T

(both by T'(T T' + l I)^-1 = (T'T + l I)^-1 T'). The matrices are symmetric, so one decomposition of
each serves all penalties. Penalties are in units of the mean eigenvalue of the matrix they are
added to: one grid fits any normalisation.

Source: Romera-Paredes and Torr, ICML 2015, equation 4; its authors' code (github.com/bernard24/
Embarrassingly-simple-ZSL) has targets 0 and 1, the paper -1 and 1 (docs/evaluation.md).
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from cizsl.closed_form.search import Tried, every
from cizsl.protocols import ZSLTask

PENALTIES = tuple(10.0**power for power in range(-3, 4))
ROWS = 4096


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted classifier, as :func:`cizsl.evaluate.assess` takes it.

    vectors: one for each class in feature space, seen ones first (C, D). similarity: of images and
    vectors. score: maps features (N, D) to class scores (N, C); None: the similarity is the score.
    """

    vectors: Tensor
    similarity: str = "product"
    score: Callable[[Tensor], Tensor] | None = None


class Penalised:
    """(A + p I)^-1 B for any penalty p, A (n, n) symmetric and positive semidefinite.

    Penalties are in units of the mean eigenvalue of A; of 1 where A is zero (identical texts).
    """

    def __init__(self, matrix: Tensor):
        values, self.vectors = torch.linalg.eigh(matrix)
        self.values = values.clamp_min(0)
        mean = self.values.mean()
        self.unit = torch.where(mean > 0, mean, torch.ones_like(mean))

    def solve(self, penalty: float, right: Tensor) -> Tensor:
        """``right`` (n, m) -> (n, m)."""
        inverse = 1 / (self.values + penalty * self.unit)
        return self.vectors @ (inverse[:, None] * (self.vectors.T @ right))


class Exhaustive:
    """A classifier whose settings are searched in all combinations: the points of ``grid``."""

    grid: tuple[dict, ...]

    def search(self, score: Callable[[dict], float]) -> Tried:
        """Return every point of the grid with its score."""
        return every(self.grid, score)

    def accepts(self, point: dict) -> bool:
        """Return whether a point is one of the grid."""
        return point in self.grid


class Ridge(Exhaustive):
    """Ridge regression from the texts of seen classes to their centroids, fitted in float64.

    A seen class without training images has no centroid: it is predicted, and not learnt from.
    """

    grid = tuple(
        {"penalty": penalty, "similarity": similarity}
        for penalty, similarity in product(PENALTIES, ("cosine", "euclidean"))
    )

    def __init__(self, task: ZSLTask):
        seen, unseen = task.seen_text.double(), task.unseen_text.double()
        learnt = torch.bincount(task.train_labels, minlength=len(seen)) > 0
        centre, centroids = seen[learnt].mean(0), task.centroids[learnt].double()
        self.mean = centroids.mean(0)
        self.centroids = centroids - self.mean
        self.products = (torch.cat([seen, unseen]) - centre) @ (seen[learnt] - centre).T  # (C, S)
        self.kernel = Penalised(self.products[: len(seen)][learnt])

    def fit(self, penalty: float, similarity: str) -> Fitted:
        """Return the classifier at one point of the grid."""
        return Fitted(self.vectors(penalty), similarity)

    def vectors(self, penalty: float) -> Tensor:
        """m(t) of every class, seen ones first: (C, D)."""
        return self.mean + self.products @ self.kernel.solve(penalty, self.centroids)


class ESZSL(Exhaustive):
    """The bilinear classifier x'V t of the seen classes, fitted in float64."""

    grid = tuple(
        {"feature_penalty": feature, "text_penalty": text}
        for feature, text in product(PENALTIES, PENALTIES)
    )

    def __init__(self, task: ZSLTask):
        seen, dim = task.seen_text.double(), task.train_features.shape[1]
        squares, self.sums = seen.new_zeros(dim, dim), seen.new_zeros(len(seen), dim)  # X'X, Y'X
        images = task.train_features.split(ROWS), task.train_labels.split(ROWS)
        for x, labels in zip(*images, strict=True):  # no second copy of all images
            squares += x.double().T @ x.double()
            self.sums.index_add_(0, labels, x.double())
        self.covariance = Penalised(squares)
        self.products = torch.cat([seen, task.unseen_text.double()]) @ seen.T  # (C, S)
        self.kernel = Penalised(self.products[: len(seen)])

    def fit(self, feature_penalty: float, text_penalty: float) -> Fitted:
        """Return the classifier at one point of the grid."""
        return Fitted(self.vectors(feature_penalty, text_penalty))

    def vectors(self, feature_penalty: float, text_penalty: float) -> Tensor:
        """V t of every class, seen ones first: (C, D)."""
        by_feature = self.covariance.solve(feature_penalty, self.sums.T)
        return self.products @ self.kernel.solve(text_penalty, by_feature.T)
