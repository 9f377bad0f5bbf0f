"""NCSNv2 (Song and Ermon 2020, arXiv:2006.09011): a RefineNet whose output is divided by sigma.

    score(x, sigma) = network(x) / sigma        the network is not told sigma (technique 3)

On the way down stages of two residual blocks halve the resolution once or more, and then widen
their view by dilated convolutions instead. On the way up a refinement joins each stage with the
refinement of the stage below it (Lin et al. 2017, arXiv:1611.06612). Nonlinearities are ELU. The
normalisation, InstanceNorm++, keeps the means mu_c over the pixels, which instance normalisation
removes, relative to the other channels (Song and Ermon 2019, arXiv:1907.05600, appendix A):

    gamma_c ((x_c - mu_c) / std_c + alpha_c (mu_c - mean mu) / std mu) + beta_c

``std mu`` is the unbiased one. Names and shapes of published weights: ``published_tensors``.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, interpolate, max_pool2d

from repro.errors import InputError
from sde.broadcast import per_sample

EPS = 1e-5
# (published number, width in multiples, whether it is a downward stage, dilation) of each stage
Stages = tuple[tuple[str, int, bool, int], ...]
SMALL: Stages = (("1", 1, False, 1), ("2", 2, True, 1), ("3", 2, True, 2), ("4", 2, True, 4))
MEDIUM: Stages = (*SMALL[:2], ("3", 2, True, 1), ("4", 4, True, 2), ("5", 4, True, 4))
LARGE: Stages = (*MEDIUM[:3], ("31", 2, True, 1), *MEDIUM[3:])
LARGEST = 256  # pixels


class NCSNv2(nn.Module):
    """(x (B, C, H, W), sigma (B,)) -> the score, of the shape of x. Final.

    Below 96 pixels it has four stages, up to 128 five, up to 256 six, as published.

    Args:
        event_shape: (C, H, W).
        hidden_dim: channels of the first stage.
        centred: x lies in about [-1, 1]; otherwise in about [0, 1], and is scaled.

    Raises InputError for another event shape, for more pixels, and for a side that cannot be halved
    often enough.
    """

    # lists of modules, whose elements are of one class each
    stages: Any  # of two Residual
    refine: Any  # Refine

    def __init__(
        self, event_shape: tuple[int, int, int], *, hidden_dim: int = 128, centred: bool = True
    ):
        super().__init__()
        self.event_shape, self.centred = tuple(event_shape), centred
        self.plan = _plan(self.event_shape)
        image, widths = self.event_shape[0], [hidden_dim * stage[1] for stage in self.plan]
        self.enter = nn.Conv2d(image, hidden_dim, 3, padding=1)
        self.stages, self.refine = nn.ModuleList(), nn.ModuleList()
        for i, (_, _, down, dilation) in enumerate(self.plan):
            first = Residual(widths[max(0, i - 1)], widths[i], down, dilation)
            self.stages.append(
                nn.Sequential(first, Residual(widths[i], widths[i], False, dilation))
            )
        for i in reversed(range(len(widths))):  # from the lowest resolution up
            deepest = i == len(widths) - 1
            out = widths[i] if deepest else widths[max(0, i - 1)]
            self.refine.append(Refine([widths[i]] * (2 - deepest), out, last=i == 0))
        self.norm = InstanceNormPlus(hidden_dim)
        self.leave = nn.Conv2d(hidden_dim, image, 3, padding=1)

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.event_shape:
            raise InputError(
                f"the network is for events {self.event_shape}; got x of shape {tuple(x.shape)}"
            )
        h, kept = self.enter(x if self.centred else 2 * x - 1), []
        for stage in self.stages:
            h = stage(h)
            kept.append(h)
        refined: list[Tensor] = []
        for refine in self.refine:
            refined = [refine([kept.pop(), *refined])]
        return self.leave(elu(self.norm(refined[0]))) / per_sample(sigma, x)

    def published_tensors(self) -> dict[str, Tensor]:
        """The parameters by their names in the published code (ncsnv2), each with its shape."""
        return dict(_published(self))


class InstanceNormPlus(nn.Module):
    """InstanceNorm++ of (B, C, H, W). Final."""

    def __init__(self, channels: int):
        super().__init__()
        self.alpha = nn.Parameter(1 + 0.02 * torch.randn(channels))
        self.gamma = nn.Parameter(1 + 0.02 * torch.randn(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
        over, middle = torch.var_mean(mean, 1, keepdim=True)
        alpha, gamma, beta = (each[:, None, None] for each in (self.alpha, self.gamma, self.beta))
        kept = alpha * (mean - middle) * (over + EPS).rsqrt()
        return gamma * ((x - mean) * (variance + EPS).rsqrt() + kept) + beta


class PooledConv(nn.Module):
    """A convolution, and the mean of each 2 x 2 of its outputs. Final."""

    def __init__(self, channels_in: int, channels: int, size: int):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, size, padding=size // 2)

    def forward(self, h: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(self.conv(h), 2)


class Residual(nn.Module):
    """Normalise, ELU, convolve, twice, beside a shortcut. Final.

    A downward block halves the resolution or, where it is dilated, keeps it.
    """

    def __init__(self, channels_in: int, channels: int, down: bool, dilation: int):
        super().__init__()
        inner, pooled = channels_in if down else channels, down and dilation == 1
        self.norm_in, self.norm = InstanceNormPlus(channels_in), InstanceNormPlus(inner)
        self.first = _conv(channels_in, inner, dilation)
        self.second = PooledConv(inner, channels, 3) if pooled else _conv(inner, channels, dilation)
        self.shortcut = None
        if down:
            wide = (channels_in, channels)
            self.shortcut = PooledConv(*wide, 1) if pooled else _conv(*wide, dilation)

    def forward(self, h: Tensor) -> Tensor:
        inner = self.second(elu(self.norm(self.first(elu(self.norm_in(h))))))
        return inner + (h if self.shortcut is None else self.shortcut(h))


class Refine(nn.Module):
    """Join feature maps at the resolution of the first, and pool them over wider windows. Final."""

    adapt: Any  # _units of each map
    join: Any
    pooled: Any

    def __init__(self, channels_in: list[int], channels: int, last: bool):
        super().__init__()
        self.adapt = nn.ModuleList(_units(width, 2) for width in channels_in)
        joined = channels_in if len(channels_in) > 1 else []
        self.join = nn.ModuleList(_conv(width, channels, 1) for width in joined)
        self.pooled = nn.ModuleList(_conv(channels, channels, 1, bias=False) for _ in range(2))
        self.units = _units(channels, 3 if last else 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        maps = [_run(units, h) for units, h in zip(self.adapt, maps, strict=True)]
        if self.join:
            maps = [conv(h) for conv, h in zip(self.join, maps, strict=True)]
        h, *others = maps
        for other in others:
            h = h + interpolate(other, h.shape[2:], mode="bilinear", align_corners=True)
        h = path = elu(h)
        for conv in self.pooled:
            path = conv(max_pool2d(path, 5, stride=1, padding=2))
            h = h + path
        return _run(self.units, h)


def _units(channels: int, count: int) -> nn.ModuleList:
    """Residual units of two convolutions each."""
    return nn.ModuleList(
        nn.ModuleList(_conv(channels, channels, 1, bias=False) for _ in range(2))
        for _ in range(count)
    )


def _run(units, h: Tensor) -> Tensor:
    for first, second in units:
        h = h + second(elu(first(elu(h))))
    return h


def _conv(channels_in: int, channels: int, dilation: int, bias: bool = True) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the resolution."""
    return nn.Conv2d(channels_in, channels, 3, padding=dilation, dilation=dilation, bias=bias)


