"""Reader of checkpoints of the published PyTorch code (score_sde_pytorch).

Such a file holds ``model``, a state dict with "module." before each name, ``ema``, whose
``shadow_params`` are a list of the averaged weights in the order of the trained parameters (the
frozen Fourier frequencies are left out), ``step``, and ``optimizer``. ``sde.networks.published``
translates the names.

A checkpoint of ncsnv2 (for `sde.networks.ncsnv2`) is a list of the state dict, the state of the
optimiser, the epoch, the step and, by name, the averaged weights.

No code of the file is run: it is loaded with ``weights_only=True``. The learning rate of the
optimiser is a NumPy number, for which three names beyond tensors are admitted. Functions of this
module stand in for them; NumPy itself is not called.
"""

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor
from torch.serialization import add_safe_globals, clear_safe_globals, get_safe_globals

from repro.errors import InputError
from repro.files import checkpoint
from sde.networks import NCSNpp, NCSNv2
from sde.networks.published import FROZEN, SHIFT, TABLE, published_tensors

PARTS = ("model", "ema", "step")
PREFIX = "module."
NUMBERS = {"f8": "d", "f4": "f", "i8": "q", "i4": "i"}  # NumPy's name of a type: struct's
Published = TypeVar("Published", NCSNpp, NCSNv2)
SHOWN = 3  # names in an error message


@dataclass(frozen=True)
class Official:
    """The weights in a published checkpoint."""

    weights: dict[str, Tensor]  # as trained, by published name
    average: list[Tensor]  # the averaged ones, in the order of the trained parameters
    step: int
    updates: int  # of the average


def load_official(path: str | Path, network: Published, *, raw: bool = False) -> Published:
    """Load the averaged weights of a published checkpoint into ``network``, and return it.

    Args:
        path: the checkpoint.
        network: a network of the same architecture.
        raw: take the weights as trained instead of the averaged ones.

    Raises InputError, and does not change the network, for a file that is no such checkpoint or of
    another architecture; the message names what differs.
    """
    fill(network, read_official(path), raw=raw, where=str(path))
    return network


def read_official(path: str | Path) -> Official:
    """Read the weights of a published checkpoint. Raises InputError for any other file."""
    with _stand_ins():
        state = checkpoint.load(Path(path))
    if isinstance(state, list):
        return _of_ncsnv2(state, path)
    lacking = [part for part in PARTS if not isinstance(state, dict) or part not in state]
    if lacking:
        raise InputError(
            f"{path}: not a checkpoint of the published code: it lacks {', '.join(lacking)}"
        )
    model, ema = (part if isinstance(part, dict) else {} for part in (state["model"], state["ema"]))
    shadow, step, updates = ema.get("shadow_params"), state["step"], ema.get("num_updates")
    tensors = [*model.values(), *shadow] if model and isinstance(shadow, list) else [None]
    counted = isinstance(step, int) and isinstance(updates, int)
    whole = counted and all(isinstance(tensor, Tensor) for tensor in tensors)
    if not whole or not isinstance(shadow, list) or not isinstance(updates, int):
        raise InputError(
            f"{path}: not a checkpoint of the published code: model should be a state dict, step "
            "and ema.num_updates counts, and ema.shadow_params a list of tensors"
        )
    weights = {str(name).removeprefix(PREFIX): tensor for name, tensor in model.items()}
    return Official(weights, shadow, step, updates)


def _of_ncsnv2(state: list, path: str | Path) -> Official:
    """The weights in a checkpoint of ncsnv2. Raises InputError for another list."""
    model, _, _, step, average = [*state, *[None] * 5][:5]
    average = {} if average is None else average
    whole = isinstance(model, dict) and isinstance(average, dict) and isinstance(step, int)
    tensors = [*model.values(), *average.values()] if whole else [None]
    if not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise InputError(
            f"{path}: not a checkpoint of the published code: a list of ncsnv2 holds a state dict, "
            "the optimiser, epoch and step, and averaged weights by name"
        )
    weights = {str(name).removeprefix(PREFIX): tensor for name, tensor in model.items()}
    trained = {name: tensor for name, tensor in weights.items() if name != TABLE}
    if average:
        _require_same(trained, average, f"{path}, averaged")
    return Official(weights, [average[name] for name in trained if average], step, step)


