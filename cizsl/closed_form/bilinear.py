r"""The bilinear softmax: zero-shot classification by x'W t, trained by cross-entropy.

    p(y | x) = softmax_y( x'W t_y ),     min over W  (1/N) sum_i -log p(y_i | x_i) + (l/2) ||W||^2

with features x (D,), the texts t_y (V,) of the S seen classes, and W (D x V). A new class takes
part with its text. The gradient in W is a sum of x t' over seen texts, so that W = B T at the
minimum, T (S x V) the seen texts. With the eigenvectors U and eigenvalues e > 0 of their products
K = T T' and R = U e^(1/2), W = A e^(-1/2) U' T has ||W|| = ||A|| and logits

    X W T' = (X A) R'

so that a matrix A of D x S numbers at most remains. The objective is strictly convex: its minimum,
found by L-BFGS, depends on no random number. Features and texts are divided by the root of their
mean squared length, so that one grid of penalties l fits any normalisation.

Source: the model of ZEST without its factors (Paz-Argaman et al., EMNLP 2020 Findings,
arXiv:2010.03276), which is trained there by Adam for a fixed number of epochs.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cizsl.closed_form.baselines import Exhaustive, Fitted
from cizsl.protocols import ZSLTask
from cizsl.softmax import minimise

TOLERANCE = 1e-3  # of the largest gradient, relative to that at W = 0
STEPS = 300
SMALLEST = 1e-8  # eigenvalue of the products that counts, relative to the largest


class Bilinear(Exhaustive):
    """The bilinear softmax of the seen classes."""

    grid = tuple({"weight_decay": 10.0**power} for power in (-6, -5, -4, -3))

    def __init__(self, task: ZSLTask):
        texts = torch.cat([task.seen_text, task.unseen_text]).double()
        seen = texts[: len(task.seen_text)]
        self.unit = task.train_features.square().sum(1).mean().sqrt()
        texts = texts / seen.square().sum(1).mean().sqrt()
        seen = texts[: len(task.seen_text)]
        values, vectors = torch.linalg.eigh(seen @ seen.T)
        kept = values > SMALLEST * values[-1]
        inverse = vectors[:, kept] / values[kept].sqrt()
        self.text = texts @ seen.T @ inverse  # e^(-1/2) U'T t of every class (C, r)
        self.num_seen = len(seen)
        self.features, self.labels = task.train_features / self.unit, task.train_labels

    def fit(self, weight_decay: float, tolerance: float = TOLERANCE) -> Fitted:
        """Return the classifier with this penalty."""
        return Fitted(self.vectors(weight_decay, tolerance))

    def vectors(self, weight_decay: float, tolerance: float = TOLERANCE) -> Tensor:
        """W t of every class, seen ones first, in units of the features: (C, D), float64."""
        x, seen = self.features, self.text[: self.num_seen].to(self.features)
        shape = x.shape[1], seen.shape[1]
        A = torch.zeros(shape, dtype=torch.float64, device=x.device, requires_grad=True)

        def objective() -> Tensor:
            logits = (x @ A.to(x.dtype)) @ seen.T
            return cross_entropy(logits.double(), self.labels) + weight_decay / 2 * A.square().sum()

        (slope,) = torch.autograd.grad(objective(), A)
        minimise(objective, [A], tolerance * slope.abs().max().item(), STEPS)
        return self.text @ A.detach().T / self.unit
