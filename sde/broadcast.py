"""Times are (B,) tensors, and what is a function of time meets x in one place: here."""

from torch import Tensor

from repro.errors import InputError


def per_sample(a: Tensor, x: Tensor) -> Tensor:
    """A coefficient per sample, a (B,) or (1,), shaped and typed to multiply x (B, ...)."""
    return a.to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))


def check_times(t: Tensor, x: Tensor) -> None:
    """Raise InputError unless t is (B,) or (1,), floating, and within (0, 1].

    The values are read on the CPU only: on a GPU, reading them would stall every training step.
    """
    if t.ndim != 1 or t.shape[0] not in (1, x.shape[0]) or not t.is_floating_point():
        raise InputError(
            f"times must be a floating tensor of shape ({x.shape[0]},), one per sample; "
            f"got {t.dtype} of shape {tuple(t.shape)}"
        )
    if t.device.type == "cpu" and not bool(((t > 0) & (t <= 1)).all()):
        raise InputError(f"times must lie in (0, 1]; got {t.min().item():g} to {t.max().item():g}")
