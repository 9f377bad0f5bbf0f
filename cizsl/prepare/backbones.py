"""Networks that turn images into features: any torch module, or one of timm's.

    efficientnet_lite0   with weights from a package, see :mod:`cizsl.prepare.efficientnet`
    timm:NAME            `timm.create_model(NAME, num_classes=0)`, with its own preprocessing
    package.module:name  the module of that name, or what the function of that name returns
    FILE.pt2             saved by `torch.export.save`
    FILE                 any other file: TorchScript, saved by `torch.jit.save`

The first three may take their weights from a file: a state dict saved by `torch.save` or
safetensors. Without such a file, the first two have their published weights, and others the weights
with which they are returned; weights that are drawn at random are drawn from seed 0. The record of
an extraction has the SHA-256 of the file and of all parameters and buffers. A file of weights
cannot run code; a TorchScript or .pt2 file is a program and is trusted.
"""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from cizsl.data.birds_layout import sha256
from cizsl.prepare import efficientnet
from cizsl.prepare.images import Preprocessing
from repro.errors import InputError
from repro.plugins import is_plugin, resolve
from repro.seeding import seed_everything
from repro.wording import one_line, shown


@dataclass(frozen=True)
class Backbone:
    """A network in evaluation mode, and where it comes from.

    module: maps images (B, 3, H, W) to features (B, D), or to maps (B, D, h, w), whose mean over
    the image is taken. origin: its entry in the record of an extraction. preprocessing: how its
    images are prepared, of ImageNet networks unless it comes with settings of its own.
    """

    module: nn.Module
    origin: dict[str, object]
    preprocessing: Preprocessing = field(default_factory=Preprocessing)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Return features (B, D) on the device of the images (B, 3, H, W).

        Raises `InputError` for an output of another shape.
        """
        flags = torch.backends.cudnn.flags
        with flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            found = self.module(images)
        if isinstance(found, Tensor) and found.ndim == 4:
            found = found.mean((2, 3))
        if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(images):
            returned = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            expected = "expected ({0}, D) or ({0}, D, h, w)".format(len(images))
            raise InputError(f"the backbone returned {returned}; {expected}")
        return found


def load_backbone(name: str, weights: Path | None, device: torch.device) -> Backbone:
    """Load a network in one of the ways above, in evaluation mode.

    Args:
        name: as the table of this module says.
        weights: a file of weights, or None.
        device: where the network goes.

    Raises `InputError` for an unknown name, a file or weights that cannot be loaded, timm that is
    not installed, and whatever the function raises.
    """
    seed_everything(0)
    if name == efficientnet.NAME:
        module, packaged = efficientnet.efficientnet_lite0()
        weights, preprocessing = weights or packaged, efficientnet.PREPROCESSING
    else:
        module, preprocessing = _module(name, weights, device)
    ignored = load_weights(module, weights) if weights is not None else []
    program = Path(name) if os.path.isfile(name) else None
    origin = {
        "name": program.name if program else name,
        "weights": None if weights is None else weights.name,
    }
    if (file := program or weights) is not None:
        origin["file_sha256"] = sha256(file)
    origin |= {"ignored_weights": ignored, "parameters_sha256": parameters_sha256(module)}
    module = module.to(device)
    if program is None or program.suffix != ".pt2":  # an exported program is fixed in its mode
        module = module.eval()
    return Backbone(module, origin, preprocessing)


def _module(
    name: str, weights: Path | None, device: torch.device
) -> tuple[nn.Module, Preprocessing]:
    if os.path.isfile(name):
        if weights is not None:
            raise InputError(f"--weights {weights}: {name} has weights of its own")
        return _load_program(Path(name), device), Preprocessing()
    if name.startswith("timm:"):
        return _from_timm(name.removeprefix("timm:"), pretrained=weights is None)
    if is_plugin(name):
        return _import(name), Preprocessing()
    expected = f"expected {efficientnet.NAME}, a file, timm:NAME or package.module:callable"
    raise InputError(f"--backbone {shown(name)}: no such file; {expected}")


def _load_program(path: Path, device: torch.device) -> nn.Module:
    try:
        if path.suffix == ".pt2":
            return torch.export.load(path).module()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.load(path, map_location=device)
    except Exception as error:
        hint = "a state dict goes to --weights, with --backbone module:callable"
        raise InputError(
            f"{path}: neither TorchScript nor .pt2 ({one_line(error)}); {hint}"
        ) from None


def _from_timm(name: str, pretrained: bool) -> tuple[nn.Module, Preprocessing]:
    try:
        # an extra, which need not be installed
        import timm  # pyright: ignore[reportMissingImports]
        from timm.data import resolve_model_data_config  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        need = "pip install -e '.[features]'"
        raise InputError(
            f"--backbone timm:{name}: needs timm ({one_line(error)}): {need}"
        ) from None
    try:
        module = timm.create_model(name, pretrained=pretrained, num_classes=0)
    except Exception as error:
        raise InputError(f"--backbone timm:{name}: {one_line(error)}") from None
    found = resolve_model_data_config(module)
    if (mode := found.get("crop_mode", "center")) != "center":
        raise InputError(
            f"--backbone timm:{name}: its crop mode {mode!r} is not among ours: center"
        )
    crop = found["input_size"][-1]
    return module, Preprocessing(
        resize=math.floor(crop / found["crop_pct"]),
        crop=crop,
        interpolation=found["interpolation"],
        mean=tuple(found["mean"]),
        std=tuple(found["std"]),
    )


def _import(name: str) -> nn.Module:
    try:
        found = resolve(name, {}, "--backbone")
        seed_everything(0)  # for weights that are drawn, whatever the import has drawn
        module = found if isinstance(found, nn.Module) else found()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"--backbone {name}: {one_line(error)}") from None
    if not isinstance(module, nn.Module):
        raise InputError(
            f"--backbone {name}: gave {type(module).__name__}; expected a torch module"
        )
    return module


def load_weights(module: nn.Module, path: Path) -> list[str]:
    """Load a state dict into `module`.

    Returns the names of weights that the module does not have, such as those of a classifier.
    Raises `InputError` where a weight of the module is missing.
    """
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file of weights")
    try:
        load = load_file if path.suffix == ".safetensors" else _load_pickle
        state = load(path)
        while isinstance(inner := state.get("state_dict", state.get("model")), Mapping):
            state = inner
        state = {key.removeprefix("module."): value for key, value in state.items()}
        missing, ignored = module.load_state_dict(state, strict=False)
    except Exception as error:
        raise InputError(f"{path}: not a state dict of this backbone ({one_line(error)})") from None
    if missing:
        more = f" and {len(missing) - 3} more" if missing[3:] else ""
        raise InputError(f"{path}: without the weights {', '.join(missing[:3])}{more}")
    return ignored


def _load_pickle(path: Path) -> dict:
    return torch.load(path, map_location="cpu", weights_only=True)


def parameters_sha256(module: nn.Module) -> str:
    """Return the SHA-256 of every parameter and buffer: name, type, shape and bytes."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        value = value.detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
