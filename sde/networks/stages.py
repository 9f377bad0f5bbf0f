"""The stages of a U-Net, and the style that all parts of one network share."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from repro.errors import InputError
from sde.networks.blocks import (
    SILENT,
    Attention,
    InputResidual,
    InputSkip,
    OutputResidual,
    OutputSkip,
    ResidualBlock,
    head,
)
from sde.networks.resampling import Down, DownConv, Up, UpConv

ACTIVATIONS = {
    "swish": nn.SiLU,
    "elu": nn.ELU,
    "relu": nn.ReLU,
    "lrelu": lambda: nn.LeakyReLU(0.2),
}
CHOICES = {
    "block": ("biggan", "ddpm"),
    "progressive_input": ("none", "input_skip", "residual"),
    "progressive_output": ("none", "output_skip", "residual"),
    "combine": ("sum", "cat"),
    "activation": tuple(ACTIVATIONS),
}


@dataclass(frozen=True)
class Style:
    """The settings that all parts of one network share, and factories of the parts.

    The fields are the keywords of ``NCSNpp``. Raises InputError for an unknown choice.
    """

    embedded_dim: int | None
    dropout: float
    block: str
    fir: bool
    resample_with_conv: bool
    progressive_input: str
    progressive_output: str
    combine: str
    rescale_skips: bool
    activation: str
    groups: int | None

    def __post_init__(self):
        for name, values in CHOICES.items():
            if (given := getattr(self, name)) not in values:
                raise InputError(f"{name}: expected one of {', '.join(values)}; got {given!r}")

    def residual(self, channels_in: int, channels: int, resample=None) -> ResidualBlock:
        """Return a residual block."""
        return ResidualBlock(
            channels_in,
            channels,
            kind=self.block,
            embedded_dim=self.embedded_dim,
            activation=self.act,
            dropout=self.dropout,
            rescale=self.rescale_skips,
            groups=self.groups,
            resample=resample,
        )

    @property
    def act(self) -> nn.Module:
        """A new module of the activation."""
        return ACTIVATIONS[self.activation]()

    def attention(self, channels: int) -> Attention:
        """Return attention over all pixels."""
        return Attention(channels, rescale=self.rescale_skips, groups=self.groups)

    def head(self, channels_in: int, channels: int, gain: float = SILENT) -> nn.Module:
        """Return a head from features to an image."""
        return head(channels_in, channels, activation=self.act, groups=self.groups, gain=gain)

    def shrink(self, channels: int) -> nn.Module:
        """Return a module (h, embedded) -> h at half the resolution."""
        return self._resample(channels, Down, DownConv)

    def grow(self, channels: int) -> nn.Module:
        """Return a module (h, embedded) -> h at twice the resolution."""
        return self._resample(channels, Up, UpConv)

    def _resample(self, channels: int, plain: type, learned: type) -> nn.Module:
        if self.block == "biggan":
            return self.residual(channels, channels, partial(plain, fir=self.fir))
        if self.resample_with_conv:
            return learned(channels, channels, fir=self.fir)
        return plain(channels, fir=self.fir)

    def input_step(self, channels_in: int, channels: int) -> nn.Module:
        """Return a step down the input pyramid, ``InputSkip`` or ``InputResidual``."""
        if self.progressive_input == "input_skip":
            return InputSkip(channels_in, channels, fir=self.fir, combine=self.combine)
        return InputResidual(channels_in, channels, fir=self.fir, rescale=self.rescale_skips)

    def output_step(self, channels_in: int, channels: int, image_channels: int) -> nn.Module:
        """Return a step up the output pyramid; ``channels_in`` is 0 for the first."""
        if self.progressive_output == "output_skip":
            up = Up(image_channels, fir=self.fir) if channels_in else None
            return OutputSkip(self.head(channels, image_channels), up)
        if not channels_in:
            return OutputSkip(self.head(channels, channels, gain=1.0), None)
        return OutputResidual(channels_in, channels, fir=self.fir, rescale=self.rescale_skips)


class DownStage(nn.Module):
    """Residual blocks at one resolution, each with attention if ``attends``; then, unless it is
    the ``last`` stage, ``shrink``. Final."""

    def __init__(
        self, style: Style, channels_in: int, channels: int, blocks: int, attends: bool, last: bool
    ):
        super().__init__()
        widths = [channels_in] + [channels] * (blocks - 1)
        self.blocks = nn.ModuleList(style.residual(width, channels) for width in widths)
        self.attentions = nn.ModuleList(
            style.attention(channels) if attends else nn.Identity() for _ in widths
        )
        self.shrink = None if last else style.shrink(channels)

    def forward(self, h: Tensor, embedded: Tensor | None) -> list[Tensor]:
        """Return the features after each block; the last are the output of the stage."""
        features = []
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            h = attention(block(h, embedded))
            features.append(h)
        return features


class Middle(nn.Module):
    """Block, attention, block, at the lowest resolution. Final."""

    def __init__(self, style: Style, channels: int):
        super().__init__()
        self.first = style.residual(channels, channels)
        self.attention = style.attention(channels)
        self.second = style.residual(channels, channels)

    def forward(self, h: Tensor, embedded: Tensor | None) -> Tensor:
        return self.second(self.attention(self.first(h, embedded)), embedded)


class UpStage(nn.Module):
    """Residual blocks on the way up; then attention if ``attends``; then, unless it is the ``last``
    stage, ``grow``. Each block takes a feature map of the way down, of ``joined`` channels, beside
    its own input. Final."""

    def __init__(
        self,
        style: Style,
        channels_in: int,
        channels: int,
        joined: Sequence[int],
        attends: bool,
        last: bool,
    ):
        super().__init__()
        widths = [channels_in] + [channels] * (len(joined) - 1)
        self.blocks = nn.ModuleList(
            style.residual(width + more, channels)
            for width, more in zip(widths, joined, strict=True)
        )
        self.attention = style.attention(channels) if attends else nn.Identity()
        self.grow = None if last else style.grow(channels)

    def forward(self, h: Tensor, kept: list[Tensor], embedded: Tensor | None) -> Tensor:
        """Return the output of the stage; feature maps are taken from the end of ``kept``."""
        for block in self.blocks:
            h = block(torch.cat([h, kept.pop()], 1), embedded)
        return self.attention(h)
