r"""Class means predicted from class texts by kernel ridge regression, with left-out predictions.

Seen classes have texts with products K (S x S) and centroids M (S x D). Ridge regression with an
intercept that is not penalised predicts the mean of a class with products k (S,) to the seen texts,

    m(t) = b + A'k,     G = K + l I,   h = G^-1 1,   Q = G^-1 - h h' / (1'h),
    A = Q M,            b = M'h / (1'h)

Its prediction for a seen class i that is left out of the fit, or for the classes of a group B that
are left out together (a family, for instance), follows without another fit:

    m_i = M_i - A_i / Q_ii,        m_B = M_B - (Q_BB)^-1 A_B

The same regression is the mean of a Gaussian process, whose variance says how far a text is from
all seen texts. For a new class, and for seen ones that are left out,

    v(t) = k(t, t) - k'G^-1 k + (1 - 1'G^-1 k)^2 / (1'h),     v_B = diag((Q_BB)^-1) - l

The intercept makes the predictions independent of the origin of the texts.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), section 2.7 for the
intercept and section 5.4.2 for leaving one out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class ClassMeans:
    """Predicted means of the classes, seen ones left out of their own prediction.

    left_out (S, D) with left_out_variance (S,); unseen (U, D) with unseen_variance (U,).
    Variances are in units of the text products.
    """

    left_out: Tensor
    left_out_variance: Tensor
    unseen: Tensor
    unseen_variance: Tensor

    def scaled(self, factor: float, centre: Tensor) -> "ClassMeans":
        """Return the predictions with their distances from ``centre`` (D,) times ``factor``.

        Regression shrinks predictions towards the centre of the seen centroids; a factor above 1
        undoes some of it.
        """
        parts = {"left_out": self.left_out, "unseen": self.unseen}
        return replace(self, **{k: centre + factor * (m - centre) for k, m in parts.items()})


def side_by_side(
    seen_text: Tensor, unseen_text: Tensor, widths: Sequence[int], weights: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Return several texts as one, whose products are the weighted mean of theirs, in float64.

    Args:
        seen_text, unseen_text: (S, V), (U, V), the texts side by side in the columns.
        widths: number of columns of each text.
        weights: of each text's products, once its centred seen rows have mean squared length 1.
    """
    parts = []
    texts = seen_text.double().split(list(widths), 1), unseen_text.double().split(list(widths), 1)
    for seen, unseen, weight in zip(*texts, weights, strict=True):
        centre = seen.mean(0)
        unit = (seen - centre).square().sum(1).mean().clamp_min(torch.finfo(seen.dtype).tiny)
        factor = (weight / unit).sqrt()
        parts.append(((seen - centre) * factor, (unseen - centre) * factor))
    seen_parts, unseen_parts = zip(*parts, strict=True)
    return torch.cat(seen_parts, 1), torch.cat(unseen_parts, 1)


def predict(
    seen_text: Tensor,
    unseen_text: Tensor,
    centroids: Tensor,
    penalty: float,
    groups: Sequence[Tensor] | None = None,
) -> ClassMeans:
    """Predict the mean of every class from its text, in float64.

    Args:
        seen_text, unseen_text: (S, V), (U, V).
        centroids: mean features of the seen classes (S, D).
        penalty: l > 0, in units of the mean squared length of the centred seen texts.
        groups: the seen classes that are left out together, as disjoint index tensors that cover
            all of them; each class alone by default.
    """
    seen, unseen, M = seen_text.double(), unseen_text.double(), centroids.double()
    centre = seen.mean(0)
    seen, unseen = seen - centre, unseen - centre  # changes nothing but the rounding
    unit = seen.square().sum(1).mean().clamp_min(torch.finfo(seen.dtype).tiny)
    shift = penalty * unit
    inverse = torch.linalg.inv(seen @ seen.T + shift * torch.eye(len(seen)).to(seen))
    h = inverse.sum(1)
    Q = inverse - h[:, None] * h / h.sum()
    A, intercept = Q @ M, h @ M / h.sum()
    k = unseen @ seen.T  # (U, S)
    explained = ((k @ inverse) * k).sum(1)
    rest = (1 - k @ h).square() / h.sum()
    left_out, variance = _left_out(Q, A, M, groups)
    return ClassMeans(
        left_out=left_out,
        left_out_variance=(variance - shift) / unit,
        unseen=intercept + k @ A,
        unseen_variance=(unseen.square().sum(1) - explained + rest) / unit,
    )


def _left_out(Q: Tensor, A: Tensor, M: Tensor, groups) -> tuple[Tensor, Tensor]:
    """Return m_B (S, D) and diag((Q_BB)^-1) (S,), group by group."""
    if groups is None:
        diagonal = Q.diagonal()
        return M - A / diagonal[:, None], 1 / diagonal
    means, variance = torch.empty_like(M), torch.empty_like(M[:, 0])
    for group in groups:
        block = torch.linalg.inv(Q[group[:, None], group])
        means[group], variance[group] = M[group] - block @ A[group], block.diagonal()
    return means, variance
