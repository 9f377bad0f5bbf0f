"""The sampling loop: at each step from t to s, correct the sample at t, then predict it at s.

Predictor-corrector sampling (Song et al. 2021, algorithm 1), a predictor alone, Langevin dynamics
alone and the deterministic solvers all run this loop with different parts. All coefficients are
computed before it starts, on the device, in float64; inside it no value is read back to the host.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from repro.errors import InputError
from sde.processes import SDE, Transition
from sde.samplers.base import Corrector, CountedScore, Predictor, Samples, check_finite, denoise

MAX_ELEMENTS = 2**20  # of x in one batch, unless the caller sets batch_size

# (x, x_mean, time (1,) or None at the end, noise) -> (x, x_mean): applied after every step
Constraint = Callable[[Tensor, Tensor, Tensor | None, Tensor | None], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class SamplingPlan:
    """Everything that is fixed before sampling starts."""

    sde: SDE
    predictor: Predictor
    corrector: Corrector
    corrector_steps: int
    transitions: Transition  # fields (N,)
    final: str  # the denoised sample: "tweedie", "mean" (the last x_mean), or "none"
    constraint: Constraint | None = None


def draw_noise(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw standard normal noise like x. After the prior, samplers draw here and nowhere else."""
    return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)


@torch.no_grad()
def run_in_batches(
    plan: SamplingPlan,
    score: CountedScore,
    shape: tuple[int, ...],
    generator: torch.Generator | None,
    *,
    init: Tensor | None,
    batch_size: int | None,
    trajectory: bool,
    progress: bool,
    dtype: torch.dtype,
    device: torch.device | str | None,
) -> Samples:
    """Run the plan for shape[0] samples, batch by batch; the arguments are those of ``sample``.

    Raises InputError for samples that are not finite.
    """
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


def batches(shape: tuple[int, ...], batch_size: int | None, progress: bool) -> Iterator[slice]:
    """Yield slices of shape[0] rows, each at most ``batch_size`` long, by default 2^20 elements."""
    if batch_size is not None and not (isinstance(batch_size, int) and batch_size >= 1):
        raise InputError(f"batch_size must be a whole number, at least 1; got {batch_size!r}")
    size = batch_size or max(1, MAX_ELEMENTS // torch.Size(shape[1:]).numel())
    starts = range(0, shape[0], size)
    for start in tqdm(starts, desc="batches", disable=not progress or len(starts) == 1):
        yield slice(start, min(start + size, shape[0]))


def start_of_batch(sde: SDE, shape, rows: slice, init, generator, dtype, device) -> Tensor:
    """Return the rows of ``init`` where it is given, else as many draws from the prior."""
    if init is None:
        batch = (rows.stop - rows.start, *shape[1:])
        return sde.prior_sample(batch, generator, dtype=dtype, device=device)
    if tuple(init.shape) != tuple(shape):
        raise InputError(f"init has shape {tuple(init.shape)}, the samples {tuple(shape)}")
    return init[rows]


def _run_batch(plan: SamplingPlan, score, x: Tensor, generator, trajectory, progress) -> Samples:
    predictor, corrector = plan.predictor, plan.corrector
    predictor.steps = len(plan.transitions.t)
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
    parts = [type(part).__name__ for part in (predictor, corrector)]
    check_finite(x, f"{parts[0]} with {parts[1]}")
    return Samples(x, x_mean, score.calls, torch.stack(path) if trajectory else None)


def _advance(part: Predictor | Corrector, x: Tensor, transition: Transition, generator):
    return part.step(x, transition, draw_noise(x, generator) if part.stochastic else None)


def _constrain(plan: SamplingPlan, x: Tensor, x_mean: Tensor, time: Tensor | None, generator):
    if plan.constraint is None:
        return x, x_mean
    return plan.constraint(x, x_mean, time, None if time is None else draw_noise(x, generator))
