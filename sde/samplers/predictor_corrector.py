"""Predictor-corrector sampling, and the few-evaluation solvers: names and numbers to one loop.

``grid="exact"`` walks N transitions from 1 to eps by the exact transitions. ``grid="published"``
walks the published N-level chain (tables of SMLD and DDPM, Euler for sub-VP) at N times from 1 to
eps, and its last x_mean is the denoised sample: for models trained on a table, and to meet the
published numbers.
"""

import torch

from repro.errors import InputError
from sde.processes import SDE, Transition
from sde.reference_compat import published_transition
from sde.reverse import ScoreFn
from sde.samplers.base import CountedScore, Samples, check_run, choose
from sde.samplers.identity import NoCorrector
from sde.samplers.loop import Constraint, SamplingPlan, run_in_batches
from sde.samplers.registry import CORRECTORS, PREDICTORS, SOLVERS
from sde.samplers.schedules import SCHEDULES, published_times

GRIDS = ("exact", "published")


def sample(
    sde: SDE,
    score_fn: ScoreFn,
    shape,
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
    **run,
) -> Samples:
    """Draw shape[0] samples by ``steps`` steps of a predictor and a corrector.

    eps: the time to stop at, by default the process's own. snr: r of the correctors. denoise: end
    on E[x_0 | x_eps], one more evaluation. run: init, batch_size, trajectory, progress, dtype,
    device (see ``loop.run_in_batches``). Raises InputError for an unknown name, a pair that
    cannot work, steps < 1 or samples that are not finite.
    """
    eps = sde.sampling_eps if eps is None else eps
    check_run(shape, steps, eps)
    if corrector == predictor == "none":
        raise InputError("predictor none with corrector none would return the prior: name one")
    if not isinstance(corrector_steps, int) or corrector_steps < 1 or not snr > 0:
        raise InputError(f"need corrector_steps >= 1, snr > 0; got {corrector_steps}, {snr}")
    score = CountedScore(score_fn)
    transitions, final = _ladder(sde, grid, schedule, steps, eps, _device(generator, run))
    plan = SamplingPlan(
        sde,
        choose(PREDICTORS, predictor, "predictor")(sde, score, probability_flow=probability_flow),
        choose(CORRECTORS, corrector, "corrector")(sde, score, snr=snr),
        corrector_steps,
        transitions,
        final if denoise else "none",
        constraint,
    )
    return run_in_batches(plan, score, shape, generator=generator, **run)


def solve(
    sde: SDE,
    score_fn: ScoreFn,
    shape,
    *,
    solver: str = "dpm_solver_pp_2m",
    steps: int,
    generator: torch.Generator | None,
    eps: float | None = None,
    denoise: bool = True,
    schedule: str = "power",
    constraint: Constraint | None = None,
    **run,
) -> Samples:
    """Draw shape[0] samples by ``steps`` deterministic steps along the probability flow.

    The arguments are those of ``sample``; the generator draws the prior alone. Raises InputError
    as it does.
    """
    eps = sde.sampling_eps if eps is None else eps
    check_run(shape, steps, eps)
    score = CountedScore(score_fn)
    make_times = choose(SCHEDULES, schedule, "schedule")
    times = make_times(sde, steps, eps, _device(generator, run))
    plan = SamplingPlan(
        sde,
        choose(SOLVERS, solver, "solver")(sde, score),
        NoCorrector(sde, score),
        1,
        sde.interval(times[1:], times[:-1]),
        "tweedie" if denoise else "none",
        constraint,
    )
    return run_in_batches(plan, score, shape, generator=generator, **run)


def _ladder(sde, grid, schedule, steps, eps, device) -> tuple[Transition, str]:
    """The transitions of a grid, and how a run on it ends where it is denoised."""
    if grid == "published":
        return published_transition(sde, published_times(steps, eps, device), steps), "mean"
    if grid != "exact":
        raise InputError(f"unknown grid {grid!r}: choose from {', '.join(GRIDS)}")
    times = choose(SCHEDULES, schedule, "schedule")(sde, steps, eps, device)
    return sde.interval(times[1:], times[:-1]), "tweedie"


def _device(generator, run):
    if run.get("init") is not None:
        return run["init"].device
    return run.get("device") or (generator.device if generator is not None else None)
