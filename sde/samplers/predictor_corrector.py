"""Predictor-corrector sampling, and the solvers that need few evaluations.

``grid="exact"`` takes N steps from ``end_time`` to eps with the exact transitions of the process.
``grid="published"`` takes the N steps of the published discrete chain (the tables of SMLD and DDPM,
Euler steps for sub-VP), at N times from 1 to eps, and returns its last x_mean as the denoised
sample. Use it for models trained on a table, and to reproduce published numbers.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from repro.errors import InputError
from repro.plugins import resolve
from sde.processes import SDE, Transition
from sde.reference_compat import published_transition
from sde.reverse import ScoreFn
from sde.samplers.base import CountedScore, Samples, check_run
from sde.samplers.identity import NoCorrector
from sde.samplers.loop import Constraint, SamplingPlan, run_in_batches
from sde.samplers.registry import CORRECTORS, PREDICTORS, SOLVERS
from sde.samplers.schedules import SCHEDULES, published_times

GRIDS = ("exact", "published")


def sample(
    sde: SDE,
    score_fn: ScoreFn,
    shape: tuple[int, ...],
    *,
    predictor: str = "reverse_diffusion",
    corrector: str = "none",
    steps: int,
    generator: torch.Generator | None,
    eps: float | None = None,
    snr: float = 0.16,
    corrector_steps: int = 1,
    denoise: bool = True,
    probability_flow: bool = False,
    grid: str = "exact",
    schedule: str = "uniform",
    constraint: Constraint | None = None,
    init: Tensor | None = None,
    batch_size: int | None = None,
    trajectory: bool = False,
    progress: bool = False,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Samples:
    """Draw samples of the reverse SDE by a predictor and a corrector.

    Args:
        shape: (count, *event).
        predictor, corrector: keys of PREDICTORS and CORRECTORS, or ``package.module:name``.
        steps: of the predictor, each after ``corrector_steps`` of the corrector.
        generator: of the prior and of the noise; None: PyTorch's own.
        eps: the time at which to stop; None: the process's own.
        snr: the signal-to-noise ratio r of the correctors.
        denoise: return E[x_0 | x_eps], for one more evaluation of the score.
        probability_flow: let the predictor take steps of the ODE, without noise.
        grid: "exact" or "published" (see above).
        schedule: a key of SCHEDULES; where the exact grid spends its steps.
        constraint: changes the state after every step (`sde.conditional.guidance.replacement`).
        init: start from these (shape) in place of draws from the prior.
        batch_size: samples computed at once; None: as many as have 2^20 elements.
        trajectory: keep the state after every step.
        progress: show a progress bar.
        dtype, device: of the samples; None: the device of ``init`` or of the generator.

    Raises InputError for an unknown name, a pair that cannot work, steps < 1 or samples that are
    not finite.
    """
    eps = sde.sampling_eps if eps is None else eps
    check_run(shape, steps, eps, sde.end_time)
    if corrector == predictor == "none":
        raise InputError("predictor none with corrector none would return the prior: name one")
    if not isinstance(corrector_steps, int) or corrector_steps < 1 or not snr > 0:
        raise InputError(f"need corrector_steps >= 1, snr > 0; got {corrector_steps}, {snr}")
    score, place = CountedScore(score_fn), _device(generator, init, device)
    predict = resolve(predictor, PREDICTORS, "predictor")(
        sde, score, probability_flow=probability_flow
    )
    correct = resolve(corrector, CORRECTORS, "corrector")(sde, score, snr=snr)
    table = predict.reads_table or correct.reads_table
    transitions, final = _transitions(sde, grid, schedule, steps, eps, place, table)
    plan = SamplingPlan(
        sde,
        predict,
        correct,
        corrector_steps,
        transitions,
        final if denoise else "none",
        constraint,
    )
    return run_in_batches(
        plan,
        score,
        shape,
        generator,
        init=init,
        batch_size=batch_size,
        trajectory=trajectory,
        progress=progress,
        dtype=dtype,
        device=device,
    )


def solve(
    sde: SDE,
    score_fn: ScoreFn,
    shape: tuple[int, ...],
    *,
    solver: str = "dpm_solver_pp_2m",
    parameters: Mapping[str, float] | None = None,
    steps: int,
    generator: torch.Generator | None,
    eps: float | None = None,
    denoise: bool = True,
    schedule: str = "power",
    constraint: Constraint | None = None,
    init: Tensor | None = None,
    batch_size: int | None = None,
    trajectory: bool = False,
    progress: bool = False,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Samples:
    """Draw samples by few steps, most solvers by deterministic ones along the probability flow.

    Args:
        solver: a key of SOLVERS, or ``package.module:name``.
        parameters: keyword arguments of the solver; ``edm`` takes those named churn.
        generator: of the prior, and of the noise of solvers that are stochastic.

    The other arguments, and what is raised, are as for ``sample``.
    """
    eps = sde.sampling_eps if eps is None else eps
    check_run(shape, steps, eps, sde.end_time)
    score, place = CountedScore(score_fn), _device(generator, init, device)
    transitions, final = _transitions(sde, "exact", schedule, steps, eps, place)
    plan = SamplingPlan(
        sde,
        resolve(solver, SOLVERS, "solver")(sde, score, **(parameters or {})),
        NoCorrector(sde, score),
        1,
        transitions,
        final if denoise else "none",
        constraint,
    )
    return run_in_batches(
        plan,
        score,
        shape,
        generator,
        init=init,
        batch_size=batch_size,
        trajectory=trajectory,
        progress=progress,
        dtype=dtype,
        device=device,
    )


def _transitions(sde, grid, schedule, steps, eps, device, table=True) -> tuple[Transition, str]:
    """The transitions of a grid, and the ``SamplingPlan.final`` that denoises at its end."""
    if grid == "published":
        times = published_times(steps, eps, device)
        return published_transition(sde, times, steps, table=table), "mean"
    if grid != "exact":
        raise InputError(f"unknown grid {grid!r}: choose from {', '.join(GRIDS)}")
    times = resolve(schedule, SCHEDULES, "schedule")(sde, steps, eps, device)
    return sde.interval(times[1:], times[:-1]), "tweedie"


def _device(generator, init, device):
    if init is not None:
        return init.device
    return device or (generator.device if generator is not None else None)
