"""A small U-Net for images of a few pixels: two resolutions, residual blocks, no attention.

    x -> blocks at H x W -> mean of 2 x 2 -> blocks -> nearest upsampling, joined -> blocks -> out

The condition shifts the channels of every block. NCSN++ and DDPM++ are larger networks of this
kind; images of 8 x 8 pixels do not need them.
"""

import torch
from torch import Tensor, nn

from repro.errors import InputError
from sde.networks.label import add_label, label_embedding
from sde.networks.mlp import FourierFeatures

GROUPS = 8


class SmallConv(nn.Module):
    """(x (B, C, H, W), condition (B,), label) -> the shape of x. Final.

    H and W even. The condition should be of order one. ``classes`` and ``vector`` are of the label
    (`sde.networks.label`). Raises InputError for another event shape
    than ``event_shape`` (C, H, W), or widths that are not a multiple of 8.
    """

    def __init__(
        self,
        event_shape: tuple[int, int, int],
        *,
        hidden_dim: int = 32,
        depth: int = 2,
        features: int = 16,
        classes: int = 0,
        vector: int = 0,
    ):
        super().__init__()
        shape = tuple(event_shape)
        if len(shape) != 3 or shape[1] % 2 or shape[2] % 2 or hidden_dim % GROUPS:
            raise InputError(
                f"small_conv needs events (C, H, W) with H and W even and a width that is a "
                f"multiple of {GROUPS}; got {shape} and width {hidden_dim}"
            )
        self.event_shape, wide = shape, 2 * hidden_dim
        self.embed = nn.Sequential(
            FourierFeatures(features), nn.Linear(2 * features + 1, wide), nn.SiLU()
        )
        self.enter = nn.Conv2d(shape[0], hidden_dim, 3, padding=1)
        self.down = _blocks(hidden_dim, hidden_dim, wide, depth)
        self.middle = _blocks(hidden_dim, wide, wide, depth)
        self.up = _blocks(wide + hidden_dim, hidden_dim, wide, depth)
        self.norm = nn.GroupNorm(GROUPS, hidden_dim)
        self.leave = nn.Conv2d(hidden_dim, shape[0], 3, padding=1)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)
        self.label = label_embedding(classes, vector, wide)

    def forward(self, x: Tensor, condition: Tensor, label: Tensor | None = None) -> Tensor:
        if tuple(x.shape[1:]) != self.event_shape:
            raise InputError(
                f"the network is for events {self.event_shape}; got x of shape {tuple(x.shape)}"
            )
        *enter, activation = self.embed
        waves = nn.Sequential(*enter)(condition.to(x.dtype))
        embedded = activation(add_label(waves, self.label, label))
        fine = self.enter(x)
        for block in self.down:
            fine = block(fine, embedded)
        coarse = nn.functional.avg_pool2d(fine, 2)
        for block in self.middle:
            coarse = block(coarse, embedded)
        h = torch.cat([nn.functional.interpolate(coarse, scale_factor=2), fine], 1)
        for block in self.up:
            h = block(h, embedded)
        return self.leave(nn.functional.silu(self.norm(h)))


def _blocks(channels_in: int, channels: int, embedded_dim: int, depth: int) -> nn.ModuleList:
    widths = [channels_in] + [channels] * (depth - 1)
    return nn.ModuleList(_Block(width, channels, embedded_dim) for width in widths)


class _Block(nn.Module):
    def __init__(self, channels_in: int, channels: int, embedded_dim: int):
        super().__init__()
        self.norm_in = nn.GroupNorm(GROUPS, channels_in)
        self.first = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.shift = nn.Linear(embedded_dim, channels)
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        same = channels_in == channels
        self.skip = nn.Identity() if same else nn.Conv2d(channels_in, channels, 1)

    def forward(self, h: Tensor, embedded: Tensor) -> Tensor:
        silu = nn.functional.silu
        inner = self.first(silu(self.norm_in(h))) + self.shift(embedded)[:, :, None, None]
        return self.skip(h) + self.second(silu(self.norm(inner)))
