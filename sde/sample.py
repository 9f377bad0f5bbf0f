"""Samples of a trained model, by any sampler there is (`sde.samplers.spec`)."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from repro.checkpoint import write_atomically
from repro.distributed import SINGLE_PROCESS, DistributedContext
from repro.errors import InputError
from sde import figures, samplers
from sde.samplers import Samples
from sde.samplers.loop import Constraint
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
    world: DistributedContext = SINGLE_PROCESS,
) -> Samples | None:
    """``count`` samples (count, *event) of the model by a named sampler.

    Whole batches of ``sampling.batch_size`` are dealt out to the ranks, each with a stream of noise
    of its own, so the samples are the same on any number of them; the leader gets them, the others
    None. ``part`` numbers the streams. Raises InputError for an unknown sampler, steps or a count
    below 1, or samples that are not finite.
    """
    spec, size = parse_sampler(sampler), trained.config.sampling.batch_size
    counts = [min(size, count - start) for start in range(0, max(1, count), size)]
    bar = progress and world.leader

    def batch(number: int) -> Samples:
        stream = (part,) if number == 0 else (part, number)
        generator = trained.sampling_stream(*stream)
        drawn = draw_batch(trained, spec, steps, counts[number], generator, progress=bar)
        return drawn if world.size == 1 else replace(drawn, x=drawn.x.cpu(), x_mean=None)

    drawn = world.scatter_map(
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
    """One batch of samples, computed ``batch_size`` at a time (default: as many as fit, see
    `sde.samplers.loop`). Raises InputError as ``draw``, and for a constraint on the flow."""
    settings = trained.config.sampling
    what = (trained.sde, trained.score_fn, (count, *trained.shape))
    how = dict(generator=generator, eps=settings.eps, progress=progress, batch_size=batch_size)
    if spec.solver:
        how |= dict(solver=spec.solver, steps=steps, constraint=constraint)
        return samplers.solve(*what, **how)
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
    world: DistributedContext = SINGLE_PROCESS,
) -> tuple[Path, Samples] | None:
    """Draw samples and write them as ``samples_*.npz`` (array x) and ``.png`` (of images, the first
    100); what is None is taken from the configuration. Returns the figure's path and the samples,
    on the leader. Raises InputError as ``draw``, and where a file holds more samples already."""
    settings = trained.config.sampling
    sampler = sampler or settings.sampler
    steps = settings.steps if steps is None else steps
    count = settings.count if count is None else count
    folder = trained.folder if out is None else Path(out)
    # the flow chooses its own steps
    stem = f"samples_{sampler}" + ("" if sampler == "ode" else f"_{steps}")
    stem += f"_seed{settings.seed}" if settings.seed else ""
    _keep_larger(folder / f"{stem}.npz", count)
    drawn = draw(trained, sampler, steps, count, progress=True, world=world)
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
    """Raise InputError where ``file`` holds more samples than that, which may have cost a day."""
    if not file.exists():
        return
    try:
        with zipfile.ZipFile(file) as archive, archive.open("x.npy") as array:
            np.lib.format.read_magic(array)
            held = np.lib.format.read_array_header_1_0(array)[0][0]
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile):
        return  # nothing whole is lost
    if held > count:
        raise InputError(
            f"{file}: holds {held} samples, and {count} are asked for: give another --out or "
            "sampling.seed, or remove it"
        )
