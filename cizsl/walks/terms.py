"""The four uses of random walks in GRaWD, as terms of the critic and of the generator.

| term | walk through | prototypes of | loss |
|---|---|---|---|
| ``critic_imitative`` | the classes' own samples | all classes | returning |
| ``critic_real`` | a batch of real images | the classes of these images | returning |
| ``generator_imitative`` | the classes' own samples | all classes | returning |
| ``creativity`` | hallucinated samples | all classes | landing |

A prototype is the mean of a class's n samples in the space of the walk, the hidden layer of the
discriminator or the visual features themselves. In the latter the critic has nothing to learn from
a walk, so its two terms are left out.

Source: see :mod:`cizsl.walks.random_walk`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cizsl.batches import WalkDraws
from cizsl.losses import Terms
from cizsl.networks import Discriminator, Generator
from cizsl.walks.random_walk import RandomWalk


@dataclass(frozen=True)
class Space:
    """Where walks take place: ``of(discriminator, features)`` maps (N, D) to (N, H); the critic
    learns from walks only where ``is_learned``."""

    of: Callable[[Discriminator, Tensor], Tensor]
    is_learned: bool


SPACES = {
    "hidden": Space(lambda discriminator, x: discriminator.preactivation(x).relu(), True),
    "visual": Space(lambda discriminator, x: x, False),
}


@dataclass(frozen=True)
class Networks:
    """Both networks, and the class texts as the generator projects them (C, H)."""

    generator: Generator
    discriminator: Discriminator
    projected: Tensor

    def samples(self, z_PCnZ: Tensor) -> Tensor:
        """n samples of each class in P sets: (P, C, n, D)."""
        sets, _, samples, _ = z_PCnZ.shape
        rows = self.projected.repeat_interleave(samples, dim=0).repeat(sets, 1)
        return self.generator.decode(z_PCnZ.flatten(0, 2), rows).unflatten(0, z_PCnZ.shape[:3])


@dataclass(frozen=True)
class WalkTerms:
    """The loss terms of walks.

    Args:
        walk: the losses.
        space: a key of :data:`SPACES`.
        detach: whether the prototypes of the creative walk are constants. Otherwise the generator
            can make walks land anywhere by blurring the seen classes.
    """

    walk: RandomWalk
    space: str = "hidden"
    detach: bool = True

    @property
    def teach_critic(self) -> bool:
        """Whether the critic has walk terms."""
        return SPACES[self.space].is_learned

    def critic(
        self, networks: Networks, draws: WalkDraws, features_ND: Tensor, labels_N: Tensor
    ) -> Terms:
        """Terms of the critic: ``critic_imitative``, ``critic_real``.

        Args:
            networks: both networks, and the projected class texts.
            draws: noise, and which images are walked through.
            features_ND, labels_N: all training images and their classes.
        """
        with torch.no_grad():
            samples = networks.samples(draws.z)
        points = self._points(networks, samples)
        labels, real = labels_N[draws.index], self._points(networks, features_ND[draws.index])
        present = torch.zeros(points.shape[1], dtype=torch.bool, device=labels.device)
        present = present.index_fill(0, labels, True)
        return {
            "critic_imitative": self._imitative(points[0]),
            "critic_real": self.walk.returning(points[-1].mean(1), real, present),
        }

    def generator(
        self,
        networks: Networks,
        draws: WalkDraws,
        hallucinated_BD: Tensor,
        loss: Callable[[Tensor], Tensor],
    ) -> Terms:
        """Terms of the generator: ``generator_imitative``, ``creativity``.

        Args:
            networks, draws: as in :meth:`critic`.
            hallucinated_BD: hallucinated samples.
            loss: of log W_t (C, C) of the creative walk.
        """
        points = self._points(networks, networks.samples(draws.z))
        prototypes = points[-1].mean(1)
        if self.detach:
            prototypes = prototypes.detach()
        hallucinated = self._points(networks, hallucinated_BD)
        return {
            "generator_imitative": self._imitative(points[0]),
            "creativity": self.walk.landing(prototypes, hallucinated, loss),
        }

    def to_least(self, landing: Tensor, draws: WalkDraws, size: int) -> Tensor:
        """Return the creative walk's loss through ``size`` hallucinated samples, in units of the
        least that it can be."""
        return landing / self.walk.least_landing(draws.z.shape[1], size)

    def _imitative(self, points_CnH: Tensor) -> Tensor:
        return self.walk.returning(points_CnH.mean(1), points_CnH.flatten(0, 1))

    def _points(self, networks: Networks, features: Tensor) -> Tensor:
        """Map (..., D) to (..., H)."""
        flat = SPACES[self.space].of(networks.discriminator, features.flatten(0, -2))
        return flat.unflatten(0, features.shape[:-1])
