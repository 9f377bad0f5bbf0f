"""Sampling by the probability flow ODE, solved to a tolerance by an adaptive Runge-Kutta method.

    dx/dt = f x - g^2 score(x, t) / 2,   from x ~ prior at ``end_time`` down to eps   (eq. 13)

The error norm is the root mean square over the whole batch, as in the published code.
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
    shape: tuple[int, ...],
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
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Samples:
    """Draw samples (count, *event), or decode ``init``, by the adaptive probability flow.

    Args:
        rtol, atol: tolerances of the solver.
        method: a name of ``adaptive.METHODS``.
        denoise: return E[x_0 | x_eps].

    The other arguments are as for ``sample``. ``nfe`` is that of the batch that needed most. Raises
    InputError where the solver stalls.
    """
    eps = sde.sampling_eps if eps is None else eps
    check_run(shape, 1, eps, sde.end_time)
    score = CountedScore(score_fn)
    flow = probability_flow(sde, score)
    xs, nfe = [], 0
    for rows in batches(shape, batch_size, progress):
        x = start_of_batch(sde, shape, rows, init, generator, dtype, device)
        score.calls = 0
        x = integrate(
            lambda t, x: flow.drift(x, t), x, sde.end_time, eps, rtol=rtol, atol=atol, method=method
        )
        if denoise:
            x = tweedie(sde, score, x, x.new_full((1,), eps))
        check_finite(x, "the probability-flow ODE")
        xs.append(x)
        nfe = max(nfe, score.calls)
    x = torch.cat(xs)
    return Samples(x, x, nfe, None)
