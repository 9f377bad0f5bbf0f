"""From a network to a score function.

A network is called with x and a condition, a function of time. Its output is one of five
predictions. D denotes the prediction of x_0:

    "score"     score = network
    "noise"     score = -network / std(t)
    "denoised"  score = (scale D - x) / std^2, D = c_skip y + c_out network(c_in y), y = x / scale,
                with the c's of EDM (Karras et al. 2022, arXiv:2206.00364, table 1) at noise level
                sigma = std / scale, so that input, output and target all have unit variance
    "v"         the network predicts v = (scale z - std x_0) / n, n^2 = scale^2 + std^2, hence
                z = (std x + scale n v) / n^2 and score = -z / std; for VP processes n = 1 (Salimans
                and Ho 2022, arXiv:2202.00512, appendix D)
    "velocity"  the network predicts the velocity of the probability flow, E[dx_t/dt | x_t], of flow
                matching: score = 2 (f x - velocity) / g^2. For the rectified flow the velocity is
                z - x_0 and score = -(x + (1 - t) velocity) / t (Lipman et al. 2023,
                arXiv:2210.02747; Liu et al. 2023, arXiv:2209.03003)

    "time"      t              "time_999"   999 t
    "std"       std(t)         "log_noise"  log(std / scale) / 4

Networks of a discrete table are conditioned on timesteps: ``discrete_score_fn``.
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


def _from_score(sde, network: Network, x: Tensor, t: Tensor, condition: Tensor, _) -> Tensor:
    return network(x, condition)


def _from_noise(sde, network: Network, x: Tensor, t: Tensor, condition: Tensor, _) -> Tensor:
    return -network(x, condition) / per_sample(sde.std(t), x)


def _from_denoised(
    sde: SDE, network: Network, x: Tensor, t: Tensor, condition: Tensor, sigma_data: float
) -> Tensor:
    # (scale D - x) / std^2, with the term of c_skip expanded so that it does not cancel
    scale, std = sde.scale(t), sde.std(t)
    total = ((std / scale) ** 2 + sigma_data**2).sqrt()
    inside = network(x * per_sample(1 / (scale * total), x), condition)
    return (
        per_sample(sigma_data / (std * total), x) * inside
        - per_sample(1 / (scale * total) ** 2, x) * x
    )


def _from_v(sde: SDE, network: Network, x: Tensor, t: Tensor, condition: Tensor, _) -> Tensor:
    scale, std = sde.scale(t), sde.std(t)
    norm2 = scale**2 + std**2
    inside = per_sample(scale / (std * norm2.sqrt()), x) * network(x, condition)
    return -inside - x / per_sample(norm2, x)


def _from_velocity(
    sde: SDE, network: Network, x: Tensor, t: Tensor, condition: Tensor, _
) -> Tensor:
    weight = 2 / sde.diffusion(t) ** 2
    return per_sample(weight * sde.drift_rate(t), x) * x - per_sample(weight, x) * network(
        x, condition
    )


PREDICTIONS = {
    "score": _from_score,
    "noise": _from_noise,
    "denoised": _from_denoised,
    "v": _from_v,
    "velocity": _from_velocity,
}


def score_fn(
    sde: SDE,
    network: Network,
    *,
    prediction: str,
    conditioning: str,
    sigma_data: float = SIGMA_DATA,
) -> ScoreFn:
    """The score of a continuous-time network: (x, t (B,)) -> the shape of x.

    ``sigma_data`` is the standard deviation of the data, which "denoised" alone depends on.
    Raises InputError for an unknown prediction or conditioning.
    """
    predict = _choose(PREDICTIONS, prediction, "prediction")
    condition = _choose(CONDITIONINGS, conditioning, "conditioning")

    def score(x: Tensor, t: Tensor) -> Tensor:
        return predict(sde, network, x, t, condition(sde, t).to(x.dtype), sigma_data)

    return score


def discrete_score_fn(
    table: SMLDTable | DDPMTable, network: Network, *, fractional_timesteps: bool = False
) -> ScoreFn:
    """The score of a network trained on a discrete table: (x, t (B,)) -> the shape of x.

    The network predicts the score (SMLD) or the noise (DDPM) at the timestep of t.
    ``fractional_timesteps`` passes t (N-1) to a DDPM network, as the published sampler does: up to
    0.999 above the whole number that it was trained on.
    """

    def score(x: Tensor, t: Tensor) -> Tensor:
        timestep = table.timestep(t)
        given = table.fractional_timestep(t) if fractional_timesteps else timestep
        return table.score(network(x, given), timestep)

    return score


def discrete_network(
    sde: SDE,
    table: SMLDTable | DDPMTable,
    network: Network,
    *,
    prediction: str,
    conditioning: str,
) -> Network:
    """Adapt a network to a table: (x, timestep (B,)) -> score (SMLD) or noise (DDPM).

    The network is conditioned on the time of the timestep by one of ``CONDITIONINGS``. Raises
    InputError for a prediction that is not one of ``table.predictions``.
    """
    condition = _choose(CONDITIONINGS, conditioning, "conditioning")
    if prediction not in table.predictions:
        known = " or ".join(table.predictions)
        raise InputError(
            f"a network on a {type(table).__name__} predicts {known}, not {prediction}"
        )

    def adapted(x: Tensor, timestep: Tensor) -> Tensor:
        output = network(x, condition(sde, table.time(timestep)).to(x.dtype))
        if prediction == "noise":
            return table.output_from_noise(output, timestep, x)
        return output

    return adapted


def _choose(registry: dict, name: str, kind: str):
    if name not in registry:
        raise InputError(f"unknown {kind} {name!r}: choose from {', '.join(registry)}")
    return registry[name]
