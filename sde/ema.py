r"""Exponential moving average of the weights of a network.

    a_0 = w_0,    a_n = d_n a_{n-1} + (1 - d_n) w_n,    d_n = min(d, (1 + n) / (10 + n))

where w_n are the weights after step n + 1. At first the average spans about n / 9 steps, later its
full length 1 / (1 - d). It is what is sampled and evaluated. Source: Song et al. 2021
(arXiv:2011.13456), appendix G; the warm-up is that of ``ema.py`` of the published code, which
starts a step earlier, with the untrained weights; ``from_untrained`` does so, too.
"""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class EMA(AveragedModel):
    """A copy of ``network`` in ``module``, averaged by :meth:`update_parameters`. Final.

    The count n stays on the host. The update of the library moves it to the GPU, and a decay that
    depends on n would wait for it at every step.
    """

    def __init__(self, network: nn.Module, decay: float, *, from_untrained: bool = False):
        super().__init__(network)
        self.decay, self.before = decay, int(from_untrained)

    @torch.no_grad()
    def update_parameters(self, network: nn.Module) -> None:
        """Replace the parameters by a_n; copy the buffers of ``network``."""
        n = int(self.n_averaged) + self.before
        decay = min(self.decay, (1 + n) / (10 + n)) if n else 0.0
        averaged: list[Tensor] = list(self.module.parameters())
        current: list[Tensor] = list(network.parameters())
        # torch has no public name for it
        torch._foreach_lerp_(averaged, current, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]
        for mine, its in zip(self.module.buffers(), network.buffers(), strict=True):
            mine.copy_(its)
        self.n_averaged += 1
