r"""How far rounding may move a result: the reason of every float32 tolerance in the tests.

A sum of n numbers in floating point differs from the exact one by at most

    |fl(sum x_i) - sum x_i| <= (n - 1) u sum |x_i|,        u = eps / 2 = 2^-24 in float32.

Processors and libraries add in different orders (AVX2, AVX-512, AMX, threads, split batches), so
that single errors have random signs: the typical error is eps sqrt(n) times the magnitude of the
sum. Two results that differ by rounding alone agree within a few times that,

    margin eps sqrt(terms) magnitude.

Source: Higham, Accuracy and Stability of Numerical Algorithms, sections 4.2 and 2.8.
"""

import math

import torch


def float32_bound(terms: int, magnitude: float = 1.0, margin: float = 4.0) -> float:
    """Return the largest difference that rounding explains: margin * eps * sqrt(terms) * magnitude.

    Args:
        terms: how many rounded numbers enter one result: the length of its sum; of a network, the
            numbers added along one path from its inputs to its outputs.
        magnitude: the size of the result, or of its largest partial sum where those cancel; 1
            makes the bound relative.
        margin: a factor of at least 4 for unlucky signs and for processors not tried here.
    """
    return margin * torch.finfo(torch.float32).eps * math.sqrt(terms) * magnitude


def assert_same_up_to_rounding(
    ours: torch.Tensor,
    theirs: torch.Tensor,
    terms: int,
    magnitude: float | None = None,
    margin: float = 4.0,
) -> None:
    """Fail where two tensors differ by more than :func:`float32_bound`.

    ``magnitude`` is that of the largest number in ``theirs`` where it is not given: sums that
    cancel are rounded like those that do not.
    """
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    ours, theirs = ours.detach().double().cpu(), theirs.detach().double().cpu()
    if magnitude is None:
        magnitude = theirs.abs().max().item()
    bound, error = float32_bound(terms, magnitude, margin), (ours - theirs).abs().max().item()
    assert error <= bound, f"they differ by {error:.2e}; rounding explains {bound:.2e}"
