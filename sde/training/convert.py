"""Import of published checkpoints and safetensors files as run folders; export as safetensors.

An imported run folder has no log and no state of the optimiser: it can be sampled, evaluated and
exported, but its training cannot be resumed.
"""

import hashlib
from pathlib import Path

import torch
from torch import nn

from repro.environment import Environment, environment
from repro.errors import InputError
from repro.files import checkpoint
from repro.files.json_file import read_model
from repro.run import RunFolder
from sde import build
from sde.checkpoint import fill, read_official, require_same_levels
from sde.config.model import UNETS
from sde.config.run import SDEConfig
from sde.discrete import SMLDTable
from sde.networks import NCSNpp, NCSNv2
from sde.networks.published import TABLE
from sde.pretrained.exported import SUFFIX, read_exported, write_exported
from sde.trained_model import TrainedModel
from sde.training.card import write_folder

CPU = torch.device("cpu")


def export(trained: TrainedModel, path: Path, *, half: bool = False, note: str = "") -> int:
    """Write the averaged weights, with the configuration as metadata, to a file NAME.safetensors.

    A name without a suffix is that of a folder, with a model card (`sde.training.card`), whose
    ``note`` it ends with. ``half`` rounds the weights to 16 bits. Returns the number of weights.
    Raises InputError for another suffix, and where the file cannot be written.
    """
    if not path.suffix:
        return write_folder(trained, path, half=half, note=note)
    if path.suffix != SUFFIX:  # by which import knows it
        raise InputError(f"{path}: expected a name that ends in {SUFFIX}")
    return write_exported(path, trained.network, trained.config, trained.step, half=half)


def import_official(path: Path, config: SDEConfig, out: Path, *, raw: bool) -> dict:
    """Make ``out`` a run folder of a published checkpoint; return the content of results.json.

    Args:
        path: the checkpoint.
        config: the configuration of its network.
        out: the run folder.
        raw: take the weights as trained instead of the averaged ones.

    Raises InputError for any other file, for another architecture than that of ``config``, and for
    a folder that holds a run.
    """
    model = config.model
    names = (*UNETS, "ncsnv2")
    if model.network not in names or (model.energy, model.condition) != ("none", "none"):
        raise InputError(
            f"{path}: the published networks are {', '.join(names)} without an energy and "
            f"labels; model.network is {model.network}, model.energy {model.energy}, "
            f"model.condition {model.condition}"
        )
    network, official = _network(config), read_official(path)
    assert isinstance(network, NCSNpp | NCSNv2)  # those that have the names are
    fill(network, official, raw=raw, where=str(path))
    levels, table = official.weights.get(TABLE), build.table(config)
    if levels is not None and isinstance(table, SMLDTable):
        require_same_levels(table.sigmas(levels.double()).flip(0), levels, str(path))
    kind = "as trained" if raw else "averaged"
    return make_run(out, config, network, official.step, {**source_of(path), "weights": kind})


def import_exported(path: Path, out: Path) -> dict:
    """Make ``out`` a run folder of a file of ``export``; return the content of results.json."""
    config, weights, step = read_exported(path)
    network = _network(config)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: the weights do not fit its configuration: {reason}") from None
    return make_run(out, config, network, step, {**source_of(path), "weights": "averaged"})


def _network(config: SDEConfig) -> nn.Module:
    return build.network_for(config, build.data_spec(config, CPU), CPU)


def source_of(path: Path) -> dict:
    """Return the name and the checksum of a file of weights."""
    with open(path, "rb") as file:
        return {"file": Path(path).name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def make_run(out: Path, config: SDEConfig, network: nn.Module, step: int, source: dict) -> dict:
    """Make ``out`` a run folder of weights; return the content of results.json.

    ``source`` says where they are from: file, sha256, and weights, which kind they are.
    """
    dataset_name = build.data_spec(config, CPU).name
    summary = {**build.summary(config, dataset_name, network, step), "imported": source}
    state = {
        "config": config.model_dump(mode="json"),
        "average": build.ema(config, network).state_dict(),
        "progress": {"step": step, "records": []},
    }
    files = {source["file"]: source["sha256"]}
    run = RunFolder(out, config, resume=_is_unfinished_import(out, files))
    if run.started and not run.resume:
        raise InputError(f"{out}: holds a run already; give another folder with --out")
    with run as folder:
        folder.record_environment(environment(CPU, files))
        checkpoint.save(folder.checkpoints, step, state)
        folder.write("results.json", summary)
    return summary


def _is_unfinished_import(out: Path, files: dict[str, str]) -> bool:
    """Return whether ``out`` holds an import of the same file that ended early."""
    if (out / "results.json").exists():
        return False
    try:
        return read_model(out / "environment.json", Environment).data_files == files
    except InputError:
        return False
