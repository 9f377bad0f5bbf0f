r"""Averages of the weights of a network during training.

    a_0 = w_0,    a_n = d_n a_{n-1} + (1 - d_n) w_n

    exponential      d_n = min(d, (1 + n) / (10 + n))
    power function   d_n = (1 - 1 / (n + 1))^(g + 1)

where w_n are the weights after step n + 1. At first the exponential average spans about n / 9
steps, later its full length 1 / (1 - d). It is what is sampled and evaluated. The power-function
average after t steps weights step k by (k^(g+1) - (k-1)^(g+1)) / t^(g+1), so that its length grows
with the training. Averages of other lengths can be made of it afterwards
(:mod:`sde.power_averages`).

Sources: Song et al. 2021 (arXiv:2011.13456), appendix G; the warm-up of the exponential average is
that of ``ema.py`` of the published code, which starts a step earlier, with the untrained weights;
``from_untrained`` does so, too. Karras et al. 2024 (arXiv:2312.02696), section 3.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class Average(AveragedModel, ABC):
    """A copy of ``network`` in ``module``, averaged by :meth:`update_parameters`.

    The count n stays on the host. The update of the library moves it to the GPU, and a decay that
    depends on n would wait for it at every step.
    """

    @abstractmethod
    def decay_at(self, n: int) -> float:
        """Return d_n."""

    @torch.no_grad()
    def update_parameters(self, network: nn.Module) -> None:
        """Replace the parameters by a_n; copy the buffers of ``network``."""
        decay = self.decay_at(int(self.n_averaged))
        averaged: list[Tensor] = list(self.module.parameters())
        current: list[Tensor] = list(network.parameters())
        # torch has no public name for it
        torch._foreach_lerp_(averaged, current, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]
        for mine, its in zip(self.module.buffers(), network.buffers(), strict=True):
            mine.copy_(its)
        self.n_averaged += 1


class EMA(Average):
    """The exponential average of the module's equation. Final."""

    def __init__(self, network: nn.Module, decay: float, *, from_untrained: bool = False):
        super().__init__(network)
        self.decay, self.before = decay, int(from_untrained)

    def decay_at(self, n: int) -> float:
        """Return d_n, which is 0 at first unless the average begins with the untrained weights."""
        n += self.before
        return min(self.decay, (1 + n) / (10 + n)) if n else 0.0


class PowerEMA(Average):
    """The power-function average with ``exponent`` g of the module's equation. Final."""

    def __init__(self, network: nn.Module, exponent: float):
        super().__init__(network)
        self.exponent = exponent

    def decay_at(self, n: int) -> float:
        """Return d_n."""
        return (n / (n + 1)) ** (self.exponent + 1)
