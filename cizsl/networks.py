r"""The two networks of GAZSL and CIZSL.

    Generator      G(z, t) = o(W_o l(W_z z + W_t (W_r t + b_r) + b_h) + b_o),  l = LeakyReLU
    Discriminator  a = W_1 x + b_1,  h = max(a, 0),  critic = w . h + b,  logits = W_c h + b_c

The output function o is tanh, as published, or the identity, for features beyond (-1, 1).

The text enters G linearly, so ``project`` maps the C class texts once and ``decode`` takes
projected rows. What is linear in the discriminator is used by :mod:`cizsl.critic`.

Source: Zhu et al., CVPR 2018 (GAZSL, arXiv:1712.01381), section 3.2; models.py of CIZSL.
"""

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cizsl.synthesis import BLOCK_ROWS
from repro.errors import InputError

OUTPUTS = {"tanh": torch.tanh, "linear": nn.Identity()}


class Linear(nn.Linear):
    """A linear layer that can be widened by zeros, for kernels that need aligned rows.

    A unit of zeros, in and out, has activation and gradient zero, so that Adam leaves it at zero.
    State dicts have the true widths.
    """

    columns: Tensor | None  # places of the true inputs (I,) among the widened ones

    def __init__(self, in_features: int, out_features: int):
        super().__init__(in_features, out_features)
        self.register_buffer("columns", None, persistent=False)

    def widen(self, outputs: int, *inputs: tuple[int, int]) -> None:
        """Widen to ``outputs`` rows; ``inputs`` are consecutive groups of columns, each with its
        true and its new width."""
        starts = accumulate((new for _, new in inputs), initial=0)
        places = [torch.arange(n) + s for (n, _), s in zip(inputs, starts, strict=False)]
        self.rows, self.wide = self.out_features, (outputs, sum(new for _, new in inputs))
        self.columns = torch.cat(places)
        self.weight = nn.Parameter(self.pad(self.weight.detach()))
        self.bias = nn.Parameter(self.pad(self.bias.detach()))
        self.out_features, self.in_features = self.wide

    def pad(self, value: Tensor) -> Tensor:
        """A weight, a bias, or moments of one, with the zeros around it."""
        if self.columns is None or value.ndim == 0:
            return value
        wide = value.new_zeros(self.wide[: value.ndim])
        if value.ndim == 1:
            wide[: self.rows].copy_(value)
        else:
            wide[: self.rows].index_copy_(1, self.columns.to(value.device), value)
        return wide

    def trim(self, value: Tensor) -> Tensor:
        """The inverse of :meth:`pad`."""
        if self.columns is None or value.ndim == 0:
            return value
        value = value[: self.rows]
        return value.clone() if value.ndim == 1 else value.index_select(1, self.columns)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for key in (f"{prefix}weight", f"{prefix}bias"):
            destination[key] = self.trim(destination[key])

    def _load_from_state_dict(self, state_dict, prefix, *how):
        padded = {
            key: self.pad(state_dict[key])
            for name, own in self.named_parameters()
            if (key := f"{prefix}{name}") in state_dict
            and state_dict[key].shape == self.trim(own).shape
        }
        super()._load_from_state_dict({**state_dict, **padded}, prefix, *how)


