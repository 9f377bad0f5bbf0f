"""Embedding of the condition, one number for each sample, as a vector.

    positional   [sin(w c), cos(w c)], w = 10000^(-k / (K - 1)), k = 0..K-1
                 (Vaswani et al. 2017, arXiv:1706.03762; the DDPM of arXiv:2006.11239)
    fourier      [sin(2 pi w c), cos(2 pi w c)], w drawn once from N(0, scale^2)
                 (Tancik et al. 2020, arXiv:2006.10739; NCSN++, with c = log sigma)

The positional embedding resolves differences of about 1, up to 1000; the Fourier embedding
differences of about 1 / scale. Two linear layers follow.
"""

import math

import torch
from torch import Tensor, nn

from sde.networks.label import add_label
from sde.networks.resampling import glorot_

LONGEST = 10000.0


class Positional(nn.Module):
    """c (B,) -> (B, dim), ``dim`` even. Final."""

    frequencies: Tensor

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim
        step = math.log(LONGEST) / max(1, dim // 2 - 1)
        frequencies = torch.exp(-step * torch.arange(dim // 2, dtype=torch.float32))
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, condition: Tensor) -> Tensor:
        angle = condition[:, None] * self.frequencies
        return torch.cat([angle.sin(), angle.cos()], 1)


class Fourier(nn.Module):
    """c (B,) -> (B, 2 ``frequencies``). The frequencies are drawn once, never trained, and saved
    with the network. Final."""

    frequencies: Tensor

    def __init__(self, frequencies: int, *, scale: float = 16.0):
        super().__init__()
        self.dim = 2 * frequencies
        self.register_buffer("frequencies", scale * torch.randn(frequencies))

    def forward(self, condition: Tensor) -> Tensor:
        # 2 pi last, as in the published code: at angles of a thousand rounding depends on the order
        angle = condition[:, None] * self.frequencies * 2 * math.pi
        return torch.cat([angle.sin(), angle.cos()], 1)


class ConditionEmbedding(nn.Module):
    """condition (B,) -> act(second(act(first(waves(c)))) + label) (B, dim), which all blocks see.

    c is ``scale`` times the condition, or times its logarithm with ``log``; ``label`` embeds the
    label (`sde.networks.label`), if there is one. Final.
    """

    def __init__(
        self,
        waves: Positional | Fourier,
        dim: int,
        *,
        activation: nn.Module,
        log: bool,
        scale: float,
    ):
        super().__init__()
        self.waves, self.activation, self.log, self.scale = waves, activation, log, scale
        self.first, self.second = glorot_(nn.Linear(waves.dim, dim)), glorot_(nn.Linear(dim, dim))
        self.label: nn.Module | None = None  # set by the network that has one

    def forward(self, condition: Tensor, label: Tensor | None = None) -> Tensor:
        c = condition.log() if self.log else condition
        c = c if self.scale == 1 else self.scale * c
        time = self.second(self.activation(self.first(self.waves(c))))
        return self.activation(add_label(time, self.label, label))
