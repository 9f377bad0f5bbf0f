r"""Partial whitening of class texts, such as embeddings whose rows all point the same way.

A mean of sentence embeddings says in its first directions what all articles have in common, and in
its last ones what is particular to a bird. With the mean g of the seen texts t and the singular
values s_k and right singular vectors v_k of the rows

    u = (t - g) / |t - g|

a whitening w in [0, 1] replaces a text of any class by

    z = c y / |y|,        y = sum_k s_k^-w (v_k' u) v_k

where c makes the mean squared length of the seen z that of the seen t - g. With w = 0 the
directions weigh as they do, with w = 1 all the same. Directions in which no seen texts differ are
dropped, since nothing can be learnt about them. The number of columns stays. A class without a
text, a row of zeros, stays one and takes no part in g, s and v.

Unseen texts take no part in the map. Source: the partial form of ZCA whitening; Bell and Sejnowski
(1997), Vision Research 37(23), for ZCA.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

SMALLEST = 1e-6  # of a singular value, beside the largest: what is below is rounding


def whiten(seen: Tensor, unseen: Tensor, whitening: float) -> tuple[Tensor, Tensor]:
    """Return the texts z of seen (S, V) and unseen classes (U, V), for w = ``whitening``."""
    described = seen.any(1)
    if not described.any():
        return seen, unseen
    centre = seen[described].double().mean(0)
    centred = seen[described].double() - centre
    _, s, Vt = torch.linalg.svd(_unit(centred), full_matrices=False)
    kept = s > SMALLEST * s[0]
    map_VV = (Vt[kept].T * (s[kept] / s[0]) ** -whitening) @ Vt[kept]
    length = centred.square().sum(1).mean().sqrt()

    def mapped(text: Tensor) -> Tensor:
        z = length * _unit(_unit(text.double() - centre) @ map_VV)
        return torch.where(text.any(1, keepdim=True), z, 0).to(text.dtype)

    return mapped(seen), mapped(unseen)


def whiten_texts(
    seen: Tensor, unseen: Tensor, widths: Sequence[int], whitenings: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Return the texts with text j whitened by the j-th number.

    Args:
        seen, unseen: (S, V), (U, V), several texts side by side in the columns.
        widths: number of columns of each text; empty where there is one.
        whitenings: a text without a number, and one whose number is 0, stays as it is. Numbers of
            texts that are not there say nothing.
    """
    if not any(whitenings):
        return seen, unseen
    widths = [*widths] or [seen.shape[1]]
    pairs = zip(seen.split(widths, 1), unseen.split(widths, 1), strict=True)
    numbers = [*whitenings, *[0.0] * len(widths)]
    texts = [whiten(*pair, w) if w else pair for pair, w in zip(pairs, numbers, strict=False)]
    seen_parts, unseen_parts = zip(*texts, strict=True)
    return torch.cat(seen_parts, 1), torch.cat(unseen_parts, 1)


def _unit(rows: Tensor) -> Tensor:
    """Return the rows at length 1; a row of zeros stays one."""
    return torch.nn.functional.normalize(rows, dim=1, eps=torch.finfo(rows.dtype).tiny)
