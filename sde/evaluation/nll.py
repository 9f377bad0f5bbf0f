"""The likelihood of held-out examples through the probability flow.

    bits per dimension = offset - log p(x) / (D log 2),   x dequantised, offset in bits

Its standard error is that of the mean over examples; where Hutchinson's estimator has several
probes, the error of the estimator is given too. Batches are distributed over the ranks.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from repro.distributed import SINGLE_PROCESS, DistributedContext
from repro.errors import InputError
from sde import build
from sde.data.dataset import Split
from sde.data.registry import data_spec
from sde.likelihood import LogProb, log_prob
from sde.trained_model import TrainedModel

ROWS = 16384  # vector-Jacobian products at once
NO_FLOW = (
    "a model of discrete noise levels has no score between them, so no probability flow and no "
    "likelihood"
)


@dataclass(frozen=True)
class HeldoutLikelihood:
    """The mean log density of held-out examples, and how it was computed."""

    data: str
    examples: int
    dims: int
    nats: float  # mean log density of an example, before the offset
    bits_per_dim: float  # of the grey levels where the data is quantised, else of the density
    standard_error: float | None  # bits per dimension, of the mean over examples; None for one
    probe_error: float | None  # bits per dimension, of the estimator; None where not known
    probes: int  # of the estimator; 0: exact divergence
    nfe: int
    truth_bits_per_dim: float | None = None  # under the true density, where it is known

    def in_words(self) -> str:
        """Return one line for the terminal and the page."""
        probes = "exact divergence" if self.probes == 0 else "one probe of the divergence"
        if self.probe_error is not None:
            probes = f"of which {self.probe_error:.4f} from the estimator of the divergence"
        spread = "" if self.standard_error is None else f" ± {self.standard_error:.4f}"
        count = f"{self.examples} example{'s' if self.examples != 1 else ''}"
        truth = self.truth_bits_per_dim
        known = "" if truth is None else f"; the true density gives {truth:.4f} bits per dimension"
        return (
            f"{self.data}: {self.bits_per_dim:.4f}{spread} bits per dimension "
            f"({probes}), {count} of mean log density {self.nats:.4f} nats{known}"
        )


def heldout_split(trained: TrainedModel, name: str | None) -> Split:
    """Return the held-out examples of a dataset, by default of the one that the model learnt from.

    Raises InputError where its examples have another shape than the model's.
    """
    if name is None:
        return trained.data.heldout
    config = trained.config
    known = data_spec(name)
    if known is not None:
        _require_shape(name, known.shape, trained.shape)  # before anything is downloaded
    settings = config.data.model_copy(update={"name": name})
    other = build.dataset(
        config.model_copy(update={"data": settings}), trained.device, read_only=True
    )
    _require_shape(name, other.spec.shape, trained.shape)
    return other.heldout


def _require_shape(name: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if shape != expected:
        raise InputError(
            f"--data {name}: its examples have shape {shape}, the model is for {expected}"
        )


def heldout_likelihood(
    trained: TrainedModel, split: Split, ranks: DistributedContext = SINGLE_PROCESS
) -> HeldoutLikelihood | None:
    """Return the likelihood of ``evaluation.likelihoods`` examples of ``split``, on the leader.

    Raises InputError where the model is one of discrete noise levels, the solver stalls or the
    score is not finite.
    """
    _require_flow(trained)
    settings = trained.config.evaluation
    rng = trained.stream(build.LIKELIHOOD)
    x = replace(split.some(settings.likelihoods), dequantise=True).points(rng)
    parts = log_probs(trained, x, rng, ranks, bar="likelihood")
    if parts is None:
        return None
    truth = None
    if trained.data.log_density is not None and split is trained.data.heldout:
        truth = trained.data.log_density(x.cpu()).mean().item()
    return _summary(parts, split, x[0].numel(), settings.probes, truth)


def log_probs(
    trained: TrainedModel,
    x: Tensor,
    rng: torch.Generator,
    ranks: DistributedContext = SINGLE_PROCESS,
    bar: str | None = None,
) -> list[LogProb] | None:
    """Return the log densities of x (B, *event), in batches, on the leader.

    Args:
        x: examples, dequantised where they have grey levels.
        rng: of the probes of the first batch; each of the others has its own.
        ranks: the processes that share the work.
        bar: the name of a progress bar, or None.

    Raises InputError as :func:`heldout_likelihood`.
    """
    _require_flow(trained)
    settings = trained.config.evaluation
    how: dict[str, Any] = dict(exact=True) if settings.probes == 0 else dict(probes=settings.probes)
    how |= dict(rtol=settings.rtol, atol=settings.atol, method=settings.method)
    how["at_once"] = trained.config.model.energy == "none"
    rows = max(1, ROWS // (settings.probes or x[0].numel()))
    batches = x.split(min(settings.batch_size, rows))
    score = trained.float32_score_fn or trained.score_fn

    def batch(number: int) -> LogProb:
        stream = trained.stream(build.LIKELIHOOD, number) if number else rng
        found = log_prob(trained.sde, score, batches[number], generator=stream, **how)
        error = found.standard_error
        error = None if error is None else error.cpu()
        return replace(found, log_prob=found.log_prob.cpu(), z=None, standard_error=error)

    return ranks.scatter_map(batch, range(len(batches)), bar)


def _require_flow(trained: TrainedModel) -> None:
    if trained.config.loss.num_timesteps is not None:
        raise InputError(NO_FLOW)


def _summary(
    parts: list[LogProb], split: Split, dims: int, probes: int, truth: float | None
) -> HeldoutLikelihood:
    """Combine batches; ``truth`` is the mean log density under the true density, in nats."""
    quantisation = split.spec.quantisation
    nats = torch.cat([part.log_prob for part in parts]).double()
    bit, offset = 1 / (math.log(2) * dims), quantisation.offset_bits if quantisation else 0.0
    spread = nats.std().item() / math.sqrt(len(nats)) if len(nats) > 1 else None
    probe_error = None
    errors = [part.standard_error for part in parts if part.standard_error is not None]
    if errors:
        probe_error = bit * (torch.cat(errors).double() ** 2).sum().sqrt().item() / len(nats)
    return HeldoutLikelihood(
        data=split.spec.name,
        examples=len(nats),
        dims=dims,
        nats=nats.mean().item(),
        bits_per_dim=offset - bit * nats.mean().item(),
        standard_error=None if spread is None else bit * spread,
        probe_error=probe_error,
        probes=probes,
        nfe=max(part.nfe for part in parts),
        truth_bits_per_dim=None if truth is None else -bit * truth,
    )
