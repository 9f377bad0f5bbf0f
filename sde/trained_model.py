"""A trained model: from a run folder or a checkpoint file to a score function."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from repro import checkpoint
from repro import config as configuration
from repro.config_errors import known_keys
from repro.errors import InputError
from sde import build
from sde.config.run import SDEConfig
from sde.data.dataset import Dataset
from sde.processes import SDE
from sde.reverse import ScoreFn

PARTS = ("config", "average", "progress")  # of a checkpoint, that are read here
LATER = ("sampling", "evaluation", "compute")  # sections that do not make another model
WHERE = ("root", "path", "heldout_path", "memory", "download")  # data may move to another place
FREE = (*LATER, *(f"data.{key}" for key in WHERE))  # of a run that is resumed


@dataclass(frozen=True)
class TrainedModel:
    """A model as it is sampled: with the averaged weights."""

    config: SDEConfig
    sde: SDE
    network: nn.Module
    score_fn: ScoreFn  # to sample from, in ``sampling.precision``
    data: Dataset  # or an outline of it
    step: int  # iterations trained
    records: list[dict]  # of the training so far
    device: torch.device
    folder: Path  # where its results go unless told: the run, or a folder beside the checkpoint
    float32_score_fn: ScoreFn | None = None  # for likelihoods; None: ``score_fn`` is in float32

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.spec.shape

    def stream(self, purpose: int, *part: int) -> torch.Generator:
        return build.stream(self.config, self.device, purpose, *part)

    def sampling_stream(self, *part: int) -> torch.Generator:
        """The random numbers of one batch of samples, of which ``sampling.seed`` makes others."""
        if other := self.config.sampling.seed:
            part = (*(*part, 0)[:2], other)
        return self.stream(build.SAMPLING, *part)


def load(
    path: Path,
    device: torch.device,
    overrides: list[str] | None = None,
    with_data: bool = True,
) -> TrainedModel:
    """The model in a run folder (its newest whole checkpoint) or in a checkpoint file.

    ``overrides`` may set sampling, evaluation and compute alone. Without ``with_data`` an outline
    of the data is enough, as it is to sample. Raises InputError where there is no such
    checkpoint, or where it belongs to another configuration.
    """
    path = Path(path)
    state, config = _saved(path, overrides)
    torch.set_num_threads(config.compute.threads)
    data = (build.dataset if with_data else build.outline)(config, device)
    sde = build.process(config)
    network = _averaged(config, state, data.spec.shape, device, path)
    return TrainedModel(
        config=config,
        sde=sde,
        network=network,
        score_fn=build.score(config, sde, build.sampled(config, network, device)),
        data=data,
        step=state["progress"]["step"],
        records=state["progress"]["records"],
        device=device,
        folder=path if path.is_dir() else path.with_suffix(""),
        float32_score_fn=build.score(config, sde, network),
    )


def _saved(path: Path, overrides: list[str] | None) -> tuple[dict, SDEConfig]:
    """A checkpoint, and its configuration with ``overrides``."""
    state = checkpoint.load_newest(path / "checkpoints") if path.is_dir() else checkpoint.load(path)
    if state is None:
        raise InputError(f"{path}: holds no checkpoint; expected a run folder of sde, or a file")
    if not isinstance(state, dict) or missing(state):
        raise InputError(f"{path}: not a checkpoint of sde: it lacks {missing(state)}")
    saved = configuration.validate(state["config"], SDEConfig, str(path))
    if path.is_dir():
        stated = configuration.load(path / "config.yaml", SDEConfig)
        require_same_model(state, stated, path / "config.yaml")
    config = configuration.override(saved.model_dump(mode="json"), SDEConfig, str(path), overrides)
    if changed := differences(saved, config):
        raise InputError(f"{path}: a trained model keeps its {changed[0]}")
    return state, config


def _averaged(config: SDEConfig, state: dict, shape, device: torch.device, path: Path):
    """The network with the average of its weights, not to be trained."""
    average = build.average(config, build.network(config, shape, device))
    try:
        average.load_state_dict(state["average"])
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: the weights do not fit the configuration: {reason}") from None
    return average.module.eval().requires_grad_(False)


def missing(state: dict) -> str:
    """The names of what a checkpoint of ours holds and ``state`` does not, in one line."""
    return ", ".join(part for part in PARTS if part not in state)


def require_same_model(state: dict, config: SDEConfig, where: Path) -> None:
    """Raise InputError where a checkpoint is of another configuration than ``config``."""
    if missing(state):
        raise InputError(f"{where}: the checkpoint is not one of sde: it lacks {missing(state)}")
    saved = configuration.validate(state["config"], SDEConfig, "the checkpoint")
    if changed := differences(saved, config):
        raise InputError(f"{where}: the checkpoint is of another configuration: {changed[0]}")


def differences(saved: SDEConfig, config: SDEConfig) -> list[str]:
    """What makes another model of it, as ``key of value, not value``."""
    before, after = saved.model_dump(exclude=set(LATER)), config.model_dump(exclude=set(LATER))
    keys = [key for key in known_keys(SDEConfig) if key.split(".")[0] not in LATER]
    keys = [key for key in keys if key not in FREE]
    found = []
    for key in keys:
        old, new = _value(before, key), _value(after, key)
        if not isinstance(old, dict) and old != new:
            found.append(f"{key} of {old}, not {new}")
    return found


def _value(values: dict, key: str):
    for part in key.split("."):
        values = values[part]
    return values
