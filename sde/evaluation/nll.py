"""The likelihood of held-out items through the probability flow.

    bits per dimension = offset - log p(x) / (D log 2),   x dequantised

With the standard error over items and, where Hutchinson's estimator has several probes, that of its
own. Batches are dealt out to the ranks.
"""

import math
from dataclasses import dataclass, replace

import torch

from repro.distributed import SINGLE_PROCESS, DistributedContext
from repro.errors import InputError
from sde import build
from sde.data.dataset import Split
from sde.likelihood import LogProb, log_prob
from sde.trained_model import TrainedModel

ROWS = 16384  # vector-Jacobian products at once
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
        known = "" if truth is None else f"; the truth has {truth:.4f} bits per dimension"
        return (
            f"{self.data}: {self.bits_per_dim:.4f} ± {self.standard_error:.4f} bits per dimension "
            f"({probes}), {self.items} items of log density {self.nats:.4f} nats{known}"
        )


def heldout(trained: TrainedModel, name: str | None) -> Split:
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


def likelihood(
    trained: TrainedModel, split: Split, world: DistributedContext = SINGLE_PROCESS
) -> Likelihood | None:
    """The likelihood of items of ``split``, as many as the configuration says.

    Batches are dealt out to the ranks; the leader gets the result, the others None. Raises
    InputError where the model is one of discrete levels, the solver stalls or the score is not
    finite.
    """
    if trained.config.loss.num_timesteps is not None:
        raise InputError(NO_FLOW)
    settings = trained.config.evaluation
    generator = trained.stream(build.LIKELIHOOD)
    x = split.some(settings.likelihoods).points(generator)
    dims = x[0].numel()
    how = dict(exact=True) if settings.probes == 0 else dict(probes=settings.probes)
    how |= dict(rtol=settings.rtol, atol=settings.atol, method=settings.method)
    how["at_once"] = trained.config.model.energy == "none"
    batches = x.split(min(settings.batch_size, max(1, ROWS // (settings.probes or dims))))

    score = trained.float32_score_fn or trained.score_fn

    def batch(number: int) -> LogProb:
        stream = trained.stream(build.LIKELIHOOD, number) if number else generator
        found = log_prob(trained.sde, score, batches[number], generator=stream, **how)
        error = found.standard_error
        error = None if error is None else error.cpu()
        return replace(found, log_prob=found.log_prob.cpu(), z=None, standard_error=error)

    parts = world.scatter_map(batch, range(len(batches)), "likelihood")
    if parts is None:
        return None
    truth = None
    if trained.data.log_density is not None and split is trained.data.heldout:
        truth = trained.data.log_density(x.cpu()).mean().item()
    return _summary(parts, split, dims, settings.probes, truth)


def _summary(
    parts: list[LogProb], split: Split, dims: int, probes: int, truth: float | None
) -> Likelihood:
    """Batches in one record; ``truth`` is the mean log density under the true one, in nats."""
    levels = split.declaration.levels
    nats = torch.cat([part.log_prob for part in parts]).double()
    bit, offset = 1 / (math.log(2) * dims), levels.offset_bits if levels else 0.0
    probe_error = None
    if parts[0].standard_error is not None:
        errors = torch.cat([part.standard_error for part in parts]).double()
        probe_error = bit * (errors**2).sum().sqrt().item() / len(nats)
    return Likelihood(
        data=split.declaration.name,
        items=len(nats),
        dims=dims,
        nats=nats.mean().item(),
        bits_per_dim=offset - bit * nats.mean().item(),
        standard_error=bit * nats.std().item() / math.sqrt(len(nats))
        if len(nats) > 1
        else math.nan,
        probe_error=probe_error,
        probes=probes,
        nfe=max(part.nfe for part in parts),
        truth_bits_per_dim=None if truth is None else -bit * truth,
    )