def map_moments(module: nn.Module, state: dict[str, Any], trim: bool) -> dict[str, Any]:
    """Return the state of an optimiser of ``module`` with moments of the true widths, where
    ``trim``, or of the widened ones."""
    names = (name.rpartition(".")[0] for name, _ in module.named_parameters())
    owners = [module.get_submodule(name) for name in names]

    def mapped(owner: nn.Module, moments: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(owner, Linear):
            return moments
        change = owner.trim if trim else owner.pad
        return {k: change(v) if isinstance(v, Tensor) else v for k, v in moments.items()}

    return {**state, "state": {i: mapped(owners[i], m) for i, m in state["state"].items()}}


class Generator(nn.Module):
    """Visual features from noise and class text.

    Args: widths of the text (V), the features (D), the noise (Z), the reduced text (R) and the
    hidden layer (H); ``output``, a key of :data:`OUTPUTS`. Weights are Xavier-normal, biases zero.
    R = 0: no W_r, the text enters the hidden layer directly, as in GAZSL for attributes, which are
    few and without noise.
    """

    def __init__(
        self,
        text_dim: int,
        feature_dim: int,
        noise_dim: int = 100,
        text_embed_dim: int = 1000,
        hidden_dim: int = 4096,
        output: str = "tanh",
    ):
        super().__init__()
        self.noise_dim, self.output_function = noise_dim, OUTPUTS[output]
        self.noise_width, self.text_width = noise_dim, text_dim  # of the columns of the weights
        self.text_projection = Linear(text_dim, text_embed_dim) if text_embed_dim else None
        self.hidden = Linear(noise_dim + (text_embed_dim or text_dim), hidden_dim)
        self.output = Linear(hidden_dim, feature_dim)
        self.apply(_xavier_normal)

    def align(self, multiple: int) -> None:
        """Widen noise, text and hidden layer to multiples of ``multiple``."""
        noise, text, hidden = (
            (width, _up(width, multiple))
            for width in (self.noise_dim, self.text_width, self.hidden.out_features)
        )
        self.noise_width, self.text_width = noise[1], text[1]
        condition = text
        if self.text_projection is not None:
            width = self.text_projection.out_features
            self.text_projection.widen(width, text)
            condition = (width, width)
        self.hidden.widen(hidden[1], noise, condition)
        self.output.widen(self.output.out_features, hidden)

    def reduce(self, text_BV: Tensor) -> Tensor:
        """e(t) = W_r t + b_r, or t where there is no W_r: (B, V) -> (B, R)."""
        if self.text_projection is None:
            return text_BV
        return self.text_projection(_widened(text_BV, self.text_width))

    def project(self, text_BV: Tensor) -> Tensor:
        """W_t W_r t, the linear part of the text's way to the hidden layer: (B, V) -> (B, H)."""
        text_BV = _widened(text_BV, self.text_width)
        if self.text_projection is not None:
            text_BV = F.linear(text_BV, self.text_projection.weight)
        return F.linear(text_BV, self.hidden.weight[:, self.noise_width :])

    def decode(self, z_BZ: Tensor, projected_BH: Tensor) -> Tensor:
        """Features from noise (B, Z) and projected text (B, H): (B, D), in (-1, 1) with tanh."""
        noise_weight, text_weight = self.hidden.weight.tensor_split([self.noise_width], dim=1)
        bias = self.hidden.bias
        if self.text_projection is not None:
            bias = F.linear(self.text_projection.bias, text_weight, bias)
        z_BZ = _widened(z_BZ, self.noise_width)
        hidden = F.leaky_relu(F.linear(z_BZ, noise_weight, bias) + projected_BH)
        return self.output_function(self.output(hidden))

    def forward(self, z_BZ: Tensor, text_BV: Tensor) -> Tensor:
        """G(z, t): (B, Z), (B, V) -> (B, D)."""
        return self.decode(z_BZ, self.project(text_BV))

    def blocks(self, text_CV: Tensor, samples: int, rng: torch.Generator) -> Iterator[Tensor]:
        """Yield features as :class:`cizsl.synthesis.FeatureGenerator` says; project texts once."""
        place = {"generator": rng, "device": text_CV.device}
        for rows in self.project(text_CV).split(max(1, BLOCK_ROWS // samples)):
            z = torch.randn(len(rows) * samples, self.noise_dim, **place)
            features = self.decode(z.to(text_CV.dtype), rows.repeat_interleave(samples, dim=0))
            yield features.to(text_CV.dtype).unflatten(0, (len(rows), samples))


class Discriminator(nn.Module):
    """A Wasserstein critic and a classifier of the seen classes on one hidden layer.

    Args: feature width (D), number of class logits (C; one more for the "new class" variant),
    hidden width (H).
    """

    def __init__(self, feature_dim: int, num_classes: int, hidden_dim: int = 4096):
        super().__init__()
        self.shared = Linear(feature_dim, hidden_dim)
        self.critic = Linear(hidden_dim, 1)
        self.classifier = Linear(hidden_dim, num_classes)
        self.apply(_xavier_normal)

    def align(self, multiple: int) -> None:
        """Widen the hidden layer to a multiple of ``multiple``."""
        inputs, width = self.shared.in_features, self.shared.out_features
        hidden = _up(width, multiple)
        self.shared.widen(hidden, (inputs, inputs))
        self.critic.widen(1, (width, hidden))
        self.classifier.widen(self.classifier.out_features, (width, hidden))

    def preactivation(self, x_BD: Tensor) -> Tensor:
        """a = W_1 x + b_1: (B, D) -> (B, H)."""
        return self.shared(x_BD)

    def heads(self, hidden_BH: Tensor) -> tuple[Tensor, Tensor]:
        """Critic values (B,) and class logits (B, C) of h."""
        return self.critic(hidden_BH).squeeze(-1), self.classifier(hidden_BH)

    def forward(self, x_BD: Tensor) -> tuple[Tensor, Tensor]:
        """(critic (B,), class logits (B, C)) of features (B, D)."""
        return self.heads(self.preactivation(x_BD).relu())


PUBLISHED_NAMES = {
    "rdc_text": "text_projection",
    "main.0": "hidden",
    "main.2": "output",
    "D_shared.0": "shared",
    "D_gan": "critic",
    "D_aux": "classifier",
}


def load_published(module: nn.Module, state_dict: dict[str, Tensor]) -> None:
    """Load a state dict of the published CIZSL or GAZSL code into a Generator or Discriminator.

    Args: ``state_dict`` with the published key names (``rdc_text.weight``, ``D_gan.bias``, ...),
    with or without the prefix ``module.``. Raises :class:`InputError` that names every missing,
    unknown or wrongly shaped entry; the module is then unchanged.
    """
    renamed = {}
    for key, value in state_dict.items():
        layer, _, kind = key.removeprefix("module.").rpartition(".")
        renamed[f"{PUBLISHED_NAMES.get(layer, layer)}.{kind}"] = value
    own = module.state_dict()
    problems = [f"missing {key}" for key in own.keys() - renamed.keys()]
    problems += [f"unknown {key}" for key in renamed.keys() - own.keys()]
    problems += [
        f"{key} is {tuple(renamed[key].shape)}, expected {tuple(own[key].shape)}"
        for key in own.keys() & renamed.keys()
        if renamed[key].shape != own[key].shape
    ]
    if problems:
        name = type(module).__name__
        raise InputError(f"state dict does not fit this {name}: {'; '.join(sorted(problems))}")
    module.load_state_dict(renamed)


def _up(width: int, multiple: int) -> int:
    return -(-width // multiple) * multiple


def _widened(x_BI: Tensor, width: int) -> Tensor:
    missing = width - x_BI.shape[-1]
    return F.pad(x_BI, (0, missing)) if missing else x_BI


def _xavier_normal(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_normal_(module.weight)
        nn.init.zeros_(module.bias)
