"""Conventions of the published code (score_sde_pytorch) that depend on the process.

The published networks predict the score for VESDE and the noise for the two others
(``PUBLISHED_NETWORKS``). The published samplers step along a chain of N noise levels
(``PUBLISHED_CHAINS``): the tables of SMLD and DDPM, and an Euler step of 1/N for SubVPSDE.
A process of another class has neither.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from repro.errors import InputError
from sde.discrete import DDPMTable, SMLDTable
from sde.processes import SDE, VESDE, VPSDE, SubVPSDE, Transition
from sde.reverse import ScoreFn
from sde.score import Network, score_fn

Entry = TypeVar("Entry")

# (prediction, conditioning), see sde/score.py
PUBLISHED_NETWORKS: dict[type[SDE], tuple[str, str]] = {
    VESDE: ("score", "std"),
    VPSDE: ("noise", "time_999"),
    SubVPSDE: ("noise", "time_999"),
}


def published_score_fn(sde: SDE, network: Network) -> ScoreFn:
    """The score of a network that the published code trained on the continuous loss.

    Raises InputError for a process of which there are no published networks.
    """
    prediction, conditioning = _of_class(PUBLISHED_NETWORKS, sde, "network")
    return score_fn(sde, network, prediction=prediction, conditioning=conditioning)


def published_transition(
    sde: SDE, t: Tensor, num_timesteps: int, *, table: bool = True
) -> Transition:
    """The step of the published chain from the noise level at time t (B,) to the one below it.

    Without ``table`` an Euler step of 1/N, of any N, for samplers that read no table: the published
    Euler-Maruyama. Raises InputError for a process of which there is no published chain, and for a
    table that is not one of noise levels: VPSDE with N <= beta_max.
    """
    chain = _of_class(PUBLISHED_CHAINS, sde, "chain")
    return chain(sde, t, num_timesteps) if table else _euler_step(sde, t, num_timesteps)


def _euler_step(sde: SDE, t: Tensor, num_timesteps: int) -> Transition:
    dt = torch.full_like(t, 1 / num_timesteps)
    scale, std = 1 + sde.drift_rate(t) * dt, sde.diffusion(t) * dt.sqrt()
    std_s, std_t = sde.std((t - dt).clamp(min=0)), sde.std(t)
    return Transition(t, t, dt, scale, std, std_s, std_t, std * std_s / std_t)


PUBLISHED_CHAINS: dict[type[SDE], Callable[[Any, Tensor, int], Transition]] = {
    VESDE: lambda sde, t, n: SMLDTable(sde.sigma_min, sde.sigma_max, n).transition(t),
    VPSDE: lambda sde, t, n: DDPMTable(sde.beta_min, sde.beta_max, n).transition(t),
    SubVPSDE: _euler_step,
}


def _of_class(known: dict[type[SDE], Entry], sde: SDE, kind: str) -> Entry:
    if type(sde) not in known:
        names = ", ".join(each.__name__ for each in known)
        raise InputError(f"{type(sde).__name__} has no published {kind}; these have: {names}")
    return known[type(sde)]
