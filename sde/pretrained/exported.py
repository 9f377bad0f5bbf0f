"""Weights and configuration in one safetensors file, as `sde export` writes it.

With ``half`` the parameters are rounded to 16 bits: 11 significant binary digits, so that each
changes by at most 2^-11 of itself. Buffers, such as fixed frequencies, are not rounded.
"""

import json
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from repro import config as configuration
from repro.errors import InputError
from repro.files.atomic import write_atomically
from repro.files.regular_file import open_regular
from sde.config.records import ExportMetadata
from sde.config.run import SDEConfig
from sde.pretrained import WEIGHTS

SUFFIX = ".safetensors"


def exported_file(path: Path) -> Path | None:
    """Return the file of weights that ``path`` is or holds; None for runs and checkpoints."""
    if path.suffix == SUFFIX and not path.is_dir():
        return path
    file = path / WEIGHTS
    return file if path.is_dir() and file.exists() and not (path / "checkpoints").exists() else None


def read_exported(path: Path) -> tuple[SDEConfig, dict[str, Tensor], int]:
    """Read the configuration, the averaged weights and the iterations from a file of ``write``.

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


def write_exported(
    path: Path, network: nn.Module, config: SDEConfig, step: int, *, half: bool = False
) -> int:
    """Write weights, and the configuration as metadata, to a file; return the number of weights.

    Raises InputError where the file cannot be written, and for weights that 16 bits cannot hold.
    """
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    if half:
        weights |= {name: _rounded(name, tensor) for name, tensor in network.named_parameters()}
    about = {
        "config": json.dumps(config.model_dump(mode="json")),
        "iterations": str(step),
        "written_by": "sde export",
    }
    write_atomically(path, lambda file: file.write(save(weights, about)))
    return sum(tensor.numel() for tensor in weights.values())


def _rounded(name: str, tensor: Tensor) -> Tensor:
    rounded = tensor.detach().to(torch.float16).contiguous()
    if not bool(rounded.isfinite().all()):
        raise InputError(f"--half: {name} has values above 65504, which 16 bits cannot hold")
    return rounded
