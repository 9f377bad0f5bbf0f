r"""Averages of any length, made after the training of snapshots of power-function averages.

A power-function average with exponent g at time t weights the weights at time s by the profile

    p(s) = (g + 1) s^g / t^(g+1)  on [0, t],      length = (g + 1)^(1/2) (g + 2)^(-1) (g + 3)^(-1/2)

where the length is the standard deviation of the profile in units of t. The average of another
profile q is sum_i x_i a_i over snapshots a_i with profiles p_i, where x is least in
int (sum_i x_i p_i - q)^2 ds:

    A x = b,   A_ij = <p_i, p_j>,   b_i = <p_i, q>,
    <p_i, p_j> = (g_i + 1) (g_j + 1) / (g_i + g_j + 1)  (m / t_i)^g_i (m / t_j)^g_j  m / (t_i t_j)

with m = min(t_i, t_j). Steps are unit intervals of time, on which the weights are constant; the
recursion of :class:`sde.ema.PowerEMA` has exactly this profile.

Source: Karras et al. 2024 (arXiv:2312.02696), section 3 and appendix C.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from repro.errors import InputError

LONGEST = 12**-0.5  # the length of g = 0, the mean of all steps


@dataclass(frozen=True)
class Profile:
    """The profile of a power-function average: its exponent g >= 0, and the time t it is taken."""

    exponent: float
    time: float


def length_of(exponent: float) -> float:
    """Return the length of an average by its exponent g."""
    g = exponent
    return math.sqrt(g + 1) / (g + 2) / math.sqrt(g + 3)


def exponent_of(length: float) -> float:
    """Return the exponent g of an average by its length, the largest root of the cubic equation.

    Raises InputError for a length that is not in (0, 12^(-1/2)].
    """
    if not 0 < length <= LONGEST + 1e-12:
        raise InputError(f"length of an average: expected one in (0, {LONGEST:.4f}]; got {length}")
    square = length**-2
    return max(0.0, float(np.roots([1, 7, 16 - square, 12 - square]).real.max()))


def inner_products(profiles: Sequence[Profile], others: Sequence[Profile]) -> Tensor:
    """Return <p_i, q_j>, (S, T) in float64."""
    (g, t), (h, u) = _arrays(profiles), _arrays(others)
    g, t = g[:, None], t[:, None]
    least = torch.minimum(t, u)
    powers = (least / t) ** g * (least / u) ** h
    return (g + 1) * (h + 1) / (g + h + 1) * powers * least / (t * u)


def coefficients(snapshots: Sequence[Profile], wanted: Profile) -> tuple[Tensor, float]:
    """Return x (S,) in float64, and the distance of sum_i x_i p_i from q in units of |q|."""
    a, b = inner_products(snapshots, snapshots), inner_products(snapshots, [wanted])
    # neighbouring snapshots are nearly parallel: least squares drops what rounding cannot tell
    x = torch.linalg.lstsq(a, b, driver="gelsd").solution[:, 0]
    norm = inner_products([wanted], [wanted]).item()
    square = norm - 2 * x @ b[:, 0] + x @ a @ x
    return x, math.sqrt(max(0.0, square.item()) / norm)


def combine(states: Iterable[dict[str, Tensor]], x: Tensor) -> dict[str, Tensor]:
    """Return sum_i x_i a_i of state dicts, summed in float64; entries of integers from the last."""
    total: dict[str, Tensor] = {}
    last: dict[str, Tensor] = {}
    for share, state in zip(x.tolist(), states, strict=True):
        last = state
        for name, tensor in state.items():
            if tensor.is_floating_point():
                total[name] = total.get(name, 0) + share * tensor.double()
    return {name: total[name].to(last[name]) if name in total else last[name] for name in last}


def _arrays(profiles: Sequence[Profile]) -> tuple[Tensor, Tensor]:
    pairs = [(each.exponent, each.time) for each in profiles]
    both = torch.tensor(pairs, dtype=torch.float64)
    return both[:, 0], both[:, 1]
