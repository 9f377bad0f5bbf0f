"""A trained model: from a run folder or a checkpoint file to a score function."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from repro import config as configuration
from repro.errors import InputError
from repro.files import checkpoint
from sde import build
from sde.config.records import ModelState, Progress, Record, read
from sde.config.run import SDEConfig
from sde.data.dataset import Dataset, DataSpec
from sde.networks.label import with_label
from sde.pretrained import located, results_of
from sde.pretrained.exported import exported_file, read_exported
from sde.processes import SDE
from sde.reverse import ScoreFn
from sde.score import Network

LATER = ("sampling", "evaluation", "compute")  # sections that do not change the trained weights
WHERE = ("root", "path", "heldout_path", "memory", "download")  # data may move to another place
FREE = (*LATER, *(f"data.{key}" for key in WHERE))  # keys that may change when a run is resumed


@dataclass(frozen=True)
class TrainedModel:
    """A model with its averaged weights, ready to be sampled and evaluated."""

    config: SDEConfig
    sde: SDE
    network: nn.Module
    score_fn: ScoreFn  # for samplers, in ``sampling.precision``
    data: Dataset  # perhaps without examples, see ``build.dataset``
    step: int  # iterations trained
    records: list[Record]  # of the training so far
    device: torch.device
    folder: Path  # default place of results: the run folder, or one named after the file
    float32_score_fn: ScoreFn | None = None  # for likelihoods; None: the same as ``score_fn``
    inference: Network | None = None  # the network in ``sampling.precision``; None: ``network``

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.spec.shape

    def score_given(self, label: Tensor | None) -> ScoreFn:
        """The score given a label of :func:`sde.data.labels.parse`; None: the unconditional one."""
        if label is None:
            return self.score_fn
        network = with_label(self.inference or self.network, label)
        return build.score(self.config, self.sde, network)

    def stream(self, purpose: int, *part: int) -> torch.Generator:
        return build.stream(self.config, self.device, purpose, *part)

    def sampling_stream(self, *part: int) -> torch.Generator:
        """The random numbers of one batch of samples; they depend on ``sampling.seed``."""
        if other := self.config.sampling.seed:
            part = (*(*part, 0)[:2], other)
        return self.stream(build.SAMPLING, *part)


def load(
    path: str | Path,
    device: torch.device,
    overrides: list[str] | None = None,
    with_data: bool = True,
    read_only: bool = False,
) -> TrainedModel:
    """Load a model from a run folder (its newest whole checkpoint) or from a file.

    Args:
        path: the run folder; a checkpoint file; a file or folder of `sde export`; or the text
            ``pretrained:NAME`` for a model that comes with the package.
        device: where to put the model and the data.
        overrides: ``key=value`` of the sections sampling, evaluation and compute.
        with_data: False where the spec of the data is enough, as it is for sampling.
        read_only: neither download files of the data nor fill the cache.

    Raises InputError where there is no such checkpoint, or where it belongs to another
    configuration.
    """
    results = results_of(Path(path))
    path = located(path)
    state, config = _saved(path, overrides)
    torch.set_num_threads(config.compute.threads)
    data = build.dataset(config, device, examples=with_data, read_only=read_only)
    sde = build.process(config)
    network = _averaged(config, state, data.spec, device, path)
    for_sampling = build.inference_network(config, network, device)
    return TrainedModel(
        config=config,
        sde=sde,
        network=network,
        score_fn=build.score(config, sde, for_sampling),
        data=data,
        step=state.progress.step,
        records=state.progress.records,
        device=device,
        folder=results,
        float32_score_fn=build.score(config, sde, network),
        inference=for_sampling,
    )


def _saved(path: Path, overrides: list[str] | None) -> tuple[ModelState, SDEConfig]:
    """What was saved, and its configuration with ``overrides``."""
    file = exported_file(path)
    state = _checkpoint(path) if file is None else _exported(file)
    saved = configuration.validate(state.config, SDEConfig, str(path))
    if path.is_dir():
        stated = configuration.load(path / "config.yaml", SDEConfig)
        require_same_model(state, stated, path / "config.yaml")
    config = configuration.override(saved.model_dump(mode="json"), SDEConfig, str(path), overrides)
    if changed := differences(saved, config):
        raise InputError(f"{path}: a trained model keeps its {changed[0]}")
    return state, config


def _checkpoint(path: Path) -> ModelState:
    found = checkpoint.load_newest(path / "checkpoints") if path.is_dir() else checkpoint.load(path)
    if found is None:
        raise InputError(f"{path}: holds no checkpoint; expected a run folder of sde, or a file")
    return read(found, ModelState, path)


def _exported(file: Path) -> ModelState:
    config, weights, step = read_exported(file)
    average = {f"module.{name}": tensor for name, tensor in weights.items()}
    average["n_averaged"] = torch.tensor(step)
    known = config.model_dump(mode="json")
    return ModelState(config=known, average=average, progress=Progress(step=step))


def _averaged(
    config: SDEConfig, state: ModelState, spec: DataSpec, device: torch.device, path: Path
) -> nn.Module:
    """The network with its averaged weights, which need no gradient."""
    ema = build.ema(config, build.network_for(config, spec, device))
    try:
        ema.load_state_dict(state.average)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: the weights do not fit the configuration: {reason}") from None
    return ema.module.eval().requires_grad_(False)


def require_same_model(state: ModelState, config: SDEConfig, where: Path) -> None:
    """Raise InputError where a checkpoint is of another configuration than ``config``."""
    saved = configuration.validate(state.config, SDEConfig, "the checkpoint")
    if changed := differences(saved, config):
        raise InputError(f"{where}: the checkpoint is of another configuration: {changed[0]}")


def differences(saved: SDEConfig, config: SDEConfig) -> list[str]:
    """List the settings that change the trained weights, each as ``key of old, not new``."""
    before, after = (configuration.leaves(one.model_dump()) for one in (saved, config))
    return [
        f"{key} of {before.get(key)}, not {after.get(key)}"
        for key in dict.fromkeys([*before, *after])
        if key not in FREE and key.split(".")[0] not in LATER and before.get(key) != after.get(key)
    ]
