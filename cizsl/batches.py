"""Random batches of an iteration, drawn on the device and passed to the training steps.

The steps themselves draw nothing. So the tests can replay the recorded draws of the published code
through them, and a resumed run continues with the same numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from cizsl import hallucination
from repro.errors import InputError


class Batch:
    """Parent of what is drawn for a step: dataclasses of tensors, of each other, and of None."""

    def clone(self) -> Self:
        """Return a copy with tensors of its own."""
        values = {k: v if v is None else v.clone() for k, v in vars(self).items()}
        return type(self)(**values)

    def copy_(self, other: Self) -> None:
        """Take over the numbers of another batch of the same sizes, in place."""
        for name, value in vars(other).items():
            if value is not None:
                getattr(self, name).copy_(value)


@dataclass(frozen=True)
class Hallucination(Batch):
    """Class pairs (B,) each, mixing weights (B,) and noise (B, Z) of hallucinated samples."""

    first: Tensor
    second: Tensor
    weight: Tensor
    z: Tensor


@dataclass(frozen=True)
class WalkDraws(Batch):
    """Noise (P, C, n, Z) of n samples of each class in P sets, and images (B,) of the real walk."""

    z: Tensor
    index: Tensor


@dataclass(frozen=True)
class WalkSizes:
    """C classes with n samples each. ``reference_compat``: P = 2 sets, one for each walk, and a
    further batch of images for each, as in the published code; else one set, and no further batch.
    """

    classes: int
    samples: int
    reference_compat: bool = False


@dataclass(frozen=True)
class CriticBatch(Batch):
    """Image indices (B,), noise (B, Z) and the places of the gradient penalty's points (B,).

    ``hallucination``: samples of the new class, where the critic learns it; ``walks``: of GRaWD.
    """

    index: Tensor
    z: Tensor
    weight: Tensor
    hallucination: Hallucination | None = None
    walks: WalkDraws | None = None


@dataclass(frozen=True)
class GeneratorBatch(Batch):
    """Image indices (B,), noise (B, Z), and the hallucinated samples and walks where the method has
    any."""

    index: Tensor
    z: Tensor
    hallucination: Hallucination | None = None
    walks: WalkDraws | None = None


class DataOrder:
    """Batches of image indices, from a new permutation whenever too few images are left.

    Args:
        num_images, batch_size: counts.
        permute: ``permute()`` returns a permutation of the image indices.
        reference_compat: drop a last batch that is exactly full, as the published code does
            (dataset.py, line 162).

    Raises :class:`InputError` where a batch does not fit the images.
    """

    def __init__(
        self,
        num_images: int,
        batch_size: int,
        permute: Callable[[], Tensor],
        reference_compat: bool = False,
    ):
        if batch_size > num_images - reference_compat:
            raise InputError(
                f"optimiser.batch_size: {batch_size} does not fit {num_images} training images"
            )
        self.num_images, self.batch_size = num_images, batch_size
        self.permute, self.reference_compat = permute, reference_compat
        self.permutation, self.position = permute(), 0

    def next(self) -> Tensor:
        """Return the indices of the next batch: (B,)."""
        end = self.position + self.batch_size
        if end > self.num_images or (self.reference_compat and end == self.num_images):
            self.permutation, self.position = self.permute(), 0
        self.position += self.batch_size
        return self.permutation[self.position - self.batch_size : self.position]

    def state_dict(self) -> dict:
        """Return the permutation and the position in it."""
        return {"permutation": self.permutation, "position": self.position}

    def load_state_dict(self, state: dict) -> None:
        """Restore the state that :meth:`state_dict` returned. Raises ValueError for another one."""
        permutation, position = state["permutation"].to(self.permutation.device), state["position"]
        if not torch.equal(permutation.sort().values, self.permutation.sort().values):
            raise ValueError("the order of the images is not a permutation of them")
        if not 0 <= position <= self.num_images:
            raise ValueError(f"position {position} among {self.num_images} images")
        self.permutation, self.position = permutation, int(position)


class BatchSampler:
    """The random batches of a training run.

    Args:
        labels: (N,) classes of the training images.
        classes: (K,) the classes that have a text.
        batch_size, noise_dim: B and Z.
        mixing: range of the mixing weight of hallucinated texts.
        rng: the random numbers.
        shuffled_pairs: pair classes by shuffling a batch of images, as the published code does,
            and not by drawing two different classes uniformly.
        reference_compat: see :class:`DataOrder`.
        walks: the sizes of the random walks, where the method has any.
    """

    def __init__(
        self,
        labels: Tensor,
        classes: Tensor,
        batch_size: int,
        noise_dim: int,
        mixing: tuple[float, float],
        rng: torch.Generator,
        *,
        shuffled_pairs: bool = False,
        reference_compat: bool = False,
        walks: WalkSizes | None = None,
    ):
        self.labels, self.classes, self.walks = labels, classes, walks
        self.noise_shape, self.mixing = (batch_size, noise_dim), mixing
        self.rng, self.shuffled_pairs = rng, shuffled_pairs
        self.place = {"generator": rng, "device": labels.device}
        self.order = DataOrder(
            len(labels),
            batch_size,
            lambda: torch.randperm(len(labels), **self.place),
            reference_compat,
        )

    def critic_batch(self, hallucinate: bool) -> CriticBatch:
        """Draw the batch of one critic step."""
        index, z = self.order.next(), self._noise()
        extra = self.hallucination() if hallucinate else None
        weight = torch.rand(len(index), **self.place)
        return CriticBatch(index, z, weight, extra, self._walk_draws(index))

    def generator_batch(self, hallucinate: bool) -> GeneratorBatch:
        """Draw the batch of one generator step."""
        index, z = self.order.next(), self._noise()
        extra = self.hallucination() if hallucinate else None
        return GeneratorBatch(index, z, extra, self._walk_draws(index))

    def hallucination(self) -> Hallucination:
        """Draw class pairs, mixing weights a ~ U(low, high), and noise."""
        if self.shuffled_pairs:
            pairs = hallucination.pairs_from_batch(self.labels[self.order.next()], self.rng)
        else:
            pairs = hallucination.distinct_pairs(self.classes, self.noise_shape[0], self.rng)
        low, high = self.mixing
        weight = low + (high - low) * torch.rand(self.noise_shape[0], **self.place)
        return Hallucination(*pairs, weight, self._noise())

    def _walk_draws(self, index: Tensor) -> WalkDraws | None:
        if self.walks is None:
            return None
        sets = 2 if self.walks.reference_compat else 1
        if self.walks.reference_compat:  # a batch for each walk, of which the second is used
            index = [self.order.next() for _ in range(sets)][-1]
        shape = (sets, self.walks.classes, self.walks.samples, self.noise_shape[1])
        return WalkDraws(torch.randn(shape, **self.place), index)

    def _noise(self) -> Tensor:
        return torch.randn(self.noise_shape, **self.place)

    def state_dict(self) -> dict:
        """Return the state of the random numbers and of the image order."""
        return {"rng": self.rng.get_state(), "order": self.order.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Restore the state that :meth:`state_dict` returned."""
        self.rng.set_state(state["rng"].cpu())
        self.order.load_state_dict(state["order"])
