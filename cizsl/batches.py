"""Everything random in an iteration, drawn on the device and handed to the steps as arguments.

A step never draws: the tests replay the recorded draws of the published code through the same
functions, and a resumed run goes on with the same numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cizsl import hallucination
from repro.errors import InputError


@dataclass(frozen=True)
class Hallucination:
    """Draws of a batch of hallucinated samples: class pairs, mixing weights, noise (B, Z)."""

    first: Tensor
    second: Tensor
    weight: Tensor
    z: Tensor


@dataclass(frozen=True)
class CriticBatch:
    """Image indices (B,), noise (B, Z) and the places of the penalty's points (B,)."""

    index: Tensor
    z: Tensor
    weight: Tensor
    hallucination: Hallucination | None = None


@dataclass(frozen=True)
class GeneratorBatch:
    """Image indices (B,), noise (B, Z), and the hallucinated batch unless the method has none."""

    index: Tensor
    z: Tensor
    hallucination: Hallucination | None = None


class DataOrder:
    """Batches of image indices: a fresh permutation whenever too few images are left.

    Args: ``permute()`` gives a permutation of the image indices; ``published`` repeats the
    published off-by-one, which drops a last batch that is exactly full (dataset.py, line 162).
    """

    def __init__(
        self,
        num_images: int,
        batch_size: int,
        permute: Callable[[], Tensor],
        published: bool = False,
    ):
        if batch_size > num_images - published:
            raise InputError(
                f"optimiser.batch_size: {batch_size} does not fit {num_images} training images"
            )
        self.num_images, self.batch_size = num_images, batch_size
        self.permute, self.published = permute, published
        self.permutation, self.position = permute(), 0

    def next(self) -> Tensor:
        """Indices of the next batch: (B,)."""
        end = self.position + self.batch_size
        if end > self.num_images or (self.published and end == self.num_images):
            self.permutation, self.position = self.permute(), 0
        self.position += self.batch_size
        return self.permutation[self.position - self.batch_size : self.position]

    def state_dict(self) -> dict:
        return {"permutation": self.permutation, "position": self.position}

    def load_state_dict(self, state: dict) -> None:
        permutation = state["permutation"].to(self.permutation.device)
        self.permutation, self.position = permutation, state["position"]


class BatchSampler:
    """The random stream of a training run.

    Args: ``labels`` (N,) of the training images; ``classes`` (K,), the classes that have a text;
    ``mixing``, the range of the hallucination's mixing weight; ``published_pairs`` pairs classes
    by shuffling a batch of images, else two different classes are drawn uniformly;
    ``published_order``, see :class:`DataOrder`.
    """

    def __init__(
        self,
        labels: Tensor,
        classes: Tensor,
        batch_size: int,
        noise_dim: int,
        mixing: tuple[float, float],
        generator: torch.Generator,
        published_pairs: bool = False,
        published_order: bool = False,
    ):
        self.labels, self.classes = labels, classes
        self.noise_shape, self.mixing = (batch_size, noise_dim), mixing
        self.generator, self.published_pairs = generator, published_pairs
        self.place = {"generator": generator, "device": labels.device}
        self.order = DataOrder(
            len(labels),
            batch_size,
            lambda: torch.randperm(len(labels), **self.place),
            published_order,
        )

    def critic_batch(self, hallucinate: bool) -> CriticBatch:
        """Draw the batch of one critic step."""
        index, z = self.order.next(), self._noise()
        extra = self.hallucination() if hallucinate else None
        return CriticBatch(index, z, torch.rand(len(index), **self.place), extra)

    def generator_batch(self, hallucinate: bool) -> GeneratorBatch:
        """Draw the batch of one generator step."""
        index, z = self.order.next(), self._noise()
        return GeneratorBatch(index, z, self.hallucination() if hallucinate else None)

    def hallucination(self) -> Hallucination:
        """A batch of class pairs, mixing weights a ~ U(low, high), and noise."""
        if self.published_pairs:
            pairs = hallucination.pairs_from_batch(self.labels[self.order.next()], self.generator)
        else:
            pairs = hallucination.distinct_pairs(self.classes, self.noise_shape[0], self.generator)
        low, high = self.mixing
        weight = low + (high - low) * torch.rand(self.noise_shape[0], **self.place)
        return Hallucination(*pairs, weight, self._noise())

    def _noise(self) -> Tensor:
        return torch.randn(self.noise_shape, **self.place)

    def state_dict(self) -> dict:
        return {"generator": self.generator.get_state(), "order": self.order.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.generator.set_state(state["generator"].cpu())
        self.order.load_state_dict(state["order"])
