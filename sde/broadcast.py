"""Broadcasting of times (B,), and of functions of time, against x (B, ...)."""

from torch import Tensor

from repro.errors import InputError


def per_sample(a: Tensor, x: Tensor) -> Tensor:
    """Reshape and cast a coefficient ``a``, (B,) or (1,), so that it multiplies x (B, ...)."""
    return a.to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))


def check_times(t: Tensor, x: Tensor) -> None:
    """Raise InputError unless t is (B,) or (1,), floating, and within (0, 1].

    Values are checked on the CPU only: on a GPU the check would make every step wait for it.
    """
    if t.ndim != 1 or t.shape[0] not in (1, x.shape[0]) or not t.is_floating_point():
        raise InputError(
            f"times must be a floating tensor of shape ({x.shape[0]},), one per sample; "
            f"got {t.dtype} of shape {tuple(t.shape)}"
        )
    if t.device.type == "cpu" and not bool(((t > 0) & (t <= 1)).all()):
        raise InputError(f"times must lie in (0, 1]; got {t.min().item():g} to {t.max().item():g}")
