"""What a trained model is worth: distances to held-out items, samplers compared, likelihood.

Every distance stands beside its floor, the same distance from as many training items: no model can
be told from the truth below it. The likelihood is that of held-out items through the probability
flow, with the standard error over items and over the probes of the divergence.
"""

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from repro.checkpoint import write_atomically
from repro.distributed import ALONE, World
from repro.errors import InputError
from sde import build, metrics
from sde.data import Split
from sde.likelihood import LogProb, log_prob
from sde.sample import choose, draw
from sde.trained import Trained

ROWS = 16384  # vector-Jacobian products at once
FLOORS = 5
NO_FLOW = "a model of discrete levels knows no score between them, so no flow and no likelihood"


@dataclass(frozen=True)
class Likelihood:
    """The mean log density of held-out items, and what it came from."""

    data: str
    items: int
    dims: int
    nats: float  # mean log density of an item; of a level's density where there are levels
    bits_per_dim: float  # of levels where the data has levels, else of the density
    standard_error: float  # bits per dimension, over items
    probe_error: float | None  # bits per dimension, of the estimator; None where not known
    probes: int  # of the estimator; 0: exact divergence
    nfe: int
    truth_bits_per_dim: float | None = None  # of the same items under the true density, if known

    def in_words(self) -> str:
        """One line."""
        probes = "exact divergence" if self.probes == 0 else "one probe of the divergence"
        if self.probe_error is not None:
            probes = f"of which {self.probe_error:.4f} from the estimator of the divergence"
        truth = self.truth_bits_per_dim
        known = "" if truth is None else f"; the truth has {truth:.4f}"
        return (
            f"{self.data}: {self.bits_per_dim:.4f} ± {self.standard_error:.4f} bits per dimension "
            f"({probes}), {self.nats:.4f} nats an item, {self.items} items{known}"
        )


def heldout(trained: Trained, name: str | None) -> Split:
    """The held-out items of the named data, by default of the model's own.

    Raises InputError where they are of another shape than the model's.
    """
    if name is None:
        return trained.data.heldout
    config = trained.config
    settings = config.data.model_copy(update={"name": name})
    other = build.dataset(config.model_copy(update={"data": settings}), trained.device)
    if other.declaration.shape != trained.shape:
        raise InputError(
            f"--data {name}: its items have shape {other.declaration.shape}, the model is for "
            f"{trained.shape}"
        )
    return other.heldout


