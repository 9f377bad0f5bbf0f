"""The device and the floating-point precision of computations."""

import contextlib
import re

import torch

from repro.errors import InputError
from repro.wording import shown


def resolve(name: str | None) -> torch.device:
    """Return the device called ``cpu``, ``cuda`` or ``cuda:N``; None takes the GPU if there is one.

    From here on float32 means float32: PyTorch would let convolutions use TensorFloat-32 units.
    Raises :class:`InputError` for another name, and for a GPU that is not there.
    """
    torch.backends.cudnn.allow_tf32 = False
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    wrong = f"--device {shown(name)[1:-1]}"
    if not re.fullmatch(r"cpu|cuda(:\d{1,3})?", name, re.ASCII):
        raise InputError(f"{wrong}: expected cpu or cuda, or cuda:N")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"{wrong}: this machine (or this torch build) has no CUDA GPU")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"{wrong}: this machine has {torch.cuda.device_count()} GPUs")
    if device.index:
        torch.cuda.set_device(device)  # for libraries that know of one GPU only
    return device


@contextlib.contextmanager
def precision(name: str, device: torch.device):
    """Compute in one precision inside this context, and restore the one before.

    Args:
        name: ``float32``; ``tf32``: float32 storage, with matrix products and convolutions on
            TensorFloat-32 units (CUDA); ``bf16``: autocast, with both in bfloat16 and float32
            parameters.
        device: of the computation.
    """
    before, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    try:
        # one context surrounds the whole training, in which a cache of cast weights would become
        # stale after the first step of the optimiser
        autocast = {"enabled": name == "bf16", "cache_enabled": False}
        with torch.autocast(device.type, torch.bfloat16, **autocast):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
        torch.backends.cudnn.allow_tf32 = convolutions
