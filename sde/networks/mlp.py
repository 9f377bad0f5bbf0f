"""Multilayer perceptron with a condition embedding, for vectors and small images."""

import math

import torch
from torch import Tensor, nn

from repro.errors import InputError
from sde.networks.label import add_label, label_embedding


class FourierFeatures(nn.Module):
    """c (B,) -> [cos(w c), sin(w c), c] (B, 2 F + 1) at frequencies w from 1 to ``highest``. Final.

    The frequencies are fixed and geometric, so that no random number has to be saved.
    """

    frequencies: Tensor

    def __init__(self, count: int = 16, highest: float = 64.0):
        super().__init__()
        frequencies = torch.exp(torch.linspace(0, math.log(highest), count))
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, condition: Tensor) -> Tensor:
        angle = condition[:, None] * self.frequencies.to(condition.dtype)
        return torch.cat([angle.cos(), angle.sin(), condition[:, None]], 1)


class MLP(nn.Module):
    """Residual perceptron: (x (B, *event), condition (B,), label) -> the shape of x. Final.

    The condition should be of order one: ``time`` or ``log_noise`` of ``sde.score``.

    Args:
        event_shape: any; events are flattened inside.
        hidden_dim: width.
        depth: residual blocks.
        features: frequencies of the condition's embedding.
        outputs: width of the last layer; None: that of the event.
        frequencies: cosines and sines of w x added for every coordinate x, with w = pi / 2 times
            powers of sqrt(2). Fine structure in the plane is then learnt about ten times sooner.
        classes, vector: of the label, see `sde.networks.label`; 0 and 0: there is none.

    Raises InputError for another event shape.
    """

    waves: Tensor

    def __init__(
        self,
        event_shape: tuple[int, ...] | int,
        *,
        hidden_dim: int = 128,
        depth: int = 3,
        features: int = 16,
        outputs: int | None = None,
        frequencies: int = 0,
        classes: int = 0,
        vector: int = 0,
    ):
        super().__init__()
        shape = (event_shape,) if isinstance(event_shape, int) else tuple(event_shape)
        self.event_shape, self.outputs = shape, outputs
        dims = math.prod(shape)
        self.embed = nn.Sequential(
            FourierFeatures(features), nn.Linear(2 * features + 1, hidden_dim)
        )
        self.enter = nn.Linear(dims * (2 * frequencies + 1), hidden_dim)
        waves = 0.5 * math.pi * 2 ** (torch.arange(frequencies) / 2)
        self.register_buffer("waves", waves, persistent=False)
        self.blocks = nn.ModuleList(_Block(hidden_dim) for _ in range(depth))
        self.leave = nn.Linear(hidden_dim, outputs or dims)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        self.label = label_embedding(classes, vector, hidden_dim)

    def forward(self, x: Tensor, condition: Tensor, label: Tensor | None = None) -> Tensor:
        if tuple(x.shape[1:]) != self.event_shape:
            raise InputError(
                f"the network is for events {self.event_shape}; got x of shape {tuple(x.shape)}"
            )
        embedded = add_label(self.embed(condition.to(x.dtype)), self.label, label)
        x_flat = x.flatten(1)
        angle = (x_flat[:, :, None] * self.waves.to(x.dtype)).flatten(1)
        h = self.enter(torch.cat([x_flat, angle.cos(), angle.sin()], 1))
        for block in self.blocks:
            h = block(h, embedded)
        out = self.leave(nn.functional.silu(h))
        return out if self.outputs else out.reshape(x.shape)


class _Block(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.norm, self.shift = nn.LayerNorm(dim), nn.Linear(dim, dim)
        self.first, self.second = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, h: Tensor, embedded: Tensor) -> Tensor:
        silu = nn.functional.silu
        inner = self.first(silu(self.norm(h))) + self.shift(silu(embedded))
        return h + self.second(silu(inner))
