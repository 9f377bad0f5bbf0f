"""From a network to a score function.

What a network is given as its second argument (its conditioning) and what its output means (its
prediction) are conventions, written here once:

    "score"     score = network
    "noise"     score = -network / std(t)
    "denoised"  score = (scale D - x) / std^2, D = c_skip y + c_out network(c_in y), y = x / scale,
                with the c's of EDM (Karras et al. 2022, arXiv:2206.00364, table 1) at noise level
                sigma = std / scale, so that input, output and target all have unit variance

    "time"      t              "time_999"   999 t
    "std"       std(t)         "log_noise"  log(std / scale) / 4

The published networks take ("score", "std") for the VE SDE and ("noise", "time_999") for the two
others. Discrete networks take labels: ``discrete_score_fn``.
"""

from collections.abc import Callable

from torch import Tensor

from repro.errors import InputError
from sde.broadcast import per_sample
from sde.discrete import DDPMTable, SMLDTable
from sde.processes import SDE
from sde.reverse import ScoreFn

Network = Callable[[Tensor, Tensor], Tensor]  # (x (B, ...), condition (B,)) -> the shape of x

SIGMA_DATA = 0.5  # EDM's, for data in [-1, 1]

CONDITIONINGS = {
    "time": lambda sde, t: t,
    "time_999": lambda sde, t: 999 * t,
    "std": lambda sde, t: sde.std(t),
    "log_noise": lambda sde, t: sde.noise_ratio(t).log() / 4,
}


def _from_score(sde: SDE, network: Network, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
    return network(x, label)


def _from_noise(sde: SDE, network: Network, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
    return -network(x, label) / per_sample(sde.std(t), x)


def _from_denoised(sde: SDE, network: Network, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
    # (scale D - x) / std^2, with the c_skip part expanded so that it does not cancel
    scale, std = sde.scale(t), sde.std(t)
    total = ((std / scale) ** 2 + SIGMA_DATA**2).sqrt()
    inside = network(x * per_sample(1 / (scale * total), x), label)
    return (
        per_sample(SIGMA_DATA / (std * total), x) * inside
        - per_sample(1 / (scale * total) ** 2, x) * x
    )


PREDICTIONS = {"score": _from_score, "noise": _from_noise, "denoised": _from_denoised}


def score_fn(sde: SDE, network: Network, *, prediction: str, conditioning: str) -> ScoreFn:
    """The score of a continuous-time network: (x, t (B,)) -> the shape of x.

    Raises InputError for an unknown prediction or conditioning.
    """
    predict = _choose(PREDICTIONS, prediction, "prediction")
    condition = _choose(CONDITIONINGS, conditioning, "conditioning")

    def score(x: Tensor, t: Tensor) -> Tensor:
        return predict(sde, network, x, t, condition(sde, t).to(x.dtype))

    return score


def published_score_fn(sde: SDE, network: Network) -> ScoreFn:
    """The score of a network trained by the published code on the continuous loss."""
    prediction, conditioning = sde.published_network
    return score_fn(sde, network, prediction=prediction, conditioning=conditioning)


def discrete_score_fn(
    table: SMLDTable | DDPMTable, network: Network, *, fractional_labels: bool = False
) -> ScoreFn:
    """The score of a network trained on a discrete table, read at the level of t.

    SMLD: the network predicts the score at labels that count downwards. DDPM: it predicts the
    noise. ``fractional_labels`` feeds a DDPM network t (N-1) as the published sampler does, up to
    0.999 above the whole number it was trained on.
    """

    def score(x: Tensor, t: Tensor) -> Tensor:
        label = table.label(t)
        given = table.fractional_label(t) if fractional_labels else label
        return table.score(network(x, given), label)

    return score


def discrete_network(
    sde: SDE,
    table: SMLDTable | DDPMTable,
    network: Network,
    *,
    prediction: str,
    conditioning: str,
) -> Network:
    """A network of ours as the table's convention has it: (x, label (B,)) -> score, or DDPM noise.

    It is conditioned on the time of its label by one of ``CONDITIONINGS``. On SMLD the prediction
    may be "score" or "noise", on DDPM it is "noise". Raises InputError for any other.
    """
    smld = isinstance(table, SMLDTable)
    condition = _choose(CONDITIONINGS, conditioning, "conditioning")
    if prediction != "noise" and not (smld and prediction == "score"):
        known = "score or noise" if smld else "noise"
        raise InputError(f"a model of discrete levels predicts {known} here, not {prediction}")

    def published(x: Tensor, label: Tensor) -> Tensor:
        output = network(x, condition(sde, table.time(label)).to(x.dtype))
        if smld and prediction == "noise":
            return -output / per_sample(table.sigma_at(label.round().long(), x), x)
        return output

    return published


def _choose(registry: dict, name: str, kind: str):
    if name not in registry:
        raise InputError(f"unknown {kind} {name!r}: choose from {', '.join(registry)}")
    return registry[name]
