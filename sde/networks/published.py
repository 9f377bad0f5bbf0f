"""The names of the parts of a score U-Net in the published code, ``all_modules.N...``.

The published code numbers its parts in the order in which they are made; ``in_published_order``
yields ours in that order. It stores linear maps over channels ("NIN") as (in, out), and queries,
keys and values apart. Every published tensor is a view of one of ours; reading, writing and
comparing shapes and gradients all use ``published_tensors``.
"""

from collections.abc import Callable, Iterator

from torch import Tensor, nn

from sde.networks.blocks import Attention, InputSkip, OutputSkip, ResidualBlock
from sde.networks.embedding import Fourier
from sde.networks.ncsnpp import NCSNpp
from sde.networks.resampling import Down, DownConv, Up, UpConv

Of = Callable[[Tensor], Tensor]

FROZEN = "all_modules.0.W"  # the frequencies of the Fourier embedding: saved, never trained
TABLE = "sigmas"  # the noise levels: a constant that the published code saves too
SHIFT = ".Dense_0."  # in the names of a block's shift, which is never used without a condition


def published_tensors(network: NCSNpp, of: Of = lambda tensor: tensor) -> dict[str, Tensor]:
    """Return the tensors of a network by their published names, in the published order.

    Each is a view, in the published shape, of ``of(ours)``; ours is a parameter or the fixed
    frequencies. An unconditional network has no frequencies here, but in the published code.
    """
    skipped = network.condition is None and network.embedding == "fourier"
    named = {}
    for number, part in enumerate(in_published_order(network), int(skipped)):
        for name, tensor in TENSORS[type(part)](part, of):
            named[f"all_modules.{number}.{name}"] = tensor
    return named


def in_published_order(network: NCSNpp) -> Iterator[nn.Module]:
    """Yield the parts that the published code numbers, in its order.

    Resampling between stages takes a number also where it has no weights.
    """
    yield from _numbered(network.condition)
    yield from _numbered(network.enter)
    for i, stage in enumerate(network.down):
        for block, attention in zip(stage.blocks, stage.attentions, strict=True):
            yield from _numbered(block)
            yield from _numbered(attention)
        yield from _numbered(stage.shrink)
        yield from _numbered(*network.input_pyramid[i : i + 1])
    yield from _numbered(network.middle)
    for i, stage in enumerate(network.up):
        yield from _numbered(*stage.blocks, stage.attention)
        yield from _numbered(*network.output_pyramid[i : i + 1])
        yield from _numbered(stage.grow)
    yield from _numbered(network.leave)


def _numbered(*parts: nn.Module | None) -> Iterator[nn.Module]:
    """Yield the modules that have a number in the published list, children included."""
    for part in parts:
        if part is None:
            continue
        if type(part) in TENSORS:
            yield part
        elif isinstance(part, OutputSkip):  # whose resampling has no number
            yield from _numbered(part.head)
        else:
            yield from _numbered(*part.children())


Named = Iterator[tuple[str, Tensor]]


def _layer(layer: nn.Linear | nn.Conv2d | nn.GroupNorm, of: Of, prefix: str = "") -> Named:
    yield f"{prefix}weight", of(layer.weight)
    assert layer.bias is not None  # every layer has one
    yield f"{prefix}bias", of(layer.bias)


def _projection(name: str, weight: Tensor, bias: Tensor) -> Named:
    """A linear map over channels, weight (out, in)."""
    yield f"{name}.W", weight.T
    yield f"{name}.b", bias


def _residual(block: ResidualBlock, of: Of) -> Named:
    yield from _layer(block.norm_in, of, "GroupNorm_0.")
    yield from _layer(block.first, of, "Conv_0.")
    if block.shift is not None:
        yield from _layer(block.shift, of, "Dense_0.")
    yield from _layer(block.norm, of, "GroupNorm_1.")
    yield from _layer(block.second, of, "Conv_1.")
    if block.shortcut is not None and block.kind == "biggan":
        yield from _layer(block.shortcut, of, "Conv_2.")
    elif block.shortcut is not None:
        weight = of(block.shortcut.weight)[:, :, 0, 0]
        assert block.shortcut.bias is not None  # every layer has one
        yield from _projection("NIN_0", weight, of(block.shortcut.bias))


def _attention(attention: Attention, of: Of) -> Named:
    yield from _layer(attention.norm, of, "GroupNorm_0.")
    layer = attention.query_key_value
    weights, biases = of(layer.weight).chunk(3), of(layer.bias).chunk(3)
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        yield from _projection(f"NIN_{i}", weight, bias)
    yield from _projection("NIN_3", of(attention.out.weight), of(attention.out.bias))


def _resampling(part: DownConv | UpConv, of: Of) -> Named:
    name = "Conv_0." if part.kernel is None else "Conv2d_0."
    yield from _layer(part.conv, of, name)


def _fourier(part: Fourier, of: Of) -> Named:
    yield "W", of(part.frequencies)


def _nothing(part: Down | Up, of: Of) -> Named:
    yield from ()


TENSORS: dict[type[nn.Module], Callable[..., Named]] = {
    nn.Linear: _layer,
    nn.Conv2d: _layer,
    nn.GroupNorm: _layer,
    Fourier: _fourier,
    ResidualBlock: _residual,
    Attention: _attention,
    Down: _nothing,
    Up: _nothing,
    DownConv: _resampling,
    UpConv: _resampling,
    InputSkip: lambda part, of: _layer(part.conv, of, "Conv_0."),
}
