"""The network that turns images into features: any torch module, or one of timm's.

    timm:NAME         `timm.create_model(NAME, num_classes=0)`, with its own preprocessing
    package.mod:call  what `call()` returns, or the module of that name itself
    FILE.pt2          saved by `torch.export.save`
    FILE              any other file: TorchScript, saved by `torch.jit.save`

The first two take their weights from a file, a state dict saved by `torch.save` or safetensors;
without one, timm's are its published ones, and those of a call whatever it returned (drawn, if they
are drawn, from seed 0). What ran is told by its SHA-256: that of the file, and in any case that of
all parameters and buffers. A file of weights never runs code; a program is one, and is trusted.
"""

from __future__ import annotations

import hashlib
import importlib
import math
import os
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from cizsl.data.birds_layout import sha256
from cizsl.prepare.images import Preprocessing
from repro.errors import InputError
from repro.seeding import seed_everything


@dataclass(frozen=True)
class Backbone:
    """`module`: images (B, 3, H, W) to features (B, D) or maps (B, D, h, w), which are averaged;
    `origin`: what goes into the record; `preprocessing`: its own, where it says so."""

    module: nn.Module
    origin: dict[str, object]
    preprocessing: Preprocessing = field(default_factory=Preprocessing)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """(B, D) on the device of `images`. Raises `InputError` for an output of another form."""
        how = dict(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        with torch.backends.cudnn.flags(**how):
            found = self.module(images)
        if isinstance(found, Tensor) and found.ndim == 4:
            found = found.mean((2, 3))
        if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(images):
            is_ = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            batch = len(images)
            raise InputError(
                f"the backbone returned {is_}; expected ({batch}, D) or ({batch}, D, h, w)"
            )
        return found


def load_backbone(name: str, weights: Path | None, device: torch.device) -> Backbone:
    """The network called `name` in one of the four ways above, in evaluation mode, on `device`.

    Raises `InputError` for a name that leads nowhere, a file or weights that do not load, timm not
    installed, and for whatever a `call` raises.
    """
    seed_everything(0)
    path, preprocessing = Path(name), Preprocessing()
    if os.path.isfile(path):
        if weights is not None:
            raise InputError(f"--weights {weights}: {name} has weights of its own")
        module = _load_program(path, device)
    elif name.startswith("timm:"):
        module, preprocessing = _from_timm(name.removeprefix("timm:"), pretrained=weights is None)
    elif ":" in name:
        module = _import(name)
    else:
        raise InputError(f"--backbone {name}: no such file; or else module:callable, timm:NAME")
    ignored = load_weights(module, weights) if weights is not None else []
    origin = {
        "name": path.name if os.path.isfile(path) else name,
        "weights": None if weights is None else weights.name,
    }
    if (file := path if os.path.isfile(path) else weights) is not None:
        origin["file_sha256"] = sha256(file)
    origin |= {"ignored_weights": ignored, "parameters_sha256": parameters_sha256(module)}
    module = module.to(device)
    if path.suffix != ".pt2":  # an exported program is fixed in its mode
        module = module.eval()
    return Backbone(module, origin, preprocessing)


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
            f"{path}: neither TorchScript nor .pt2 ({_short(error)}); {hint}"
        ) from None


def _from_timm(name: str, pretrained: bool) -> tuple[nn.Module, Preprocessing]:
    try:
        import timm
        from timm.data import resolve_model_data_config
    except ImportError as error:
        need = "pip install -e '.[features]'"
        raise InputError(f"--backbone timm:{name}: needs timm ({_short(error)}): {need}") from None
    try:
        module = timm.create_model(name, pretrained=pretrained, num_classes=0)
    except Exception as error:
        raise InputError(f"--backbone timm:{name}: {_short(error)}") from None
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
    place, _, attribute = name.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` has it, and the command has not
    try:
        found = importlib.import_module(place)
        for part in attribute.split("."):
            found = getattr(found, part)
        seed_everything(0)
        module = found if isinstance(found, nn.Module) else found()
    except Exception as error:
        raise InputError(f"--backbone {name}: {_short(error)}") from None
    if not isinstance(module, nn.Module):
        raise InputError(
            f"--backbone {name}: gave {type(module).__name__}; expected a torch module"
        )
    return module


def load_weights(module: nn.Module, path: Path) -> list[str]:
    """Load a state dict into `module`; the names of its weights that the module has no place for,
    such as a classifier's, are returned. Raises `InputError` if one that it needs is missing."""
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
        raise InputError(f"{path}: not a state dict of this backbone ({_short(error)})") from None
    if missing:
        more = f" and {len(missing) - 3} more" if missing[3:] else ""
        raise InputError(f"{path}: without the weights {', '.join(missing[:3])}{more}")
    return ignored


def _load_pickle(path: Path) -> dict:
    return torch.load(path, map_location="cpu", weights_only=True)


def parameters_sha256(module: nn.Module) -> str:
    """Hex digest of every parameter and buffer, by name: type, shape and bytes."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        value = value.detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
