"""Slow, obvious references of what the score U-Nets are made of, and how a published configuration
reads as arguments of ours."""

import math

import torch
from torch import Tensor, nn

from sde.networks import DDPM, NCSNpp
from sde.networks.blocks import Attention
from sde.networks.resampling import Down, DownConv, Up, UpConv


def network_of(config: dict) -> NCSNpp:
    """The network of a published configuration (its sections ``model`` and ``data``)."""
    model, data = config["model"], config["data"]
    how = dict(
        channels=model["nf"],
        multipliers=model["ch_mult"],
        blocks=model["num_res_blocks"],
        attention=model["attn_resolutions"],
        dropout=model["dropout"],
        conditional=model["conditional"],
        resample_with_conv=model["resamp_with_conv"],
        activation=model["nonlinearity"],
        scale_by_sigma=model["scale_by_sigma"],
        centred=data["centered"],
    )
    shape = (data.get("num_channels", 3), data["image_size"], data["image_size"])
    fourier = model["name"] == "ncsnpp" and model["embedding_type"] == "fourier"
    if model["scale_by_sigma"] and not fourier:
        ends = math.log(model["sigma_max"]), math.log(model["sigma_min"])
        how["sigmas"] = torch.linspace(*ends, model["num_scales"], dtype=torch.float64).exp()
    if model["name"] == "ddpm":
        return DDPM(shape, **how)
    return NCSNpp(
        shape,
        embedding=model["embedding_type"],
        fourier_scale=model.get("fourier_scale", 16),
        block=model["resblock_type"],
        fir=model["fir"],
        progressive_input=model["progressive_input"],
        progressive_output=model["progressive"],
        combine=model["progressive_combine"],
        rescale_skips=model["skip_rescale"],
        **how,
    )


def upfirdn(x: Tensor, *, up: int, down: int, pad: tuple[int, int], gain: float) -> Tensor:
    """Insert zeros, pad, filter by [1, 3, 3, 1] / 8 along both axes, keep every ``down``-th sample:
    one channel at a time, x (B, C, H, W)."""
    line = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype, device=x.device) / 8
    kernel = gain * (line[:, None] * line[None, :])[None, None]
    channels = []
    for channel in x.unbind(1):
        wide = channel.new_zeros(len(x), channel.shape[1] * up, channel.shape[2] * up)
        wide[:, ::up, ::up] = channel
        wide = nn.functional.pad(wide, (*pad, *pad))
        channels.append(nn.functional.conv2d(wide[:, None], kernel)[:, 0, ::down, ::down])
    return torch.stack(channels, 1)


class SlowDown(nn.Module):
    """``Down`` with fir: filtered at the full rate, then every other sample."""

    def forward(self, x: Tensor, embedded=None) -> Tensor:
        return upfirdn(x, up=1, down=2, pad=(1, 1), gain=1)


class SlowUp(nn.Module):
    """``Up`` with fir, by inserted zeros."""

    def forward(self, x: Tensor, embedded=None) -> Tensor:
        return upfirdn(x, up=2, down=1, pad=(2, 1), gain=4)


class SlowDownConv(nn.Module):
    """``DownConv`` with fir: the filter, then a convolution of stride 2."""

    def __init__(self, fast: DownConv):
        super().__init__()
        self.conv = fast.conv

    def forward(self, x: Tensor, embedded=None) -> Tensor:
        x = upfirdn(x, up=1, down=1, pad=(2, 2), gain=1)
        return (
            nn.functional.conv2d(x, self.conv.weight)[:, :, ::2, ::2]
            + self.conv.bias[:, None, None]
        )


class SlowUpConv(nn.Module):
    """``UpConv`` with fir: zeros between the samples and around them, convolution, filter."""

    def __init__(self, fast: UpConv):
        super().__init__()
        self.conv = fast.conv

    def forward(self, x: Tensor, embedded=None) -> Tensor:
        wide = x.new_zeros(*x.shape[:2], 2 * x.shape[2] - 1, 2 * x.shape[3] - 1)
        wide[..., ::2, ::2] = x
        wide = nn.functional.conv2d(nn.functional.pad(wide, (2, 2, 2, 2)), self.conv.weight)
        filtered = upfirdn(wide, up=1, down=1, pad=(1, 1), gain=4)
        return filtered + self.conv.bias[:, None, None]


class SlowAttention(nn.Module):
    """``Attention`` with every weight of every pair of pixels in memory, and three projections."""

    def __init__(self, fast: Attention):
        super().__init__()
        self.fast = fast

    def forward(self, x: Tensor) -> Tensor:
        h, layer = self.fast.norm(x), self.fast.query_key_value
        parts = zip(layer.weight.chunk(3), layer.bias.chunk(3), strict=True)
        q, k, v = (
            torch.einsum("bchw,dc->bdhw", h, weight) + bias[:, None, None] for weight, bias in parts
        )
        scores = torch.einsum("bchw,bcij->bhwij", q, k) / math.sqrt(x.shape[1])
        weights = scores.flatten(3).softmax(3).reshape(scores.shape)
        h = torch.einsum("bhwij,bcij->bchw", weights, v)
        h = torch.einsum("bchw,dc->bdhw", h, self.fast.out.weight)
        return (x + h + self.fast.out.bias[:, None, None]) * self.fast.factor


SLOW = {
    Down: lambda fast: SlowDown(),
    Up: lambda fast: SlowUp(),
    DownConv: SlowDownConv,
    UpConv: SlowUpConv,
    Attention: SlowAttention,
}


def slow(network: nn.Module) -> nn.Module:
    """``network`` with its filters and attention replaced, in place, by those above; weights are
    shared with what they replace. Resampling without fir is left as it is."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            fir = getattr(child, "kernel", True) is not None
            if type(child) in SLOW and fir and not isinstance(parent, SlowAttention):
                setattr(parent, name, SLOW[type(child)](child))
    return network
