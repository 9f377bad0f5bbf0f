"""The texts of the seen classes that are nearest to a class, mixed into one."""

from collections.abc import Sequence

import torch
from torch import Tensor


def mixtures(text_CV: Tensor, seen_SV: Tensor, widths: Sequence[int], count: int) -> Tensor:
    """Return the mixture of the ``count`` nearest seen texts of each class: (C, V).

    Texts that stand side by side are mixed and normalised each on its own, to the mean length of
    those that are mixed. Nearness is the sum of their cosines. A seen class is no neighbour of its
    own.

    Args:
        text_CV, seen_SV: of the classes, and of the seen ones.
        widths: columns of each text.
        count: k, at most S - 1 are taken.
    """
    same = torch.cdist(text_CV.double(), seen_SV.double()) == 0
    parts = list(zip(text_CV.split(list(widths), 1), seen_SV.split(list(widths), 1), strict=True))
    near = torch.stack([_cosines(a, b) for a, b in parts]).sum(0).masked_fill(same, -torch.inf)
    chosen = near.topk(min(count, len(seen_SV) - 1), 1).indices  # (C, k)
    return torch.cat([_mixed(seen[chosen]) for _, seen in parts], 1)


def _cosines(a: Tensor, b: Tensor) -> Tensor:
    normal = torch.nn.functional.normalize
    return normal(a.double(), dim=1) @ normal(b.double(), dim=1).T


def _mixed(texts_CkV: Tensor) -> Tensor:
    mean, length = texts_CkV.mean(1), texts_CkV.norm(dim=2).mean(1, keepdim=True)
    return torch.nn.functional.normalize(mean, dim=1) * length
