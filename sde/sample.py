"""Samples of a trained model, by any sampler there is, called by one name:

a solver             heun, dpm_solver_pp_2m, ddim     few evaluations, deterministic
ode                  the adaptive probability flow    to a tolerance; steps are its own
PREDICTOR            euler_maruyama, ...              the reverse SDE
PREDICTOR+CORRECTOR  reverse_diffusion+langevin, ...  none+langevin is Langevin dynamics alone
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from repro.checkpoint import write_atomically
from repro.distributed import ALONE, World
from repro.errors import InputError
from sde import build, figures, samplers
from sde.samplers import CORRECTORS, PREDICTORS, SOLVERS, Samples
from sde.samplers.loop import Constraint
from sde.trained import Trained


@dataclass(frozen=True)
class Choice:
    """A sampler by its parts: a solver, or a pair, or neither for the adaptive flow."""

    name: str
    solver: str | None = None
    predictor: str | None = None
    corrector: str = "none"

    def evaluations_per_step(self, corrector_steps: int) -> int:
        """Evaluations of the score in one step; 0 for the flow, which has no fixed steps."""
        if self.solver:
            return SOLVERS[self.solver].evaluations
        if self.predictor is None:
            return 0
        return (self.predictor != "none") + corrector_steps * (self.corrector != "none")

    def steps_within(self, budget: int, corrector_steps: int) -> int:
        """How many steps, and the final denoising, ``budget`` evaluations pay for."""
        return (budget - 1) // max(1, self.evaluations_per_step(corrector_steps))


def choose(name: str) -> Choice:
    """The sampler of this name. Raises InputError for a name that is none, saying what is."""
    if name == "ode":
        return Choice(name)
    if name in SOLVERS:
        return Choice(name, solver=name)
    predictor, plus, corrector = name.partition("+")
    corrector = corrector if plus else "none"
    if predictor in PREDICTORS and corrector in CORRECTORS:
        if predictor == corrector == "none":
            raise InputError(f"sampler {name!r}: none with none would return the prior: name one")
        return Choice(name, predictor=predictor, corrector=corrector)
    raise InputError(
        f"unknown sampler {name!r}: choose from ode, {', '.join(SOLVERS)}, or a predictor "
        f"({', '.join(PREDICTORS)}), alone or with + and a corrector ({', '.join(CORRECTORS)})"
    )


def draw(
    trained: Trained,
    sampler: str,
    steps: int,
    count: int,
    *,
    part: int = 0,
    progress: bool = False,
    world: World = ALONE,
) -> Samples | None:
    """``count`` samples (count, *event) of the model by a named sampler.

    Whole batches of ``sampling.batch_size`` are dealt out to the ranks, each with a stream of noise
    of its own, so the samples are the same on any number of them; the leader gets them, the others
    None. ``part`` numbers the streams. Raises InputError for an unknown sampler, steps or a count
    below 1, or samples that are not finite.
    """
    choice, size = choose(sampler), trained.config.sampling.batch_size
    counts = [min(size, count - start) for start in range(0, max(1, count), size)]
    bar = progress and world.leader

    def batch(number: int) -> Samples:
        stream = (part,) if number == 0 else (part, number)
        generator = trained.stream(build.SAMPLING, *stream)
        drawn = draw_batch(trained, choice, steps, counts[number], generator, progress=bar)
        return drawn if world.size == 1 else replace(drawn, x=drawn.x.cpu(), x_mean=None)

    drawn = world.spread(batch, range(len(counts)), "batches" if bar and len(counts) > 1 else None)
    if drawn is None:
        return None
    if len(drawn) == 1:
        return drawn[0]
    x = torch.cat([one.x for one in drawn])
    return Samples(x, x, max(one.nfe for one in drawn), None)


def draw_batch(
    trained: Trained,
    choice: Choice,
    steps: int,
    count: int,
    generator: torch.Generator,
    *,
    progress: bool = False,
    constraint: Constraint | None = None,
) -> Samples:
    """One batch of samples. Raises InputError as ``draw``, and for a constraint on the flow."""
    settings = trained.config.sampling
    what = (trained.sde, trained.score_fn, (count, *trained.shape))
    how = dict(generator=generator, eps=settings.eps, progress=progress)
    if choice.solver:
        how |= dict(solver=choice.solver, steps=steps, constraint=constraint)
        return samplers.solve(*what, **how)
    if choice.predictor is None:
        if constraint is not None:
            raise InputError("the sampler ode has no steps to constrain: choose another")
        tolerance = dict(rtol=settings.rtol, atol=settings.atol, method=settings.method)
        return samplers.probability_flow_sample(*what, denoise=True, **tolerance, **how)
    return samplers.sample(
        *what,
        predictor=choice.predictor,
        corrector=choice.corrector,
        steps=steps,
        grid=settings.grid,
        snr=settings.snr,
        corrector_steps=settings.corrector_steps,
        constraint=constraint,
        **how,
    )


def sample(
    trained: Trained,
    sampler: str | None,
    steps: int | None,
    count: int | None,
    out: Path | None,
    world: World = ALONE,
) -> tuple[Path, Samples] | None:
    """Draw samples and write them as ``samples_*.npz`` (array x) and ``.png``; what is None is
    taken from the configuration. Returns the figure's path and the samples, on the leader."""
    settings = trained.config.sampling
    sampler = sampler or settings.sampler
    steps = settings.steps if steps is None else steps
    count = settings.count if count is None else count
    drawn = draw(trained, sampler, steps, count, progress=True, world=world)
    if drawn is None:
        return None
    x = drawn.x.cpu()
    folder = trained.folder if out is None else Path(out)
    # the flow chooses its own steps
    stem = f"samples_{sampler}" + ("" if sampler == "ode" else f"_{steps}")
    try:
        write_atomically(folder / f"{stem}.npz", lambda file: np.savez(file, x=x.numpy()))
        figure = figures.samples(x, trained.data, title=f"{sampler}, {drawn.nfe} evaluations")
        figures.save(figure, folder / f"{stem}.png")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from None
    return folder / f"{stem}.png", drawn
