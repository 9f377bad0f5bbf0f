"""Dormand-Prince 5(4) with an adaptive step, on whatever device the state is on.

    k_i = v(t + c_i h, y + h sum_j a_ij k_j),   y' = y + h sum_i b_i k_i,   error = h sum_i e_i k_i

A step is accepted where the root mean square of error / (atol + rtol max(|y|, |y'|)) is below 1;
h then changes by 0.9 error^(-1/5), within [0.2, 10] (Hairer, Norsett and Wanner, "Solving Ordinary
Differential Equations I", II.4 and II.5). The same tableau and rules as scipy's RK45, hence the
same steps as the published code. The state stays on the device; one number per attempted step is
read back, and a stage is one matrix-vector product.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from repro.errors import InputError

NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
STAGES = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),  # also the weights of y'
)
ERROR = (-71 / 57600, 0.0, 71 / 16695, -71 / 1920, 17253 / 339200, -22 / 525, 1 / 40)
MAX_ATTEMPTS = 5000

Field = Callable[[Tensor, Tensor], Tensor]  # (t (1,) float64, y) -> dy/dt of y's shape


def integrate(
    field: Field, y: Tensor, start: float, end: float, *, rtol: float, atol: float
) -> Tensor:
    """Return y at time ``end``, from y (any shape) at ``start``, forwards or backwards in time.

    Raises InputError where the solver stalls: the field is not finite, a step is too small for
    float64 time, or MAX_ATTEMPTS steps do not suffice.
    """
    solver = _Solver(field, y, rtol, atol)
    t, sign = start, math.copysign(1.0, end - start)
    size = solver.first_size(t, sign, abs(end - start))
    rejected = False
    for _ in range(MAX_ATTEMPTS):
        if not size > 10 * math.ulp(t):
            break
        arrived = t + sign * size
        arrived = end if sign * (arrived - end) >= 0 else arrived
        error = solver.attempt(t, arrived - t)
        size = abs(arrived - t) * _factor(error, rejected)
        rejected = not error < 1
        if not rejected:
            solver.accept()
            t = arrived
        if t == end:
            return solver.y.reshape(y.shape)
    raise InputError(
        f"the ODE solver stalled at t={t:.6g}, from {start:g} to {end:g} at rtol={rtol:g}, "
        f"atol={atol:g}: the score is not finite or not smooth there, or the tolerance too small"
    )


def _factor(error: float, rejected: bool) -> float:
    """The factor for the next step size; at most 1 after a rejection."""
    if not math.isfinite(error):
        return 0.2
    factor = min(10.0, max(0.2, 0.9 * error**-0.2)) if error > 0 else 10.0
    return min(1.0, factor) if rejected else factor


class _Solver:
    """The state of one integration: y (flat) and the slopes of the current step, one a row."""

    def __init__(self, field: Field, y: Tensor, rtol: float, atol: float):
        self.field, self.shape, self.rtol, self.atol = field, y.shape, rtol, atol
        self.y = y.reshape(-1)
        self.slopes = y.new_empty(len(NODES), y.numel())
        self.weights = [y.new_tensor(row) for row in STAGES]
        self.error_weights = y.new_tensor(ERROR)

    def first_size(self, t: float, sign: float, span: float) -> float:
        """Return the first step size, from the sizes of y and its first two derivatives (II.4)."""
        self.slopes[0] = self._slope(t, self.y)
        scale = self.atol + self.rtol * self.y.abs()
        size_y, size_v = _rms(self.y / scale), _rms(self.slopes[0] / scale)
        guess = 1e-6 if min(size_y, size_v) < 1e-5 else 0.01 * size_y / size_v
        guess = min(guess, span)
        if not guess > 0:  # a field that is not finite: the caller reports that it stalled
            return 0.0
        there = self._slope(t + sign * guess, self.y + sign * guess * self.slopes[0])
        curvature = _rms((there - self.slopes[0]) / scale) / guess
        largest = max(size_v, curvature)
        size = max(1e-6, 1e-3 * guess) if largest <= 1e-15 else (0.01 / largest) ** 0.2
        return min(100 * guess, size, span)

    def attempt(self, t: float, step: float) -> float:
        """Propose a step, to be kept by ``accept``; return its error in units of the tolerance."""
        for i in range(1, len(NODES)):
            self.proposed = self.y + step * (self.weights[i] @ self.slopes[:i])
            self.slopes[i] = self._slope(t + NODES[i] * step, self.proposed)
        scale = self.atol + self.rtol * torch.maximum(self.y.abs(), self.proposed.abs())
        return _rms(step * (self.error_weights @ self.slopes) / scale)

    def accept(self) -> None:
        """Move to the proposed state, whose slope has been computed."""
        self.y = self.proposed
        self.slopes[0] = self.slopes[-1].clone()

    def _slope(self, t: float, y: Tensor) -> Tensor:
        time = torch.full((1,), t, dtype=torch.float64, device=y.device)
        return self.field(time, y.reshape(self.shape)).reshape(-1)


def _rms(x: Tensor) -> float:
    return (x.norm() / math.sqrt(x.numel())).item()
