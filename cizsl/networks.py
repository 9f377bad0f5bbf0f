r"""The two networks of GAZSL and CIZSL.

    Generator      G(z, t) = o(W_o l(W_z z + W_t (W_r t + b_r) + b_h) + b_o),  l = LeakyReLU
    Discriminator  a = W_1 x + b_1,  h = max(a, 0),  critic = w . h + b,  logits = W_c h + b_c

The output function o is tanh, as published, or the identity, for features beyond (-1, 1).

The text enters G linearly, so ``project`` maps the C class texts once and ``decode`` takes
projected rows. What is linear in the discriminator is used by :mod:`cizsl.critic`.

Source: Zhu et al., CVPR 2018 (GAZSL, arXiv:1712.01381), section 3.2; models.py of CIZSL.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cizsl.synthesis import BLOCK_ROWS
from repro.errors import InputError

OUTPUTS = {"tanh": torch.tanh, "linear": nn.Identity()}


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
        self.text_projection = nn.Linear(text_dim, text_embed_dim) if text_embed_dim else None
        self.hidden = nn.Linear(noise_dim + (text_embed_dim or text_dim), hidden_dim)
        self.output = nn.Linear(hidden_dim, feature_dim)
        self.apply(_xavier_normal)

    def reduce(self, text_BV: Tensor) -> Tensor:
        """e(t) = W_r t + b_r, or t where there is no W_r: (B, V) -> (B, R)."""
        return text_BV if self.text_projection is None else self.text_projection(text_BV)

    def project(self, text_BV: Tensor) -> Tensor:
        """W_t W_r t, the linear part of the text's way to the hidden layer: (B, V) -> (B, H)."""
        if self.text_projection is not None:
            text_BV = F.linear(text_BV, self.text_projection.weight)
        return F.linear(text_BV, self.hidden.weight[:, self.noise_dim :])

    def decode(self, z_BZ: Tensor, projected_BH: Tensor) -> Tensor:
        """Features from noise (B, Z) and projected text (B, H): (B, D), in (-1, 1) with tanh."""
        noise_weight, text_weight = self.hidden.weight.tensor_split([self.noise_dim], dim=1)
        bias = self.hidden.bias
        if self.text_projection is not None:
            bias = F.linear(self.text_projection.bias, text_weight, bias)
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
        self.shared = nn.Linear(feature_dim, hidden_dim)
        self.critic = nn.Linear(hidden_dim, 1)
        self.classifier = nn.Linear(hidden_dim, num_classes)
        self.apply(_xavier_normal)

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


def _xavier_normal(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_normal_(module.weight)
        nn.init.zeros_(module.bias)
