"""Data that need no download: distributions in the plane, and 8x8 images of digits.

    eight_gaussians   a ring of eight modes; its density is known
    checkerboard      uniform on 8 of 16 squares; its density is known, 1/2
    moons, swiss_roll from scikit-learn, moved and scaled into about [-1, 1]
    digits            the 1797 handwritten digits of scikit-learn, (1, 8, 8), levels 0 to 16

What numbers stand for is declared once, by ``Declaration``: everyone else asks it. The held-out
part is never trained on: other draws of a distribution, other images of the digits.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.datasets import load_digits, make_moons, make_swiss_roll
from sklearn.model_selection import train_test_split
from torch import Tensor

from repro.errors import InputError
from repro.random import generator
from sde.analytic import ring
from sde.likelihood import DataRange

DIGITS_HELD_OUT = 297


@dataclass(frozen=True)
class Declaration:
    """What one item is: its shape, and the range and number of its levels, if it has levels."""

    name: str
    shape: tuple[int, ...]  # of one item
    levels: DataRange | None = None  # None: real numbers of no declared range

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3


@dataclass(frozen=True)
class Split:
    """Items of one kind. Raises InputError where they are not finite, not of the declared shape,
    or no whole levels of the declared range."""

    declaration: Declaration
    values: Tensor  # (N, *shape): levels where the declaration has levels, else the numbers

    def __post_init__(self):
        name, levels = self.declaration.name, self.declaration.levels
        if tuple(self.values.shape[1:]) != self.declaration.shape or not len(self.values):
            raise InputError(
                f"{name}: items of shape {self.declaration.shape} expected, got an array of shape "
                f"{tuple(self.values.shape)}"
            )
        if not bool(torch.isfinite(self.values).all()):
            raise InputError(f"{name}: the data holds values that are not finite")
        if levels is not None and not bool((self.values == self.values.floor()).all()):
            raise InputError(f"{name}: levels must be whole numbers")
        if levels is not None and not 0 <= self.values.min() <= self.values.max() < levels.levels:
            raise InputError(f"{name}: levels must lie in 0..{levels.levels - 1}")

    def __len__(self) -> int:
        return len(self.values)

    def to(self, device: torch.device) -> "Split":
        return replace(self, values=self.values.to(device))

    def first(self, count: int) -> "Split":
        """The first items, at most ``count``."""
        return replace(self, values=self.values[:count])

    def draw(self, count: int, generator: torch.Generator, rows: slice = slice(None)) -> Tensor:
        """Items drawn with replacement and dequantised anew, (count, *shape) float32.

        ``rows`` asks for a part of them: ``draw(n, g, rows)`` is ``draw(n, g)[rows]``, and takes as
        many numbers from the generator, but gathers no other item.
        """
        device = self.values.device
        chosen = torch.randint(len(self), (count,), generator=generator, device=device)[rows]
        return self._points(self.values[chosen], generator, count, rows)

    def points(self, generator: torch.Generator) -> Tensor:
        """Every item once, in order, dequantised where it has levels: (N, *shape) float32."""
        return self._points(self.values, generator, len(self))

    def _points(self, values: Tensor, generator, count: int, rows: slice = slice(None)) -> Tensor:
        """``values``, which are the ``rows`` of ``count`` items, dequantised."""
        if self.declaration.levels is None:
            return values
        shape = (count, *self.declaration.shape)
        u = torch.rand(shape, generator=generator, device=values.device)[rows]
        return self.declaration.levels.dequantise(values, u)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.values.cpu().numpy().tobytes()).hexdigest()


@dataclass(frozen=True)
class Dataset:
    """A training and a held-out part of the same kind."""

    declaration: Declaration
    train: Split
    heldout: Split
    log_density: Callable[[Tensor], Tensor] | None = None  # (N, *shape) -> (N,) nats, where known

    @property
    def checksums(self) -> dict[str, str]:
        """SHA-256 of each part, by name."""
        name = self.declaration.name
        return {f"{name} train": self.train.sha256, f"{name} held out": self.heldout.sha256}

    def to(self, device: torch.device) -> "Dataset":
        return replace(self, train=self.train.to(device), heldout=self.heldout.to(device))


def load(name: str, *, train: int = 20000, heldout: int = 4000, seed: int = 0) -> Dataset:
    """The data set ``name``, a key of ``DATASETS``; the same for the same arguments.

    ``train`` and ``heldout`` are counts of draws; of the digits there are 1500 and 297 whatever
    they say. Raises InputError for an unknown name or a count below 1.
    """
    if name not in DATASETS:
        raise InputError(f"unknown data {name!r}: choose from {', '.join(DATASETS)}")
    if train < 1 or heldout < 1:
        raise InputError(f"{name}: counts must be at least 1; got {train} and {heldout}")
    return DATASETS[name](train, heldout, seed)


def _plane(name: str, make, log_density=None):
    """A loader of a distribution in the plane from make(count, seed) -> (count, 2)."""

    def load(train: int, heldout: int, seed: int) -> Dataset:
        declaration = Declaration(name, (2,))
        parts = [
            Split(declaration, torch.as_tensor(make(count, 2 * seed + part)).float())
            for part, count in enumerate((train, heldout))
        ]
        return Dataset(declaration, *parts, log_density)

    return load


def eight_gaussians(count: int, seed: int) -> Tensor:
    """Draws (count, 2) of eight modes of standard deviation 0.08 on a circle of radius 0.8."""
    return RING.sample(count, generator(seed))


def checkerboard(count: int, seed: int) -> Tensor:
    """Draws (count, 2), uniform on the squares of a 4x4 board over [-1, 1]^2 with i + j even."""
    g = generator(seed)
    column = torch.randint(4, (count,), generator=g)
    row = 2 * torch.randint(2, (count,), generator=g) + column % 2
    corner = torch.stack([column, row], 1)
    return (corner + torch.rand(count, 2, generator=g)) / 2 - 1


def checkerboard_log_density(x: Tensor) -> Tensor:
    """log p (N,) in nats at x (N, 2): -log 2 on the dark squares, minus infinity off them."""
    cell = ((x + 1) * 2).floor().clamp(0, 3)
    dark = (cell.sum(1) % 2 == 0) & (x.abs() <= 1).all(1)
    return torch.where(dark, -math.log(2), -torch.inf)


def moons(count: int, seed: int) -> np.ndarray:
    """Draws (count, 2) of scikit-learn's two half circles with noise 0.05, shrunk by 1.5."""
    x, _ = make_moons(count, noise=0.05, random_state=seed)
    return (x - [0.5, 0.25]) / 1.5


def swiss_roll(count: int, seed: int) -> np.ndarray:
    """Draws (count, 2) of scikit-learn's roll seen from its end, noise 0.5, shrunk by 14."""
    x, _ = make_swiss_roll(count, noise=0.5, random_state=seed)
    return x[:, [0, 2]] / 14


def _digits(train: int, heldout: int, seed: int) -> Dataset:
    declaration = Declaration("digits", (1, 8, 8), DataRange(-1.0, 1.0, levels=17))
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images, test_size=DIGITS_HELD_OUT, stratify=labels, random_state=seed)
    tensors = [torch.from_numpy(part).float().reshape(-1, 1, 8, 8) for part in parts]
    return Dataset(declaration, *[Split(declaration, tensor) for tensor in tensors])


RING = ring(modes=8, radius=0.8, std=0.08)

DATASETS = {
    "eight_gaussians": _plane("eight_gaussians", eight_gaussians, RING.log_prob),
    "moons": _plane("moons", moons),
    "checkerboard": _plane("checkerboard", checkerboard, checkerboard_log_density),
    "swiss_roll": _plane("swiss_roll", swiss_roll),
    "digits": _digits,
}
