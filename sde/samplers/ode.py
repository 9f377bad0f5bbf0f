"""The probability flow solved to a tolerance: Dormand-Prince 5(4) of torchdiffeq, on the device.

The error norm runs over the whole batch, as in the published code, so a tolerance is a root mean
square over it. The state stays where it is; one comparison per step (accept or not) is read back.
"""

import torch
from torch import Tensor
from torchdiffeq import odeint

from repro.errors import InputError
from sde.processes import SDE
from sde.reverse import ScoreFn, probability_flow
from sde.samplers.base import CountedScore, Samples, check_finite, check_run
from sde.samplers.base import denoise as tweedie
from sde.samplers.loop import batches, start_of_batch

MAX_STEPS = 5000


def integrate(field, state, start: float, end: float, *, rtol: float, atol: float):
    """Solve d state / dt = field(t, state) from time start to end; returns the state at end.

    state: a tensor or a tuple of them; field is handed t as a () tensor. The last step lands on
    ``end``: nothing is interpolated. Raises InputError where the solver stalls or the field is
    not finite.
    """
    if not (rtol > 0 and atol > 0):
        raise InputError(f"rtol and atol must be positive; got {rtol}, {atol}")
    first = state[0] if isinstance(state, tuple) else state
    times = torch.tensor([start, end], dtype=torch.float64, device=first.device)
    options = {"step_t": times[1:], "max_num_steps": MAX_STEPS}
    try:
        path = odeint(field, state, times, rtol=rtol, atol=atol, method="dopri5", options=options)
    except AssertionError as error:
        cause = str(error).split(":")[0].split(" in state")[0].split("(")[0].strip()
        raise InputError(
            f"the ODE solver stalled ({cause}) between t={start:g} and t={end:g} at rtol={rtol:g}, "
            f"atol={atol:g}: the score is not finite or not smooth there, or the tolerance is "
            f"below what {first.dtype} can hold"
        ) from None
    return tuple(part[-1] for part in path) if isinstance(state, tuple) else path[-1]


@torch.no_grad()
def probability_flow_sample(
    sde: SDE,
    score_fn: ScoreFn,
    shape,
    *,
    generator: torch.Generator | None,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    eps: float | None = None,
    denoise: bool = False,
    init: Tensor | None = None,
    batch_size: int | None = None,
    progress: bool = False,
    dtype=torch.float32,
    device=None,
) -> Samples:
    """Draw shape[0] samples by the adaptive probability flow from the prior, or decode ``init``.

    denoise: end on E[x_0 | x_eps]. nfe is that of the costliest batch. Raises InputError where
    the solver stalls.
    """
    eps = sde.sampling_eps if eps is None else eps
    check_run(shape, 1, eps)
    score = CountedScore(score_fn)
    flow = probability_flow(sde, score)
    xs, nfe = [], 0
    for rows in batches(shape, batch_size, progress):
        x = start_of_batch(sde, shape, rows, init, generator, dtype, device)
        score.calls = 0
        x = integrate(lambda t, x: flow.drift(x, t.reshape(1)), x, 1.0, eps, rtol=rtol, atol=atol)
        if denoise:
            x = tweedie(sde, score, x, x.new_full((1,), eps))
        check_finite(x, "the probability-flow ODE")
        xs.append(x)
        nfe = max(nfe, score.calls)
    x = torch.cat(xs)
    return Samples(x, x, nfe, None)
