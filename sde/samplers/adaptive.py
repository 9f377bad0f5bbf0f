"""Adaptive integration of dy/dt = v(t, y) between two times, to a tolerance.

    dormand_prince   the steps of scipy's RK45, hence as many evaluations as the published code
    dopri5, dopri8, bosh3, fehlberg2, adaptive_heun     from torchdiffeq (arXiv:1806.07366)

All keep the state on its device. dopri8, of order 8, needs fewest evaluations at tolerances below
about 1e-8.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torchdiffeq import odeint

from repro.errors import InputError
from sde.samplers import dormand_prince
from sde.samplers.dormand_prince import MAX_ATTEMPTS, Field

TORCHDIFFEQ = ("dopri5", "dopri8", "bosh3", "fehlberg2", "adaptive_heun")
METHODS = ("dormand_prince", *TORCHDIFFEQ)


def integrate(
    field: Field,
    y: Tensor,
    start: float,
    end: float,
    *,
    rtol: float,
    atol: float,
    method: str = "dormand_prince",
) -> Tensor:
    """Return y at time ``end``, from y at ``start``, forwards or backwards in time.

    Args:
        field: (t (1,) float64, y) -> dy/dt, of the shape of y.
        y: the initial state, any shape.
        rtol, atol: the tolerance of one step is atol + rtol |y|.
        method: a name of METHODS.

    Raises InputError for an unknown method, tolerances that are not positive, and where the solver
    stalls.
    """
    if method not in METHODS:
        raise InputError(f"unknown ODE method {method!r}: choose from {', '.join(METHODS)}")
    if not (0 < rtol < math.inf and 0 < atol < math.inf):
        raise InputError(f"rtol and atol must be positive; got {rtol}, {atol}")
    how: dict[str, Any] = dict(rtol=rtol, atol=atol)
    if method == "dormand_prince":
        return dormand_prince.integrate(field, y, start, end, **how)
    times = torch.tensor([start, end], dtype=torch.float64, device=y.device)
    # step_t ends a step at ``end``; torchdiffeq would step past it, where the process may not be
    # defined, and interpolate
    options = dict(step_t=times[1:], max_num_steps=MAX_ATTEMPTS)
    try:
        at = odeint(lambda t, y: field(t[None], y), y, times, **how, method=method, options=options)
    except AssertionError as error:  # torchdiffeq raises it where it stalls
        raise InputError(
            f"the ODE solver {method} stalled between {start:g} and {end:g} at rtol={rtol:g}, "
            f"atol={atol:g}: {error}: the score is not finite or not smooth there, or the "
            "tolerance too small"
        ) from None
    assert isinstance(at, Tensor)  # as the state is
    return at[1]
