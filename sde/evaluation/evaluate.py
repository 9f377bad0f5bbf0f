"""Evaluation of a trained model: distances to held-out examples, samplers compared, likelihood.

Every distance is reported with its floor: the same distance of equally many training examples,
which is what a perfect model would reach. The likelihood is that of held-out examples through the
probability flow (`sde.evaluation.nll`).
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from repro.distributed import SINGLE_PROCESS, DistributedContext
from repro.errors import InputError
from repro.files.atomic import write_atomically
from sde import build, metrics
from sde.config.run import Evaluation
from sde.evaluation.classes import class_accuracy
from sde.evaluation.earlier import differences
from sde.evaluation.fid import fid, require
from sde.evaluation.nll import NO_FLOW, HeldoutLikelihood, heldout_likelihood
from sde.evaluation.results import read_json
from sde.sample import draw
from sde.samplers import Samples
from sde.samplers.spec import parse_sampler
from sde.trained_model import TrainedModel

FLOORS = 5
PROTOCOL = {"snr", "corrector_steps", "eps", "grid", "rtol", "atol", "method"}  # of samples
FEWEST = 4  # examples that every distance can be computed of
NONE = {"in_words": f"none: {NO_FLOW}"}
FID_PART = 1_000_000  # its stream of noise, far from those of the comparison


def distances(real: Tensor, fake: Tensor, generator: torch.Generator) -> dict[str, dict]:
    """Return every distance of fake to real (N, *event), by name: a value and its counts."""
    shares = metrics.precision_recall(real, fake)
    counts = {"num_real": shares.num_real, "num_fake": shares.num_fake}
    sliced = metrics.sliced_wasserstein(real, fake, generator=generator)
    return {
        "energy_distance": asdict(metrics.energy_distance(real, fake)),
        "sliced_wasserstein": asdict(sliced),
        "mmd": asdict(metrics.maximum_mean_discrepancy(real, fake)),
        "frechet": asdict(metrics.frechet_distance(real, fake)),
        "precision": {"value": shares.precision, **counts},
        "recall": {"value": shares.recall, **counts},
    }


def measure(trained: TrainedModel, fake: Tensor) -> dict[str, dict]:
    """Return the distances of samples to held-out examples, each with its floor."""
    real = trained.data.heldout.points(trained.stream(build.EVALUATION, 1))
    train = trained.data.train.some(len(fake)).points(trained.stream(build.EVALUATION, 2))
    streams = [trained.stream(build.EVALUATION, 3) for _ in range(2)]  # the same directions
    found, floor = distances(real, fake, streams[0]), distances(real, train, streams[1])
    return {name: {**found[name], "floor": floor[name]["value"]} for name in found}


def compare(
    trained: TrainedModel, count: int, ranks: DistributedContext = SINGLE_PROCESS
) -> dict | None:
    """Sliced Wasserstein distance of ``count`` samples to held-out examples, by sampler and budget.

    A sampler that fails (samples that are not finite) has the reason in place of its distance.
    Rows are dealt out to the ranks, and the leader gets them: "rows", and "floors", that of up to
    five parts of the training data, of as many examples.
    """
    settings = trained.config.evaluation
    real = trained.data.heldout.points(trained.stream(build.EVALUATION, 1))

    def distance(fake: Tensor) -> float:
        directions = trained.stream(build.EVALUATION, 3)  # the same each time
        return metrics.sliced_wasserstein(real, fake, generator=directions).value

    some = trained.data.train.some(FLOORS * count)
    train = some.points(trained.stream(build.EVALUATION, 2))
    parts = [part for part in train.split(count)[:FLOORS] if len(part) == count]
    per_step = trained.config.sampling.corrector_steps
    cells = [
        (name, budget, parse_sampler(name).steps_within(budget, per_step))
        for name in settings.compare
        for budget in settings.budgets
    ]
    cells = list(enumerate([cell for cell in cells if cell[2] >= 1], 1))
    cells.sort(key=lambda cell: -cell[1][1])  # dear ones first: ranks take them in turn

    def row(cell: tuple) -> dict:
        part, (name, budget, steps) = cell
        found = {"sampler": name, "budget": budget, "steps": steps}
        try:
            drawn = draw(trained, name, steps, count, part=part)
        except InputError as error:
            return {**found, "nfe": None, "distance": None, "failed": str(error)}
        assert drawn is not None  # each row is drawn by one process
        return {**found, "nfe": drawn.nfe, "distance": distance(drawn.x)}

    rows = ranks.scatter_map(row, cells, "samplers")
    if rows is None:
        return None
    order = sorted(range(len(cells)), key=lambda i: cells[i][0])
    rows = [rows[i] for i in order]
    return {"rows": rows, "floors": [distance(part) for part in parts]}


def evaluate(
    trained: TrainedModel, out: Path, ranks: DistributedContext = SINGLE_PROCESS
) -> tuple[Path, dict] | None:
    """Measure everything, and write ``page.html``, figures and ``results.json``.

    Returns the page's path and the results, on the leader. Where they differ from the run's own
    results (`sde.evaluation.earlier`), a warning says so.

    Args:
        out: where to write; the results stand under "evaluation" in its ``results.json``.

    Raises InputError where ``out`` is a run that is not finished: its checkpoints can be evaluated.
    """
    out, settings, sampling = Path(out), trained.config.evaluation, trained.config.sampling
    _require_ready(trained, out)
    count = min(settings.samples, len(trained.data.train))
    drawn = draw(trained, sampling.sampler, sampling.steps, count, progress=True, ranks=ranks)
    discrete = trained.config.loss.num_timesteps is not None
    own = None if discrete else heldout_likelihood(trained, trained.data.heldout, ranks)
    compared = compare(trained, count, ranks)
    many = None
    if settings.fid:
        how: dict[str, Any] = dict(part=FID_PART, progress=True, ranks=ranks)
        many = draw(trained, sampling.sampler, sampling.steps, settings.fid, **how)
    labelled = trained.config.model.condition == "class"
    by_class = class_accuracy(trained, ranks) if labelled else None
    if drawn is None:  # not the leader
        return None
    results: dict[str, Any] = (
        _protocol(trained)
        | trained.data.noted
        | {
            "nfe": drawn.nfe,
            "distances": measure(trained, drawn.x.to(trained.device)),
            "samplers": compared,
            "likelihood": _flow(own, settings) if own else NONE,
        }
    )
    if many is not None:
        results["fid"] = _fid(trained, many)
    if by_class is not None:
        results["classes"] = by_class[0]
    _warn(trained, out, results)
    try:
        of_classes = by_class[1] if by_class else {}
        return _write(trained, out, drawn.x.cpu(), results, of_classes), results
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror}") from None


def _protocol(trained: TrainedModel) -> dict:
    """What the numbers depend on: data, weights and sampler."""
    sampling = trained.config.sampling
    return {
        "iterations": trained.step,
        "data": trained.data.spec.name,
        "data_sha256": trained.data.checksums,
        "weights": _kind_of_weights(trained),
        "device": trained.device.type,
        "sampler": sampling.sampler,
        "final_denoising": True,
        "precision": sampling.precision,
        "sampling": sampling.model_dump(mode="json", include=PROTOCOL),
    }


def _fid(trained: TrainedModel, many: Samples) -> dict:
    """FID of the samples against the part of the data that the configuration names."""
    settings = trained.config.evaluation
    reference = getattr(trained.data, settings.fid_reference)
    found = fid(many.x, reference, device=trained.device, weights=settings.fid_weights)
    return {**found, "reference": settings.fid_reference, "nfe": many.nfe}


def _flow(found: HeldoutLikelihood, settings: Evaluation) -> dict:
    """A likelihood with the protocol of its ODE."""
    how = settings.model_dump(mode="json", include={"rtol", "atol", "method"})
    return {**asdict(found), **how, "in_words": found.in_words()}


def _require_ready(trained: TrainedModel, out: Path) -> None:
    """Raise InputError for mistakes that would otherwise show only after hours of work."""
    if (out / "environment.json").exists() and not (out / "results.json").exists():
        raise InputError(f"{out}: not finished; end it with --resume, or evaluate a checkpoint")
    if (out / "environment.json").exists() and out.resolve() != trained.folder.resolve():
        raise InputError(f"{out}: holds another run; give another folder with --out")
    settings = trained.config.evaluation
    for name in settings.compare:
        parse_sampler(name)
    data = {"train": trained.data.train, "heldout": trained.data.heldout}
    if min(settings.samples, *map(len, data.values())) < FEWEST:
        raise InputError(
            f"evaluation.samples: distances need {FEWEST} samples, training and held-out examples; "
            f"there are {settings.samples}, {len(data['train'])} and {len(data['heldout'])}"
        )
    if settings.fid:
        require(data[settings.fid_reference], settings.fid_weights)
    for folder in (out, trained.folder):
        read_json(folder / "results.json")


def _kind_of_weights(trained: TrainedModel) -> str:
    """The weights that were sampled: the EMA, or what an imported file gave."""
    imported = read_json(trained.folder / "results.json").get("imported")
    return str(imported.get("weights", "ema")) if isinstance(imported, dict) else "ema"


def _warn(trained: TrainedModel, out: Path, results: dict) -> None:
    """Say where the results differ from those that the run, or ``out``, holds already."""
    for file in dict.fromkeys((trained.folder / "results.json", out / "results.json")):
        for line in differences(trained, read_json(file), results):
            print(f"warning: {file}: {line}", file=sys.stderr)


def _write(
    trained: TrainedModel, out: Path, x: Tensor, results: dict, of_classes: dict[float, Tensor]
) -> Path:
    from sde import figures
    from sde.evaluation.page import page

    content = page(trained, x, results, of_classes)
    shown = figures.samples(x[:100] if trained.data.spec.is_image else x, trained.data)
    figures.save(shown, out / "samples.png")
    compared = figures.comparison(**results["samplers"])
    figures.save(compared, out / "samplers.png")
    of = {
        "model": str(trained.folder),
        "dataset": trained.data.spec.name,
        "process": trained.config.process.name,
        "network": trained.config.model.network,
        "seed": trained.config.seed,
    }
    before = read_json(out / "results.json")
    summary = json.dumps({**of, **before, "evaluation": results}, indent=2) + "\n"
    write_atomically(out / "results.json", lambda target: target.write(summary), mode="w")
    bytes_ = content.encode(errors="backslashreplace")
    write_atomically(out / "page.html", lambda target: target.write(bytes_))
    return out / "page.html"
