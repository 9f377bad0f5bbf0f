"""The probability flow solved to a tolerance by an adaptive Runge-Kutta method, on the device.

    dx/dt = f x - g^2 score(x, t) / 2,   from x ~ prior at t = 1 down to eps       (eq. 13)

The error norm runs over the whole batch, as in the published code, so a tolerance is a root mean
square over it.
"""

import torch
from torch import Tensor

from sde.processes import SDE
from sde.reverse import ScoreFn, probability_flow
from sde.samplers.adaptive import integrate
from sde.samplers.base import CountedScore, Samples, check_finite, check_run
from sde.samplers.base import denoise as tweedie
from sde.samplers.loop import batches, start_of_batch


@torch.no_grad()
def probability_flow_sample(
    sde: SDE,
    score_fn: ScoreFn,
    shape,
    *,
    generator: torch.Generator | None,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    method: str = "dormand_prince",
    eps: float | None = None,
    denoise: bool = False,
    init: Tensor | None = None,
    batch_size: int | None = None,
    progress: bool = False,
    dtype=torch.float32,
    device=None,
) -> Samples:
    """Draw shape[0] samples by the adaptive probability flow from the prior, or decode ``init``.

    method: a name of ``adaptive.METHODS``. denoise: end on E[x_0 | x_eps]. nfe is that of the
    costliest batch. Raises InputError where the solver stalls.
    """
    eps = sde.sampling_eps if eps is None else eps
    check_run(shape, 1, eps)
    score = CountedScore(score_fn)
    flow, how = probability_flow(sde, score), dict(rtol=rtol, atol=atol, method=method)
    xs, nfe = [], 0
    for rows in batches(shape, batch_size, progress):
        x = start_of_batch(sde, shape, rows, init, generator, dtype, device)
        score.calls = 0
        x = integrate(lambda t, x: flow.drift(x, t), x, 1.0, eps, **how)
        if denoise:
            x = tweedie(sde, score, x, x.new_full((1,), eps))
        check_finite(x, "the probability-flow ODE")
        xs.append(x)
        nfe = max(nfe, score.calls)
    x = torch.cat(xs)
    return Samples(x, x, nfe, None)
