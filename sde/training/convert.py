"""Import of published checkpoints and safetensors files as run folders; export as safetensors.

An imported run folder has no log and no state of the optimiser: it can be sampled, evaluated and
exported, but its training cannot be resumed.
"""

import hashlib
import json
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from repro import config as configuration
from repro.environment import Environment, environment
from repro.errors import InputError
from repro.files import checkpoint
from repro.files.atomic import write_atomically
from repro.files.json_file import read_model
from repro.files.regular_file import open_regular
from repro.run import RunFolder
from sde import build
from sde.checkpoint import fill, read_official, require_same_levels
from sde.config.model import UNETS
from sde.config.records import ExportMetadata
from sde.config.run import SDEConfig
from sde.discrete import SMLDTable
from sde.networks import NCSNpp, NCSNv2
from sde.networks.published import TABLE
from sde.trained_model import TrainedModel

CPU = torch.device("cpu")
SUFFIX = ".safetensors"


def read_exported(path: Path) -> tuple[SDEConfig, dict[str, Tensor], int]:
    """Read the configuration, the averaged weights and the iterations from a file of ``export``.

    Raises InputError for any other file.
    """
    try:
        open_regular(path).close()  # a named pipe would never begin
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = ExportMetadata.model_validate(about)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except SafetensorError as error:
        raise InputError(f"{path}: not a safetensors file ({error})") from None
    except ValidationError:
        raise InputError(f"{path}: not written by `sde export`: no configuration in it") from None
    config = configuration.validate(metadata.config, SDEConfig, str(path))
    return config, weights, metadata.iterations


def export(trained: TrainedModel, path: Path) -> int:
    """Write the averaged weights, with the configuration as metadata, to a file NAME.safetensors.

    Returns the number of weights. Raises InputError for another suffix, and where the file cannot
    be written.
    """
    if path.suffix != SUFFIX:  # by which import knows it
        raise InputError(f"{path}: expected a name that ends in {SUFFIX}")
    weights = {name: tensor.contiguous() for name, tensor in trained.network.state_dict().items()}
    about = {
        "config": json.dumps(trained.config.model_dump(mode="json")),
        "iterations": str(trained.step),
        "written_by": "sde export",
    }
    try:
        write_atomically(path, lambda file: file.write(save(weights, about)))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    return sum(tensor.numel() for tensor in weights.values())


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
