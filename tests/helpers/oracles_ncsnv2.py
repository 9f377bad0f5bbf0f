"""NCSNv2 by plain sums from weights under their published names, slow and in any precision.

Written from arXiv:2006.09011, appendix A, and from the names and shapes of the published weights;
it shares no code with `sde.networks.ncsnv2`. Every layer is spelt out: a convolution is a sum over
its nine taps, a maximum one over shifted copies, bilinear resampling a product of two matrices.
"""

import torch
from torch import Tensor

EPS = 1e-5
# (number of the stage, whether its first block goes down, dilation), by the number of stages
STAGES = {
    4: [("1", False, 1), ("2", True, 1), ("3", True, 2), ("4", True, 4)],
    5: [("1", False, 1), ("2", True, 1), ("3", True, 1), ("4", True, 2), ("5", True, 4)],
    6: [("1", False, 1), ("2", True, 1), ("3", True, 1), ("31", True, 1), ("4", True, 2),
        ("5", True, 4)],
}  # fmt: skip
REFINE = {4: ["1", "2", "3", "4"], 5: ["1", "2", "3", "4", "5"], 6: ["1", "2", "31", "3", "4", "5"]}


def score(weights: dict[str, Tensor], x: Tensor, sigma: Tensor) -> Tensor:
    """The score of x (B, C, H, W) in [0, 1] at noise sigma (B,)."""
    count = len({name.split(".")[0] for name in weights if name.startswith("res")})
    h, kept = convolve(weights, "begin_conv", 2 * x - 1), []
    for number, down, dilation in STAGES[count]:
        for block in range(2):
            h = residual(weights, f"res{number}.{block}.", h, down and block == 0, dilation)
        kept.append(h)
    h = None
    for number, fine in zip(REFINE[count], reversed(kept), strict=True):
        h = refine(weights, f"refine{number}.", [fine] if h is None else [fine, h])
    h = convolve(weights, "end_conv", elu(normalise(weights, "normalizer", h)))
    return h / sigma[:, None, None, None]


def residual(weights, prefix, x, down, dilation) -> Tensor:
    pooled = down and dilation == 1
    h = convolve(
        weights, prefix + "conv1", elu(normalise(weights, prefix + "normalize1", x)), dilation
    )
    h = elu(normalise(weights, prefix + "normalize2", h))
    h = convolve(weights, prefix + ("conv2.conv" if pooled else "conv2"), h, dilation)
    if not down:
        return x + h
    if not pooled:
        return convolve(weights, prefix + "shortcut", x, dilation) + h
    return quarters(convolve(weights, prefix + "shortcut.conv", x)) + quarters(h)


def refine(weights, prefix, maps) -> Tensor:
    maps = [units(weights, f"{prefix}adapt_convs.{i}.", h) for i, h in enumerate(maps)]
    h = maps[0]
    if len(maps) == 2:
        fine, coarse = (convolve(weights, f"{prefix}msf.convs.{i}", h) for i, h in enumerate(maps))
        h = fine + resample(coarse, fine.shape[2:])
    h = path = elu(h)
    for i in range(2):
        path = convolve(weights, f"{prefix}crp.convs.{i}", largest(path))
        h = h + path
    return units(weights, prefix + "output_convs.", h)


def units(weights, prefix, h) -> Tensor:
    unit = 1
    while f"{prefix}{unit}_1_conv.weight" in weights:
        inner = convolve(weights, f"{prefix}{unit}_1_conv", elu(h))
        h = h + convolve(weights, f"{prefix}{unit}_2_conv", elu(inner))
        unit += 1
    return h


def elu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, x.clamp(max=0).exp() - 1)


def convolve(weights, name, x, dilation=1) -> Tensor:
    """out[b, o, i, j] = bias[o] + sum over c, taps of weight[o, c, tap] x[b, c, shifted]."""
    weight, bias = weights[name + ".weight"], weights.get(name + ".bias")
    height, width = x.shape[2:]
    reach = dilation * (weight.shape[2] // 2)
    padded = x.new_zeros(*x.shape[:2], height + 2 * reach, width + 2 * reach)
    padded[:, :, reach : reach + height, reach : reach + width] = x
    out = 0.0 if bias is None else bias[:, None, None]
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            top, left = i * dilation, j * dilation
            shifted = padded[:, :, top : top + height, left : left + width]
            out = out + torch.einsum("oc,bchw->bohw", weight[:, :, i, j], shifted)
    return out


def normalise(weights, name, x) -> Tensor:
    alpha, gamma, beta = (weights[f"{name}.{each}"] for each in ("alpha", "gamma", "beta"))
    pixels, channels = x.shape[2] * x.shape[3], x.shape[1]
    mean = x.sum((2, 3)) / pixels
    variance = ((x - mean[:, :, None, None]) ** 2).sum((2, 3)) / pixels
    middle = mean.sum(1, keepdim=True) / channels
    over = ((mean - middle) ** 2).sum(1, keepdim=True) / (channels - 1)
    relative = (mean - middle) / torch.sqrt(over + EPS)
    h = (x - mean[:, :, None, None]) / torch.sqrt(variance + EPS)[:, :, None, None]
    h = h + (alpha * relative)[:, :, None, None]
    return gamma[:, None, None] * h + beta[:, None, None]


def quarters(x: Tensor) -> Tensor:
    return sum(x[:, :, i::2, j::2] for i in range(2) for j in range(2)) / 4


def largest(x: Tensor) -> Tensor:
    """The maximum of each 5 x 5 window inside the image."""
    height, width = x.shape[2:]
    padded = x.new_full((*x.shape[:2], height + 4, width + 4), -torch.inf)
    padded[:, :, 2:-2, 2:-2] = x
    windows = [padded[:, :, i : i + height, j : j + width] for i in range(5) for j in range(5)]
    return torch.stack(windows).amax(0)


def resample(x: Tensor, size) -> Tensor:
    """Bilinear, with the corners on the corners."""
    rows, columns = (_lines(here, there, x) for here, there in zip(x.shape[2:], size, strict=True))
    return torch.einsum("ih,bchw,jw->bcij", rows, x, columns)


def _lines(here: int, there: int, like: Tensor) -> Tensor:
    """The matrix (there, here) that interpolates ``here`` values linearly at ``there`` places."""
    matrix = like.new_zeros(there, here)
    for i in range(there):
        place = i * (here - 1) / max(1, there - 1)
        low = min(int(place), here - 2) if here > 1 else 0
        matrix[i, low] = 1 - (place - low)
        if here > 1:
            matrix[i, low + 1] = place - low
    return matrix