def _plan(shape: tuple[int, ...]) -> Stages:
    side = max(shape[1:], default=0)
    plan = SMALL if side < 96 else MEDIUM if side <= 128 else LARGE
    halved = 2 ** sum(down and dilation == 1 for _, _, down, dilation in plan)
    if len(shape) != 3 or side > LARGEST or any(each % halved for each in shape[1:]):
        raise InputError(
            f"ncsnv2 needs events (C, H, W) with H and W multiples of {halved}, at most {LARGEST}; "
            f"got {shape}"
        )
    return plan


Named = Iterator[tuple[str, Tensor]]


def _published(network: NCSNv2) -> Named:
    yield from _named("begin_conv", network.enter)
    yield from _named("normalizer", network.norm)
    yield from _named("end_conv", network.leave)
    for (number, *_), stage in zip(network.plan, network.stages, strict=True):
        for i, block in enumerate(stage):
            parts = dict(normalize1=block.norm_in, conv1=block.first, normalize2=block.norm)
            parts |= dict(conv2=block.second, shortcut=block.shortcut)
            for name, part in parts.items():
                yield from _named(f"res{number}.{i}.{name}", part)
    numbers = _refine_numbers(network.plan)
    for number, refine in zip(numbers, network.refine, strict=True):
        prefix = f"refine{number}"
        for i, units in enumerate(refine.adapt):
            yield from _named_units(f"{prefix}.adapt_convs.{i}", units)
        yield from _named_units(f"{prefix}.output_convs", refine.units)
        for i, conv in enumerate(refine.join):
            yield from _named(f"{prefix}.msf.convs.{i}", conv)
        for i, conv in enumerate(refine.pooled):
            yield from _named(f"{prefix}.crp.convs.{i}", conv)


def _refine_numbers(plan: Stages) -> list[str]:
    """1, 2, ... from the lowest resolution; that of stage 31 is 31, and is not counted."""
    counted = iter(range(1, len(plan) + 1))
    return [number if number == "31" else str(next(counted)) for number, *_ in reversed(plan)]


def _named(prefix: str, part: nn.Module | None) -> Named:
    for name, tensor in part.named_parameters() if part is not None else ():
        yield f"{prefix}.{name}", tensor


def _named_units(prefix: str, units) -> Named:
    for i, unit in enumerate(units, 1):
        for j, conv in enumerate(unit, 1):
            yield f"{prefix}.{i}_{j}_conv.weight", conv.weight
