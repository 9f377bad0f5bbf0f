"""The parts of a score U-Net: residual block, attention, input and output pyramids.

    residual    (shortcut(x) + conv(act(norm(conv(R act(norm(x))) + shift)))) / r
    attention   (x + out(softmax(q k^T / sqrt C) v)) / r, one head over all pixels
    input skip  the resampled image is joined to the features at each resolution
    output skip the output image is a sum over resolutions

R resamples (BigGAN, Brock et al. 2019, arXiv:1809.11096) or does nothing (DDPM, arXiv:2006.11239);
``shift`` is linear in the embedded condition. r is sqrt 2 where skips are rescaled, else 1. (Song
et al. 2021, arXiv:2011.13456, appendix H.)

Weights are initialised as Glorot's, of variance 2 gain / (fan in + fan out), and biases as zero.
The gain ``SILENT`` makes a branch start near zero, so that a new network is near the identity.
"""

import math
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from repro.errors import InputError
from sde.networks.resampling import Down, DownConv, UpConv, glorot_

Activation = Callable[[Tensor], Tensor]
SILENT = 1e-10
NARROW = 0.1  # of the projections in attention and in the shortcuts of DDPM


def conv3x3(channels_in: int, channels: int, gain: float = 1.0) -> nn.Conv2d:
    """Return a 3 x 3 convolution that keeps the resolution."""
    return glorot_(nn.Conv2d(channels_in, channels, 3, padding=1), gain)


def group_norm(channels: int, groups: int | None) -> nn.GroupNorm:
    """Return a group norm; None groups: as many as divide, at most 32, of four channels or more.

    Raises InputError where ``groups`` does not divide the channels.
    """
    if groups is None:
        groups = min(channels // 4, 32) or 1
        groups = next(n for n in range(groups, 0, -1) if channels % n == 0)
    if channels % groups:
        raise InputError(f"{groups} groups cannot share {channels} channels evenly")
    return nn.GroupNorm(groups, channels, eps=1e-6)


class ResidualBlock(nn.Module):
    """(x (B, C_in, H, W), embedded (B, E) or None) -> (B, C, H', W'). Final.

    Args:
        kind: "biggan" or "ddpm".
        rescale: divide the sum of both branches by sqrt 2.
        resample: None, or a function from a number of channels to the module R.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        *,
        kind: str,
        embedded_dim: int | None,
        activation: Activation,
        dropout: float,
        rescale: bool,
        groups: int | None,
        resample: Callable[[int], nn.Module] | None = None,
    ):
        super().__init__()
        self.kind, self.activation, self.factor = kind, activation, _factor(rescale)
        self.norm_in = group_norm(channels_in, groups)
        self.resample = resample(channels_in) if resample else None
        self.first = conv3x3(channels_in, channels)
        self.shift = glorot_(nn.Linear(embedded_dim, channels)) if embedded_dim else None
        self.norm = group_norm(channels, groups)
        self.dropout = nn.Dropout(dropout)
        self.second = conv3x3(channels, channels, SILENT)
        self.shortcut = None
        if channels_in != channels or resample:
            gain = NARROW if kind == "ddpm" else 1.0
            self.shortcut = glorot_(nn.Conv2d(channels_in, channels, 1), gain)

    def forward(self, x: Tensor, embedded: Tensor | None) -> Tensor:
        h = self.activation(self.norm_in(x))
        if self.resample is not None:
            h, x = self.resample(h), self.resample(x)
        h = self.first(h)
        if self.shift is not None:
            h = h + self.shift(embedded)[:, :, None, None]
        h = self.second(self.dropout(self.activation(self.norm(h))))
        if self.shortcut is not None:
            x = self.shortcut(x)
        return _join(x, h, self.factor)


class Attention(nn.Module):
    """Self-attention over all pixels: (B, C, H, W) -> the same shape. Final."""

    def __init__(self, channels: int, *, rescale: bool, groups: int | None):
        super().__init__()
        self.factor = _factor(rescale)
        self.norm = group_norm(channels, groups)
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.out = glorot_(nn.Linear(channels, channels), SILENT)
        for part in self.query_key_value.weight.chunk(3):
            nn.init.xavier_uniform_(part, math.sqrt(NARROW))
        nn.init.zeros_(self.query_key_value.bias)

    def forward(self, x: Tensor) -> Tensor:
        pixels = self.norm(x).flatten(2).transpose(1, 2)  # (B, H W, C)
        parts = self.query_key_value(pixels).unsqueeze(1).chunk(3, dim=-1)
        h = self.out(F.scaled_dot_product_attention(*parts).squeeze(1))
        return _join(x, h.transpose(1, 2).unflatten(2, x.shape[2:]), self.factor)


class InputSkip(nn.Module):
    """(image at 2 H, h at H) -> (image at H, h joined with it by "sum" or "cat"). Final.

    ``channels_out`` holds the numbers of channels of the two outputs.
    """

    def __init__(self, image_channels: int, channels: int, *, fir: bool, combine: str):
        super().__init__()
        self.combine, self.down = combine, Down(image_channels, fir=fir)
        self.conv = glorot_(nn.Conv2d(image_channels, channels, 1))
        self.channels_out = image_channels, channels if combine == "sum" else 2 * channels

    def forward(self, pyramid: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        pyramid = self.down(pyramid)
        seen = self.conv(pyramid)
        return pyramid, h + seen if self.combine == "sum" else torch.cat([seen, h], 1)


class InputResidual(nn.Module):
    """(pyramid at 2 H, h at H) -> their sum at H, as pyramid and as features. Final."""

    def __init__(self, channels_in: int, channels: int, *, fir: bool, rescale: bool):
        super().__init__()
        self.factor, self.channels_out = _factor(rescale), (channels, channels)
        self.down = DownConv(channels_in, channels, fir=fir)

    def forward(self, pyramid: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = _join(self.down(pyramid), h, self.factor)
        return h, h


def head(
    channels_in: int,
    channels: int,
    *,
    activation: nn.Module,
    groups: int | None,
    gain: float = SILENT,
) -> nn.Sequential:
    """Return conv(act(norm(h))), (B, C_in, H, W) -> (B, C, H, W)."""
    parts = {
        "norm": group_norm(channels_in, groups),
        "activation": activation,
        "conv": conv3x3(channels_in, channels, gain),
    }
    return nn.Sequential(OrderedDict(parts))


class OutputSkip(nn.Module):
    """(image at H / 2, h at H) -> (image at H with the part of this resolution, h). Final.

    At the lowest resolution, without ``up``: (None, h) -> (head(h), h).
    """

    def __init__(self, head: nn.Module, up: nn.Module | None):
        super().__init__()
        self.head, self.up = head, up

    def forward(self, pyramid: Tensor | None, h: Tensor) -> tuple[Tensor, Tensor]:
        image = self.head(h)
        return (image if self.up is None else self.up(pyramid) + image), h


class OutputResidual(nn.Module):
    """(pyramid at H / 2, h at H) -> their sum at H, as pyramid and as features. Final."""

    def __init__(self, channels_in: int, channels: int, *, fir: bool, rescale: bool):
        super().__init__()
        self.factor = _factor(rescale)
        self.up = UpConv(channels_in, channels, fir=fir)

    def forward(self, pyramid: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = _join(self.up(pyramid), h, self.factor)
        return h, h


def _factor(rescale: bool) -> float:
    return math.sqrt(0.5) if rescale else 1.0


def _join(x: Tensor, h: Tensor, factor: float) -> Tensor:
    joined = x + h
    return joined if factor == 1 else joined.mul_(factor)  # in place: a sum is not kept