def fill(network: NCSNpp | NCSNv2, official: Official, *, raw: bool, where: str) -> None:
    """Copy the averaged, or the raw, weights into ``network``.

    Raises InputError as ``load_official``.
    """
    ours, given_nothing, sigmas = _expected(network)
    given = dict(official.weights)
    table = given.pop(TABLE, None)
    trained = [name for name in given if name != FROZEN]  # in the order of the averages
    unused = _unused(given) if given_nothing else set()
    given = {name: tensor for name, tensor in given.items() if name not in unused}
    _require_same(ours, given, where)
    if table is not None and sigmas is not None:
        require_same_levels(sigmas, table, where)
    if not raw:
        if len(official.average) != len(trained):
            raise InputError(
                f"{where}: {len(official.average)} averaged weights, {len(trained)} expected"
            )
        pairs = zip(trained, official.average, strict=True)
        averaged = {name: tensor for name, tensor in pairs if name not in unused}
        _require_same({name: ours[name] for name in averaged}, averaged, f"{where}, averaged")
        given |= averaged
    if bad := [name for name, tensor in given.items() if not bool(tensor.isfinite().all())]:
        raise InputError(f"{where}: weights that are not finite: {_listed(bad)}")
    with torch.no_grad():
        for name, tensor in ours.items():
            tensor.copy_(given[name])


def _expected(network: NCSNpp | NCSNv2) -> tuple[dict[str, Tensor], bool, Tensor | None]:
    """The tensors by their published names, whether the network is a U-Net that is given no
    condition, and its noise levels, where it holds them."""
    if isinstance(network, NCSNv2):
        return network.published_tensors(), False, None
    return published_tensors(network), network.condition is None, network.sigmas


def _unused(given: dict[str, Tensor]) -> set[str]:
    """The names of what a network without a condition has in the published code and never uses."""
    return {name for name in given if name == FROZEN or SHIFT in name}


def _require_same(ours: dict[str, Tensor], given: dict[str, Tensor], where: str) -> None:
    """Raise InputError, naming what differs, unless the names and shapes are the same."""
    missing = [name for name in ours if name not in given]
    extra = [name for name in given if name not in ours]
    shapes = [
        f"{name} {tuple(given[name].shape)} in place of {tuple(tensor.shape)}"
        for name, tensor in ours.items()
        if name in given and given[name].shape != tensor.shape
    ]
    found = {"missing": missing, "not expected": extra, "of another shape": shapes}
    wrong = [f"{len(names)} {what}: {_listed(names)}" for what, names in found.items() if names]
    if wrong:
        raise InputError(
            f"{where}: weights of another architecture than the configuration's; {'; '.join(wrong)}"
        )


def require_same_levels(ours: Tensor, given: Tensor, where: str) -> None:
    """Raise InputError unless the noise levels, descending, are the same."""
    same = given.shape == ours.shape
    if not same or not torch.allclose(given.double(), ours.double().cpu(), rtol=1e-5, atol=0):
        raise InputError(f"{where}: its noise levels ({TABLE}) are not those of the network")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


class _DType:
    """Answers to ``numpy.dtype``: which number the bytes of a scalar are."""

    def __init__(self, kind: str, *_):
        self.kind, self.order = kind, "<"

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]


def _scalar(dtype: _DType, content: bytes) -> float | int:
    """Answers to NumPy's ``scalar``."""
    return struct.unpack(f"{dtype.order}{NUMBERS[dtype.kind]}", content)[0]


def _named(name: str, stand_in):
    """``stand_in``, which the unpickler then finds under ``name``."""
    stand_in.__module__, _, stand_in.__name__ = name.rpartition(".")
    stand_in.__qualname__ = stand_in.__name__
    return stand_in


STAND_INS = [
    _named("numpy.dtype", _DType),
    # NumPy 2's name, NumPy 1's, and how Python 2's protocol writes bytes
    _named("numpy._core.multiarray.scalar", lambda dtype, content: _scalar(dtype, content)),
    _named("numpy.core.multiarray.scalar", lambda dtype, content: _scalar(dtype, content)),
    _named("_codecs.encode", lambda text, encoding: text.encode(encoding)),
]


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    """``torch.serialization.safe_globals``, which torch 2.4 does not have."""
    before = get_safe_globals()
    add_safe_globals(STAND_INS)
    try:
        yield
    finally:
        clear_safe_globals()
        add_safe_globals(before)
