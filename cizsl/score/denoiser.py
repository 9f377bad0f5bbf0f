r"""A denoiser of class-conditional features that begins as the exact one of a Gaussian.

In the coordinates of :mod:`cizsl.closed_form.gaussian` a class c has the law N(m, V) with V
diagonal. With y = x_t / scale and s = std / scale, the noisy feature is y = x_0 + s z, and

    D(y; s, c) = y + s^2 (m - y) / (V + s^2)  +  c_out F( c_in y, log(s) / 4, c )
    c_in = (s^2 + sigma^2)^(-1/2),   c_out = s (1 + s^2)^(-1/2)

The first terms are E[x_0 | y] of the Gaussian, by Tweedie's formula. F is a network whose last
layer starts at zero, and learns what the Gaussian misses. sigma is the root mean square of the
data, and c_out the standard deviation of x_0 given y where V = 1. F sees the class as
(m / sigma, mean log V), and zeros for the null condition, whose m is 0 too: the mean of all seen
classes.

Source: Efron, "Tweedie's formula and selection bias" (2011); Karras et al. (arXiv:2206.00364),
table 1, for c_in; Ho and Salimans (arXiv:2207.12598) for the null condition.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sde.networks import MLP
from sde.processes import VPSDE

LEAST, MOST = 0.1, 50.0  # noise ratios s of training and sampling
PROCESS = VPSDE(beta_min=0.1, beta_max=2 * math.log1p(MOST**2) - 0.1)  # s(1) = MOST
EPS = float(PROCESS.inverse_noise_ratio(torch.tensor(LEAST, dtype=torch.float64)))


@dataclass(frozen=True, eq=False)
class Condition:
    """The class of each row: m and V (B, r), and ``known`` (B, 1), 0 for the null condition."""

    mean: Tensor
    variance: Tensor
    known: Tensor

    @classmethod
    def of(cls, mean: Tensor, variance: Tensor) -> "Condition":
        """Return the condition of known classes, in float32."""
        return cls(mean.float(), variance.float(), torch.ones_like(mean[:, :1], dtype=torch.float))

    def null(self) -> "Condition":
        """Return the null condition with the same covariances."""
        return self.where(torch.zeros_like(self.known))

    def where(self, kept: Tensor) -> "Condition":
        """Return the condition with the null one in the rows where ``kept`` (B, 1) is 0."""
        return Condition(self.mean * kept, self.variance, self.known * kept)

    def __getitem__(self, rows: Tensor) -> "Condition":
        return Condition(*(value[rows] for value in vars(self).values()))

    def repeated(self, count: int) -> "Condition":
        """Return each row ``count`` times."""
        return Condition(*(value.repeat_interleave(count, 0) for value in vars(self).values()))


class Denoiser(nn.Module):
    """D of the module's equation.

    Args:
        dim: r.
        sigma_data: sigma, the root mean square of the coordinates of the data.
        hidden_dim, depth: of the network.
    """

    sigma_data: Tensor

    def __init__(self, dim: int, sigma_data: float, hidden_dim: int, depth: int):
        super().__init__()
        self.register_buffer("sigma_data", torch.tensor(sigma_data, dtype=torch.float))
        self.network = MLP(2 * dim + 1, hidden_dim=hidden_dim, depth=depth, outputs=dim)

    @property
    def is_gaussian(self) -> bool:
        """Whether F is zero everywhere, as before training."""
        return not any(parameter.any() for parameter in self.network.leave.parameters())

    def forward(self, y: Tensor, s: Tensor, c: Condition) -> Tensor:
        """Return D(y; s, c): y (B, r), s (B,) or (1,) -> (B, r)."""
        return gaussian_denoiser(y, s, c) + self.correction(y, s, c)

    def correction(self, y: Tensor, s: Tensor, c: Condition) -> Tensor:
        """Return c_out F of the rows (B, r)."""
        sigma = self.sigma_data
        scaled = y / (s.square() + sigma**2).sqrt()[:, None]
        width = c.variance.log().mean(1, keepdim=True) * c.known
        inputs = torch.cat([scaled, c.mean / sigma, width], 1)
        c_out = s / (1 + s.square()).sqrt()
        return c_out[:, None] * self.network(inputs, s.log() / 4)


def gaussian_denoiser(y: Tensor, s: Tensor, c: Condition) -> Tensor:
    """Return E[x_0 | y = x_0 + s z] of N(m, V): y (B, r), s (B,) -> (B, r)."""
    square = s.square()[:, None]
    return y + square * (c.mean - y) / (c.variance + square)


def as_score(denoise, x: Tensor, t: Tensor) -> Tensor:
    """Return the score (scale D - x) / std^2 of ``denoise`` (y, s) -> D at x (B, r), t (B,)."""
    scale, std = PROCESS.scale(t)[:, None], PROCESS.std(t)[:, None]
    return (scale * denoise(x / scale, (std / scale)[:, 0]) - x) / std.square()
