"""Snapshots of power-function averages during a training, and averages of any length after it.

A run with ``optimiser.power_averages: N`` keeps two averages of the lengths
``optimiser.power_lengths`` and writes them N times, at equal distances, to
``averages/step_<iteration>.pt`` of its folder. :func:`reconstruct` makes a run folder of an average
of another length at any of these iterations. The equations are in :mod:`sde.power_averages`.
"""

from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeInt
from torch import Tensor, nn

from repro import config as configuration
from repro.errors import InputError
from repro.files import checkpoint
from sde.config.records import read
from sde.config.run import SDEConfig
from sde.ema import PowerEMA
from sde.power_averages import Profile, coefficients, combine, exponent_of
from sde.trained_model import differences, load
from sde.training.convert import make_run, source_of

FOLDER = "averages"
FARTHEST = 0.1  # distance of a profile from the one asked for, in units of its norm


class Snapshot(BaseModel):
    """The content of a file in ``averages/``."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    config: dict[str, Any]
    step: NonNegativeInt
    lengths: list[float]
    weights: list[dict[str, Tensor]]  # state dicts of the network, one for each length

    @property
    def profiles(self) -> list[Profile]:
        """The profile of each of ``weights``."""
        return [Profile(exponent_of(length), self.step) for length in self.lengths]


class PowerAverages:
    """The averages of a training that goes on; none where ``optimiser.power_averages`` is 0.

    Args:
        config: the configuration.
        network: the network, before its first step.
        folder: the run folder; None: nothing is kept, as on ranks that do not lead.
    """

    def __init__(self, config: SDEConfig, network: nn.Module, folder: Path | None):
        settings, self.config, self.folder = config.optimiser, config, folder
        count = settings.power_averages if folder else 0
        self.at = {round(settings.iterations * (i + 1) / count) for i in range(count)}
        lengths = settings.power_lengths if count else ()
        self.averages = [PowerEMA(network, exponent_of(length)).eval() for length in lengths]

    def update(self, network: nn.Module, step: int) -> None:
        """Add the weights after ``step`` iterations; write a snapshot where one is due."""
        for average in self.averages:
            average.update_parameters(network)
        if step in self.at and self.folder is not None:
            state = {
                "config": self.config.model_dump(mode="json"),
                "step": step,
                "lengths": list(self.config.optimiser.power_lengths),
                "weights": [average.module.state_dict() for average in self.averages],
            }
            checkpoint.write(self.folder / FOLDER / f"step_{step:08d}.pt", state)

    def state_dicts(self) -> list[dict[str, Tensor]]:
        """Return what a checkpoint holds of the averages."""
        return [average.state_dict() for average in self.averages]

    def load_state_dicts(self, states: list[dict[str, Tensor]]) -> None:
        """Restore what :meth:`state_dicts` returned. Raises ValueError for another number."""
        if self.averages:
            for average, state in zip(self.averages, states, strict=True):
                average.load_state_dict(state)


def reconstruct(run: Path, length: float, at: int | None, out: Path) -> tuple[dict, float]:
    """Make ``out`` a run folder whose weights are an average of another length.

    Args:
        run: a run with snapshots.
        length: of the average, relative to the iterations that it is taken at.
        at: the iteration of a snapshot; None: the last one.

    Returns the content of results.json, and how far the profile of the average is from the one
    asked for, in units of its norm. Raises InputError for a run without snapshots, for an iteration
    without one, and for a length that the snapshots cannot give.
    """
    wanted, trained = exponent_of(length), load(run, torch.device("cpu"), with_data=False)
    snapshots = _snapshots(run, trained.config)
    steps = [each.step for each in snapshots]
    at = steps[-1] if at is None else at
    if at not in steps:
        raise InputError(f"{run}: snapshots are of the iterations {steps}, not {at}")
    used = [each for each in snapshots if each.step <= at]
    profiles = [profile for each in used for profile in each.profiles]
    x, distance = coefficients(profiles, Profile(wanted, at))
    if distance > FARTHEST:
        raise InputError(
            f"{run}: {len(used)} snapshots cannot give the length {length:g} at {at}: the profile "
            f"would be {100 * distance:.0f} % off; train with more of them"
        )
    network = trained.network
    network.load_state_dict(combine((each for s in used for each in s.weights), x))
    said = f"power-function average of length {length:g} at iteration {at}"
    source = source_of(run / FOLDER / f"step_{at:08d}.pt") | {"weights": said}
    return make_run(out, trained.config, network, at, source), distance


def _snapshots(run: Path, config: SDEConfig) -> list[Snapshot]:
    """The snapshots of a run, in the order of their iterations."""
    files = sorted((run / FOLDER).glob("step_*.pt"))
    if not files:
        raise InputError(f"{run}: no snapshots; train with optimiser.power_averages=16")
    found = []
    for file in files:
        snapshot = read(checkpoint.load(file), Snapshot, file)
        own = configuration.validate(snapshot.config, SDEConfig, str(file))
        if changed := differences(own, config):
            raise InputError(f"{file}: of another configuration: {changed[0]}")
        found.append(snapshot)
    return found
