"""Sampling of a trained model by a named sampler (`sde.samplers.spec`)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from repro.distributed import SINGLE_PROCESS, DistributedContext
from repro.errors import InputError
from repro.files.atomic import write_atomically
from repro.files.safe_npz import read_arrays
from repro.plugins import resolve
from sde import figures, samplers
from sde.samplers import Samples
from sde.samplers.loop import Constraint
from sde.samplers.registry import SOLVERS
from sde.samplers.spec import SamplerSpec, parse_sampler
from sde.trained_model import TrainedModel

SHOWN = 100  # images in a figure


def draw(
    trained: TrainedModel,
    sampler: str,
    steps: int,
    count: int,
    *,
    part: int = 0,
    progress: bool = False,
    ranks: DistributedContext = SINGLE_PROCESS,
) -> Samples | None:
    """Draw ``count`` samples (count, *event) of the model; return them on the leader, else None.

    Batches of ``sampling.batch_size`` are distributed over the ranks. Each batch has a random
    stream of its own, so the samples do not depend on the number of ranks.

    Args:
        trained: the model.
        sampler: the name of a sampler.
        steps: number of steps.
        count: number of samples.
        part: another number gives other random streams.
        progress: whether to show a bar.
        ranks: the processes that share the work.

    Raises InputError for an unknown sampler, steps or a count below 1, or samples that are not
    finite.
    """
    spec, size = parse_sampler(sampler), trained.config.sampling.batch_size
    counts = [min(size, count - start) for start in range(0, max(1, count), size)]
    bar = progress and ranks.leader

    def batch(number: int) -> Samples:
        stream = (part,) if number == 0 else (part, number)
        generator = trained.sampling_stream(*stream)
        drawn = draw_batch(trained, spec, steps, counts[number], generator, progress=bar)
        return drawn if ranks.size == 1 else replace(drawn, x=drawn.x.cpu(), x_mean=None)

    drawn = ranks.scatter_map(
        batch, range(len(counts)), "batches" if bar and len(counts) > 1 else None
    )
    if drawn is None:
        return None
    if len(drawn) == 1:
        return drawn[0]
    x = torch.cat([one.x for one in drawn])
    return Samples(x, x, max(one.nfe for one in drawn), None)


def draw_batch(
    trained: TrainedModel,
    spec: SamplerSpec,
    steps: int,
    count: int,
    generator: torch.Generator,
    *,
    progress: bool = False,
    constraint: Constraint | None = None,
    batch_size: int | None = None,
) -> Samples:
    """Draw one batch of samples with ``generator``.

    Args:
        constraint: what replaces known pixels after every step, see `sde.samplers.loop`.
        batch_size: computed at once; the default is that of `sde.samplers.loop`.

    Raises InputError as ``draw``, and for a constraint on the sampler ``ode``.
    """
    settings = trained.config.sampling
    what = (trained.sde, trained.score_fn, (count, *trained.shape))
    how: dict[str, Any] = dict(
        generator=generator, eps=settings.eps, progress=progress, batch_size=batch_size
    )
    if settings.schedule and spec.name != "ode":
        how |= dict(schedule=settings.schedule)
    if spec.solver:
        how |= dict(solver=spec.solver, steps=steps, constraint=constraint)
        taken = getattr(resolve(spec.solver, SOLVERS, "solver"), "settings", ())
        parameters = {name: getattr(settings, name) for name in taken}
        return samplers.solve(*what, parameters=parameters, **how)
    if spec.predictor is None:
        if constraint is not None:
            raise InputError("the sampler ode has no steps to constrain: choose another")
        tolerance = dict(rtol=settings.rtol, atol=settings.atol, method=settings.method)
        return samplers.probability_flow_sample(*what, denoise=True, **tolerance, **how)
    return samplers.sample(
        *what,
        predictor=spec.predictor,
        corrector=spec.corrector,
        steps=steps,
        grid=settings.grid,
        snr=settings.snr,
        corrector_steps=settings.corrector_steps,
        constraint=constraint,
        **how,
    )


def sample(
    trained: TrainedModel,
    sampler: str | None,
    steps: int | None,
    count: int | None,
    out: Path | None,
    ranks: DistributedContext = SINGLE_PROCESS,
) -> tuple[Path, Samples] | None:
    """Draw samples and write ``samples_*.npz`` (array x) and ``.png`` (the first 100 images).

    Arguments that are None are taken from the configuration. Returns the path of the figure and
    the samples on the leader, else None. Raises InputError as ``draw``, and where a file that holds
    more samples would be replaced.
    """
    settings = trained.config.sampling
    sampler = sampler or settings.sampler
    steps = settings.steps if steps is None else steps
    count = settings.count if count is None else count
    folder = trained.folder if out is None else Path(out)
    # ode chooses its own steps
    stem = f"samples_{sampler}" + ("" if sampler == "ode" else f"_{steps}")
    stem += f"_seed{settings.seed}" if settings.seed else ""
    _keep_larger(folder / f"{stem}.npz", count)
    drawn = draw(trained, sampler, steps, count, progress=True, ranks=ranks)
    if drawn is None:
        return None
    x, title = drawn.x.cpu(), f"{sampler}, {drawn.nfe} evaluations"
    try:
        write_atomically(folder / f"{stem}.npz", lambda file: np.savez(file, x=x.numpy()))
        shown = x[:SHOWN] if trained.data.spec.is_image else x
        figure = figures.samples(shown, trained.data, title=title)
        figures.save(figure, folder / f"{stem}.png")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from None
    return folder / f"{stem}.png", drawn


def _keep_larger(file: Path, count: int) -> None:
    """Raise InputError where ``file`` holds more than ``count`` samples, which may be costly."""
    if not file.exists():
        return
    try:
        held = read_arrays(file, lambda name: False)[1]["x"].shape[0]
    except (InputError, KeyError, IndexError):
        return  # nothing whole is lost
    if held > count:
        raise InputError(
            f"{file}: holds {held} samples, and {count} are asked for: give another --out or "
            "sampling.seed, or remove it"
        )
