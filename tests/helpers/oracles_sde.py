"""Distributions, slow references and measuring tools that the tests of ``sde`` share."""

import math

import numpy as np
import torch

from sde.analytic import Mixture, gaussian
from sde.processes import VESDE, VPSDE, CosineVPSDE, RectifiedFlow, SubVPSDE

GOLDEN_SDES = {
    "ve": VESDE(0.01, 50.0),
    "vp": VPSDE(0.1, 20.0),
    "subvp": SubVPSDE(0.1, 20.0),
}
ALL_SDES = GOLDEN_SDES | {"cosine": CosineVPSDE(), "rectified_flow": RectifiedFlow()}
# Processes that reach far less: their discretisation errors are seen at few steps.
SMALL_SDES = {
    "ve": VESDE(0.1, 4.0),
    "vp": VPSDE(0.1, 8.0),
    "subvp": SubVPSDE(0.1, 8.0),
    "cosine": CosineVPSDE(end_time=0.85),
    "rectified_flow": RectifiedFlow(end_time=0.8),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def golden_distribution(name: str, height: int = 4, width: int = 4) -> Mixture:
    """The data of the recorded runs: ``diag``, ``chan`` and ``mog`` of their README."""
    shape, dims = (3, height, width), 3 * height * width
    if name == "diag":
        mean = torch.full(shape, 0.2, dtype=torch.float64)
        return gaussian(mean, torch.tensor(0.25, dtype=torch.float64))
    if name == "chan":
        mean = torch.tensor([0.2, -0.1, 0.3], dtype=torch.float64)[:, None, None].expand(shape)
        channels = torch.tensor(
            [[0.30, 0.12, 0.05], [0.12, 0.25, -0.08], [0.05, -0.08, 0.20]], dtype=torch.float64
        )
        pixels = torch.eye(height * width, dtype=torch.float64)
        return gaussian(mean, torch.kron(channels, pixels))
    mu = 0.4 * torch.arange(dims, dtype=torch.float64).cos().reshape(shape)
    return Mixture(torch.stack([mu, -mu]), torch.full((2,), 0.09, dtype=torch.float64))


def plane_gaussian() -> Mixture:
    """A Gaussian in the plane with mean != 0, std != 1 and a correlation."""
    mean = torch.tensor([0.7, -0.4], dtype=torch.float64)
    return gaussian(mean, torch.tensor([[0.5, 0.2], [0.2, 0.3]], dtype=torch.float64))


def plane_mixture() -> Mixture:
    """Three unlike components in the plane, one of them tilted."""
    means = torch.tensor([[1.0, 0.5], [-0.8, 0.3], [0.1, -1.1]], dtype=torch.float64)
    tilted = torch.tensor([[0.10, 0.04], [0.04, 0.06]], dtype=torch.float64)
    eye = torch.eye(2, dtype=torch.float64)
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    return Mixture(means, torch.stack([tilted, 0.05 * eye, 0.12 * eye]), weights)


def line_mixture() -> Mixture:
    """Two unlike components on the line, as (B, 1) events."""
    means = torch.tensor([[0.8], [-0.9]], dtype=torch.float64)
    weights = torch.tensor([0.35, 0.65], dtype=torch.float64)
    return Mixture(means, torch.tensor([0.2, 0.12], dtype=torch.float64), weights)


def image_mixture() -> Mixture:
    """Two components over 3x4x4 events, one with a full covariance."""
    factor = torch.randn(48, 48, generator=generator(5), dtype=torch.float64)
    covariance = 0.1 * torch.eye(48, dtype=torch.float64) + 0.2 * factor @ factor.T / 48
    plain = 0.15 * torch.eye(48, dtype=torch.float64)
    means = 0.5 * torch.randn(2, 3, 4, 4, generator=generator(6), dtype=torch.float64)
    return Mixture(means, torch.stack([covariance, plain]))


def measured_order(errors) -> float:
    """Slope of log error against log step over runs whose step halves each time."""
    return -np.polyfit(np.arange(len(errors)) * math.log(2), np.log(errors), 1)[0]


def affine_part(step, interval, z_free: bool = False):
    """(a, c, b) of a step x -> a x + c + b z that is known to be affine, on the line."""
    zero, one = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    c = step(zero, interval, zero)[0].item()
    a = step(one, interval, zero)[0].item() - c
    b = step(zero, interval, one)[0].item() - c
    return a, c, b


def published_loop(sde, update, noises, steps, eps, corrector=None, corrector_steps=1):
    """The published sampling loop, plainly: prior, then correct and predict at N times."""
    noises = iter(noises)
    x = sde.prior_std * next(noises)
    x_mean = x
    for t in np.linspace(1, eps, steps):
        t = torch.full((len(x),), t, dtype=x.dtype)
        for _ in range(corrector_steps if corrector else 0):
            x, x_mean = corrector(x, t, next(noises))
        x, x_mean = update(x, t, next(noises))
    return x, x_mean
