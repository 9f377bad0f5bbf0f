"""Halving and doubling the resolution of feature maps, (B, C, H, W) -> (B, C, H/2, W/2) or 2H, 2W.

With ``fir`` by the binomial filter k = [1, 3, 3, 1] / 8 along each axis, against aliasing (Zhang
2019, arXiv:1904.11486; StyleGAN2, Karras et al. 2020, arXiv:1912.04958):

    down   y[i] = sum_j k[j] x[2 i + j - 1]
    up     y[i] = sum_j 2 k[j] x[(i + 1 - j) / 2], over whole (i + 1 - j) / 2: twice the adjoint

x is zero outside. Each is one strided convolution per channel, so that no zero is inserted and no
sample is computed only to be dropped. Without ``fir``: the mean of 2 x 2, the nearest neighbour.

``DownConv`` and ``UpConv`` include a learned 3 x 3 convolution: of stride 2 after the filter, and
transposed before it.
"""

import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)

KERNEL = (1.0, 3.0, 3.0, 1.0)


def glorot_(layer: Layer, gain: float = 1.0) -> Layer:
    """Initialise weights of variance 2 gain / (fan in + fan out) and zero biases (Glorot and Bengio
    2010). Returns the layer."""
    nn.init.xavier_uniform_(layer.weight, math.sqrt(gain))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def fir_kernel(channels: int, gain: float = 1.0) -> Tensor:
    """Return the two-dimensional filter for each channel, (C, 1, 4, 4), with sum ``gain``."""
    line = torch.tensor(KERNEL) / sum(KERNEL)
    return gain * torch.outer(line, line).repeat(channels, 1, 1, 1)


class Down(nn.Module):
    """Half the resolution; H and W even. ``embedded`` is ignored. Final."""

    kernel: Tensor | None

    def __init__(self, channels: int, *, fir: bool):
        super().__init__()
        kernel = fir_kernel(channels) if fir else None
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x: Tensor, embedded: Tensor | None = None) -> Tensor:
        if self.kernel is None:
            return F.avg_pool2d(x, 2)
        return F.conv2d(x, self.kernel, stride=2, padding=1, groups=len(self.kernel))


class Up(nn.Module):
    """Twice the resolution. Final."""

    kernel: Tensor | None

    def __init__(self, channels: int, *, fir: bool):
        super().__init__()
        kernel = fir_kernel(channels, gain=4) if fir else None
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x: Tensor, embedded: Tensor | None = None) -> Tensor:
        if self.kernel is None:
            return F.interpolate(x, scale_factor=2)
        return F.conv_transpose2d(x, self.kernel, stride=2, padding=1, groups=len(self.kernel))


class DownConv(nn.Module):
    """A 3 x 3 convolution of stride 2, (B, C_in, H, W) -> (B, C, H/2, W/2); H, W even. Final."""

    kernel: Tensor | None

    def __init__(self, channels_in: int, channels: int, *, fir: bool):
        super().__init__()
        self.conv = glorot_(nn.Conv2d(channels_in, channels, 3, stride=2))
        self.register_buffer("kernel", fir_kernel(channels_in) if fir else None, persistent=False)

    def forward(self, x: Tensor, embedded: Tensor | None = None) -> Tensor:
        if self.kernel is None:
            return self.conv(F.pad(x, (0, 1, 0, 1)))
        return self.conv(F.conv2d(x, self.kernel, padding=2, groups=len(self.kernel)))


class UpConv(nn.Module):
    """A 3 x 3 convolution at twice the resolution, (B, C_in, H, W) -> (B, C, 2 H, 2 W). Final.

    With ``fir`` it convolves x with zeros between its samples, which is the transposed convolution
    with the kernel rotated by 180 degrees.
    """

    kernel: Tensor | None

    def __init__(self, channels_in: int, channels: int, *, fir: bool):
        super().__init__()
        self.conv = glorot_(nn.Conv2d(channels_in, channels, 3, padding=1))
        kernel = fir_kernel(channels, gain=4) if fir else None
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x: Tensor, embedded: Tensor | None = None) -> Tensor:
        if self.kernel is None:
            return self.conv(F.interpolate(x, scale_factor=2))
        turned = self.conv.weight.transpose(0, 1).flip(2, 3)
        x = F.conv_transpose2d(x, turned, stride=2)
        filtered = F.conv2d(x, self.kernel, padding=1, groups=len(self.kernel))
        assert self.conv.bias is not None  # a convolution has one unless told otherwise
        return filtered + self.conv.bias[:, None, None]
