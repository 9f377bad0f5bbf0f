r"""The exponential moving average of a network's weights w, which is what is sampled and measured.

    a_0 = w_0,    a_n = d_n a_{n-1} + (1 - d_n) w_n,    d_n = min(d, (1 + n) / (10 + n))

After n updates the average reaches back about n / 9, until it has its full length, 1 / (1 - d).

Here w_n are the weights after step n + 1. Source: Song et al. 2021 (arXiv:2011.13456), appendix G,
for the average; the warm-up is that of ``ema.py`` of the published code, which begins a step
earlier, with the untrained weights.
"""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel


class EMA(AveragedModel):
    """A copy of ``network``, its ``module``, that :meth:`update_parameters` moves after it. Final.

    The count n stays on the host. The library's own update hands it to the GPU, from where a decay
    that depends on n has to read it back, and the host waits for both at every step.
    """

    def __init__(self, network: nn.Module, decay: float):
        super().__init__(network)
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, network: nn.Module) -> None:
        """a_n of the network's parameters; its buffers are copied."""
        n = int(self.n_averaged)
        decay = min(self.decay, (1 + n) / (10 + n)) if n else 0.0
        averaged, current = list(self.module.parameters()), list(network.parameters())
        torch._foreach_lerp_(averaged, current, 1 - decay)
        for mine, its in zip(self.module.buffers(), network.buffers(), strict=True):
            mine.copy_(its)
        self.n_averaged += 1
