r"""Hallucinated texts: mixtures of the texts of two seen classes.

For two seen classes i, j with texts t_i, t_j (unit rows) and a ~ U(0.2, 0.8),

    t_h = (a t_i + (1-a) t_j) / |a t_i + (1-a) t_j|                       CIZSL, section 3.2

The text belongs to the class, so t_h is a mixture of two rows of the class table, and a linear map
P of it is the same mixture of mapped rows. The norm follows from the Gram matrix G = T T^T,

    |a t_i + (1-a) t_j|^2 = a^2 G_ii + 2 a (1-a) G_ij + (1-a)^2 G_jj ,

so the networks only need coefficients, and no array of size batch x vocabulary is formed.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from repro.errors import InputError


@dataclass(frozen=True)
class Mixture:
    """Rows ``first_weight[b] table[first[b]] + second_weight[b] table[second[b]]``; each (B,)."""

    first: Tensor
    second: Tensor
    first_weight: Tensor
    second_weight: Tensor

    def of(self, table_CH: Tensor) -> Tensor:
        """Return the mixed rows (B, H) of a table with one row for each class."""
        first = torch.nn.functional.embedding(self.first, table_CH)
        second = torch.nn.functional.embedding(self.second, table_CH)
        return self.first_weight[:, None] * first + self.second_weight[:, None] * second


def mixture(gram_CC: Tensor, first_B: Tensor, second_B: Tensor, weight_B: Tensor) -> Mixture:
    """Return the coefficients of t_h from the Gram matrix of the class texts.

    An all-zero mixture stays zero, as in scikit-learn's ``normalize``.
    """
    a, b = weight_B, 1 - weight_B
    squared = (
        a**2 * gram_CC[first_B, first_B]
        + 2 * a * b * gram_CC[first_B, second_B]
        + b**2 * gram_CC[second_B, second_B]
    )
    norm = torch.where(squared > 0, squared, torch.ones_like(squared)).sqrt()
    return Mixture(first_B, second_B, a / norm, b / norm)


def hallucinate(text_CV: Tensor, first_B: Tensor, second_B: Tensor, weight_B: Tensor) -> Tensor:
    """Return t_h, the L2-normalised mixtures of class texts: (B, V).

    Args: class texts (C, V); class indices first and second (B,); weight a of the first (B,).
    Training uses :func:`mixture` instead, which needs no texts.

    Source: train_CIZSL.py, lines 203 to 217.
    """
    mixed = weight_B[:, None] * text_CV[first_B] + (1 - weight_B[:, None]) * text_CV[second_B]
    norm = torch.linalg.vector_norm(mixed, dim=1, keepdim=True)
    return mixed / torch.where(norm > 0, norm, torch.ones_like(norm))


def pairs_from_batch(labels_B: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return pairs as the published code does: two independent shuffles of a batch's labels.

    A class occurs as often as its images, and both classes of a pair may be the same.
    """
    first, second = (
        torch.randperm(len(labels_B), generator=rng, device=labels_B.device) for _ in range(2)
    )
    return labels_B[first], labels_B[second]


def require_two(classes_K: Tensor) -> None:
    """Raise :class:`InputError` where too few classes have a text to mix two of them."""
    if len(classes_K) < 2:
        raise InputError(f"hallucination mixes two classes with a text; there are {len(classes_K)}")


def distinct_pairs(
    classes_K: Tensor, batch_size: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw pairs of two different classes, uniform over ``classes_K`` (those with a text)."""
    require_two(classes_K)
    count = len(classes_K)
    draw = {"generator": rng, "device": classes_K.device}
    first = torch.randint(count, (batch_size,), **draw)
    step = torch.randint(1, count, (batch_size,), **draw)
    return classes_K[first], classes_K[(first + step) % count]