def likelihood(trained: Trained, split: Split, world: World = ALONE) -> Likelihood | None:
    """The likelihood of the first items of ``split``, as many as the configuration says.

    Batches are dealt out to the ranks; the leader gets the result, the others None. Raises
    InputError where the model is one of discrete levels, the solver stalls or the score is not
    finite.
    """
    if trained.config.loss.levels is not None:
        raise InputError(NO_FLOW)
    settings, levels = trained.config.evaluation, split.declaration.levels
    generator = trained.stream(build.LIKELIHOOD)
    x = split.first(settings.likelihoods).points(generator)
    dims = x[0].numel()
    how = dict(exact=True) if settings.probes == 0 else dict(probes=settings.probes)
    how |= dict(rtol=settings.rtol, atol=settings.atol, method=settings.method)
    batches = x.split(min(settings.batch_size, max(1, ROWS // (settings.probes or dims))))

    def batch(number: int) -> LogProb:
        stream = trained.stream(build.LIKELIHOOD, number) if number else generator
        found = log_prob(trained.sde, trained.score_fn, batches[number], generator=stream, **how)
        error = found.standard_error
        error = None if error is None else error.cpu()
        return replace(found, log_prob=found.log_prob.cpu(), z=None, standard_error=error)

    parts = world.spread(batch, range(len(batches)), "likelihood")
    if parts is None:
        return None
    nats = torch.cat([part.log_prob for part in parts]).double()
    bit, offset = 1 / (math.log(2) * dims), levels.offset_bits if levels else 0.0
    probe_error = None
    if parts[0].standard_error is not None:
        errors = torch.cat([part.standard_error for part in parts]).double()
        probe_error = bit * (errors**2).sum().sqrt().item() / len(x)
    truth = None
    if trained.data.log_density is not None and split is trained.data.heldout:
        truth = -bit * trained.data.log_density(x).mean().item()
    return Likelihood(
        data=split.declaration.name,
        items=len(x),
        dims=dims,
        nats=nats.mean().item(),
        bits_per_dim=offset - bit * nats.mean().item(),
        standard_error=bit * nats.std().item() / math.sqrt(len(x)) if len(x) > 1 else math.nan,
        probe_error=probe_error,
        probes=settings.probes,
        nfe=max(part.nfe for part in parts),
        truth_bits_per_dim=truth,
    )


def distances(real: Tensor, fake: Tensor, generator: torch.Generator) -> dict[str, dict]:
    """Every metric of fake against real (N, *event), by name: a value and its counts."""
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


def measure(trained: Trained, fake: Tensor) -> dict[str, dict]:
    """The distances of samples from held-out items, each with its floor."""
    real = trained.data.heldout.points(trained.stream(build.EVALUATION, 1))
    train = trained.data.train.first(len(fake)).points(trained.stream(build.EVALUATION, 2))
    streams = [trained.stream(build.EVALUATION, 3) for _ in range(2)]  # the same directions
    found, floor = distances(real, fake, streams[0]), distances(real, train, streams[1])
    return {name: {**found[name], "floor": floor[name]["value"]} for name in found}


def compare(trained: Trained, count: int, world: World = ALONE) -> dict | None:
    """Sliced Wasserstein distance of ``count`` samples to held-out items, by sampler and budget.

    A sampler that fails (samples that are not finite) has the reason in place of its distance.
    Rows are dealt out to the ranks, and the leader gets them: "rows", and "floors", that of up to
    five parts of the training data, of as many items.
    """
    settings = trained.config.evaluation
    real = trained.data.heldout.points(trained.stream(build.EVALUATION, 1))

    def distance(fake: Tensor) -> float:
        directions = trained.stream(build.EVALUATION, 3)  # the same each time
        return metrics.sliced_wasserstein(real, fake, generator=directions).value

    some = trained.data.train.first(FLOORS * count)
    train = some.points(trained.stream(build.EVALUATION, 2))
    parts = [part for part in train.split(count)[:FLOORS] if len(part) == count]
    cells = [
        (name, budget, choose(name).steps_within(budget, trained.config.sampling.corrector_steps))
        for name in settings.compare
        for budget in settings.budgets
    ]
    cells = list(enumerate([cell for cell in cells if cell[2] >= 1], 1))

    def row(cell: tuple) -> dict:
        part, (name, budget, steps) = cell
        found = {"sampler": name, "budget": budget, "steps": steps}
        try:
            drawn = draw(trained, name, steps, count, part=part)
        except InputError as error:
            return {**found, "nfe": None, "distance": None, "failed": str(error)}
        return {**found, "nfe": drawn.nfe, "distance": distance(drawn.x)}

    rows = world.spread(row, cells, "samplers")
    if rows is None:
        return None
    return {"rows": rows, "floors": [distance(part) for part in parts]}


def evaluate(trained: Trained, out: Path, world: World = ALONE) -> tuple[Path, dict] | None:
    """Measure everything; write ``page.html``, figures and ``results.json`` (under "evaluation")
    into ``out``. Returns the page's path and the results, on the leader.

    Raises InputError where ``out`` is a run that is not finished: its checkpoints can be evaluated.
    """
    out = Path(out)
    if (out / "environment.json").exists() and not (out / "results.json").exists():
        raise InputError(f"{out}: not finished; end it with --resume, or evaluate a checkpoint")
    settings, sampling = trained.config.evaluation, trained.config.sampling
    for name in settings.compare:
        choose(name)  # before the work, not after
    count = min(settings.samples, len(trained.data.train))
    drawn = draw(trained, sampling.sampler, sampling.steps, count, progress=True, world=world)
    discrete = trained.config.loss.levels is not None
    own = None if discrete else likelihood(trained, trained.data.heldout, world)
    compared = compare(trained, count, world)
    if not world.leader:
        return None
    flow = {"in_words": f"none: {NO_FLOW}"}
    if own is not None:
        flow = {**asdict(own), "in_words": own.in_words()}
    results = {
        "iterations": trained.step,
        "sampler": sampling.sampler,
        "nfe": drawn.nfe,
        "distances": measure(trained, drawn.x),
        "samplers": compared,
        "likelihood": flow,
    }
    try:
        return _write(trained, out, drawn.x.cpu(), results), results
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror}") from None


def _write(trained: Trained, out: Path, x: Tensor, results: dict) -> Path:
    from sde import figures
    from sde.page import page

    shown = figures.samples(x[:100] if trained.data.declaration.is_image else x, trained.data)
    figures.save(shown, out / "samples.png")
    compared = figures.comparison(**results["samplers"])
    figures.save(compared, out / "samplers.png")
    file = out / "results.json"
    summary = json.loads(file.read_text()) if file.exists() else {}
    summary = json.dumps({**summary, "evaluation": results}, indent=2) + "\n"
    write_atomically(file, lambda target: target.write(summary), mode="w")
    content = page(trained, x, results)
    write_atomically(out / "page.html", lambda target: target.write(content.encode()))
    return out / "page.html"
