"""The sampling loop, written once: at every transition correct at t, then predict from t to s.

Euler-Maruyama alone, Langevin alone, predictor-corrector and the deterministic solvers are this
loop with other parts (Song et al. 2021, algorithm 1). All coefficients are computed before it
starts, on the device, in float64; inside it nothing is read back to the host.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from repro.errors import InputError
from sde.processes import SDE, Transition
from sde.samplers.base import Corrector, CountedScore, Predictor, Samples, check_finite, denoise

MAX_ELEMENTS = 2**20  # of x in one batch, unless the caller sets batch_size

# (x, x_mean, time (1,), noise) -> (x, x_mean): what replacement conditioning does after a step
Constraint = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class SamplingPlan:
    """Everything about a run that is settled before it starts."""

    sde: SDE
    predictor: Predictor
    corrector: Corrector
    corrector_steps: int
    transitions: Transition  # fields (N,)
    final: str  # "tweedie", "mean" (the last x_mean, as published) or "none"
    constraint: Constraint | None = None


def draw_noise(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal noise like x. The only place where a sampler draws, after the prior."""
    return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)


@torch.no_grad()
def run_in_batches(
    plan: SamplingPlan,
    score: CountedScore,
    shape,
    *,
    generator,
    init=None,
    batch_size=None,
    trajectory=False,
    progress=False,
    dtype=torch.float32,
    device=None,
) -> Samples:
    """Run the plan for shape[0] samples, in batches bounded by ``batch_size`` (by default 2^20
    elements), from ``init`` (its shape) where given. Raises InputError for non-finite samples."""
    parts = []
    for rows in batches(shape, batch_size, progress):
        x = start_of_batch(plan.sde, shape, rows, init, generator, dtype, device)
        score.calls = 0
        parts.append(_run_batch(plan, score, x, generator, trajectory, progress))
    return Samples(
        torch.cat([part.x for part in parts]),
        torch.cat([part.x_mean for part in parts]),
        parts[0].nfe,
        torch.cat([part.trajectory for part in parts], 1) if trajectory else None,
    )


def batches(shape, batch_size: int | None, progress: bool):
    """Slices of shape[0] rows, each at most ``batch_size`` long, by default 2^20 elements."""
    if batch_size is not None and not (isinstance(batch_size, int) and batch_size >= 1):
        raise InputError(f"batch_size must be a whole number, at least 1; got {batch_size!r}")
    size = batch_size or max(1, MAX_ELEMENTS // torch.Size(shape[1:]).numel())
    starts = range(0, shape[0], size)
    for start in tqdm(starts, desc="batches", disable=not progress or len(starts) == 1):
        yield slice(start, min(start + size, shape[0]))


def start_of_batch(sde: SDE, shape, rows: slice, init, generator, dtype, device) -> Tensor:
    """The rows of ``init`` where it is given, else as many draws from the prior."""
    if init is None:
        batch = (rows.stop - rows.start, *shape[1:])
        return sde.prior_sample(batch, generator, dtype=dtype, device=device)
    if tuple(init.shape) != tuple(shape):
        raise InputError(f"init has shape {tuple(init.shape)}, the samples {tuple(shape)}")
    return init[rows]


def _run_batch(plan: SamplingPlan, score, x: Tensor, generator, trajectory, progress) -> Samples:
    predictor, corrector = plan.predictor, plan.corrector
    predictor.reset()
    x_mean, path = x, [x]
    steps = range(len(plan.transitions.t))
    for i in tqdm(steps, desc="sampling", disable=not progress, leave=False):
        transition = plan.transitions[i]
        for _ in range(plan.corrector_steps):
            x, x_mean = _advance(corrector, x, transition, generator)
        x, x_mean = _constrain(plan, x, x_mean, transition.t, generator)

        x, x_mean = _advance(predictor, x, transition, generator)
        x, x_mean = _constrain(plan, x, x_mean, transition.s, generator)

        if trajectory:
            path.append(x)
    if plan.final == "tweedie":
        x = x_mean = denoise(plan.sde, score, x, plan.transitions.s[-1:])
        x, x_mean = _constrain(plan, x, x_mean, None, generator)
    elif plan.final == "mean":
        x = x_mean
    check_finite(x, f"{predictor.name} with corrector {corrector.name}")
    return Samples(x, x_mean, score.calls, torch.stack(path) if trajectory else None)


def _advance(part, x, transition, generator):
    return part.step(x, transition, draw_noise(x, generator) if part.stochastic else None)


def _constrain(plan, x, x_mean, time, generator):
    if plan.constraint is None:
        return x, x_mean
    return plan.constraint(x, x_mean, time, None if time is None else draw_noise(x, generator))
