"""Toy data sets, which need no download.

    eight_gaussians   a ring of eight modes; its density is known
    checkerboard      uniform on 8 of 16 squares; its density is known, 1/2
    moons, swiss_roll from scikit-learn, shifted and scaled to about [-1, 1]
    digits            the 1797 handwritten digits of scikit-learn, (1, 8, 8), grey levels 0 to 16

The held-out part has other draws of the distribution, or other images, than the training part.
Images in files are in `sde.data.image_datasets`.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.seeding import generator
from sde.analytic import ring
from sde.data.dataset import Dataset, DataSpec, Split
from sde.data.quantisation import Quantisation

DIGITS_HELD_OUT = 297


def _plane(name: str, make, log_density=None):
    """A loader of a distribution in the plane; make(count, seed) draws (count, 2)."""

    def load(train: int, heldout: int, seed: int) -> Dataset:
        spec = DataSpec(name, (2,))
        parts = [
            Split(spec, torch.as_tensor(make(count, 2 * seed + part)).float())
            for part, count in enumerate((train, heldout))
        ]
        return Dataset(spec, parts[0], parts[1], log_density)

    return load


def eight_gaussians(count: int, seed: int) -> Tensor:
    """Draw (count, 2) from eight modes of standard deviation 0.08 on a circle of radius 0.8."""
    return RING.sample(count, generator(seed))


def checkerboard(count: int, seed: int) -> Tensor:
    """Draw (count, 2), uniform on the squares of a 4x4 board over [-1, 1]^2 with i + j even."""
    g = generator(seed)
    column = torch.randint(4, (count,), generator=g)
    row = 2 * torch.randint(2, (count,), generator=g) + column % 2
    corner = torch.stack([column, row], 1)
    return (corner + torch.rand(count, 2, generator=g)) / 2 - 1


def checkerboard_log_density(x: Tensor) -> Tensor:
    """Return log p (N,) in nats at x (N, 2): -log 2 on the dark squares, else minus infinity."""
    cell = ((x + 1) * 2).floor().clamp(0, 3)
    dark = (cell.sum(1) % 2 == 0) & (x.abs() <= 1).all(1)
    return torch.where(dark, -math.log(2), -torch.inf)


def moons(count: int, seed: int) -> np.ndarray:
    """Draw (count, 2) from scikit-learn's two half circles of noise 0.05, divided by 1.5."""
    from sklearn.datasets import make_moons  # a second to import

    x, _ = make_moons(count, noise=0.05, random_state=seed)
    return (np.asarray(x) - [0.5, 0.25]) / 1.5


def swiss_roll(count: int, seed: int) -> np.ndarray:
    """Draw (count, 2) from scikit-learn's roll seen from its end, noise 0.5, divided by 14."""
    from sklearn.datasets import make_swiss_roll

    x, _ = make_swiss_roll(count, noise=0.5, random_state=seed)
    return x[:, [0, 2]] / 14


def _digits(train: int, heldout: int, seed: int) -> Dataset:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    classes = tuple(str(digit) for digit in range(10))
    spec = DataSpec("digits", (1, 8, 8), Quantisation(-1.0, 1.0, grey_levels=17), classes)
    images, labels = load_digits(return_X_y=True)
    how: dict[str, Any] = dict(test_size=DIGITS_HELD_OUT, stratify=labels, random_state=seed)
    images_and_labels = train_test_split(images, labels, **how)
    pixels = [torch.from_numpy(x).float().reshape(-1, 1, 8, 8) for x in images_and_labels[:2]]
    digits = [torch.from_numpy(y).long() for y in images_and_labels[2:]]
    parts = [Split(spec, *part) for part in zip(pixels, digits, strict=True)]
    return Dataset(spec, parts[0], parts[1])


RING = ring(modes=8, radius=0.8, std=0.08)

PLANE = {
    "eight_gaussians": _plane("eight_gaussians", eight_gaussians, RING.log_prob),
    "moons": _plane("moons", moons),
    "checkerboard": _plane("checkerboard", checkerboard, checkerboard_log_density),
    "swiss_roll": _plane("swiss_roll", swiss_roll),
}
DATASETS = {**PLANE, "digits": _digits}
