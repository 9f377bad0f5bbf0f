r"""Random walks between class prototypes and samples: the losses of GRaWD.

A walk starts at a class c, goes to a sample, takes t steps from sample to sample and ends at a
class. With prototypes P (K, H), samples F (N, H) and a similarity sim, each step is a softmax:

    R = softmax over samples of sim(P, F)   (K, N)    from a class to a sample
    Q = softmax over samples of sim(F, F)   (N, N)    from a sample to another one, never itself
    L = softmax over classes of sim(F, P)   (N, K)    from a sample to a class
    W_t = R Q^t L                           (K, K)    where a walk of t steps lands; rows sum to one

A walk that returns to its class shows that the samples form classes; a walk from a class through
hallucinated samples should land anywhere. With decay g and t = 0 .. T,

    returning    sum_t g^t ( -mean_c log W_t[c, c] )      least, 0, if each class keeps its walks
    landing      sum_t g^t ( -mean_cd log W_t[c, d] )     least, sum_t g^t ln K, iff W_t is uniform
    visits       -mean_j log( mean_c R[c, j] )            least, ln N, iff samples are visited alike

The landing loss is sum_t g^t KL(uniform || W_t[c]) + ln K: again a divergence between the uniform
distribution and a distribution over seen classes, which here a walk has and not a posterior.

**Temperature.** sim = s^2 cos. Features after a ReLU have cosines in [0, 1], so at s = 1 no two
weights of a softmax differ by more than a factor e, and separated classes are not the optimum: with
K = 150, T = 3 and g = 0.7, the returning loss is 12.69 for uniform walks, 12.67 for separated
classes, and 12.37 for classes that share one feature in four groups (:func:`grouped_returning`).
From s = 2.5 on, separation is the optimum. The published runs have s = 1; ours have s = 3.

Products go from the left, ((R Q) Q ...) L, which costs K N^2 T multiply-adds, not N^3 T, and the
returning loss needs the diagonals of W_t alone: K N each, not K^2 N.

Source: Elhoseiny, Jha, Yi and Skorokhodov, Imaginative Walks (GRaWD, arXiv:2104.09757); the code
github.com/Vision-CAIR/GRaWD at 145ec28, losses/rw_loss.py. Walks: Haeusser et al., CVPR 2017
(arXiv:1706.00909).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from repro.errors import InputError


def cosine(a_MH: Tensor, b_NH: Tensor, scale: float) -> Tensor:
    """scale^2 cos(a, b) for every pair: (M, N)."""
    return (scale * normalize(a_MH, dim=1)) @ (scale * normalize(b_NH, dim=1)).T


def euclidean(a_MH: Tensor, b_NH: Tensor, scale: float) -> Tensor:
    """-||a - b||^2 for every pair: (M, N). The published form has no temperature: ``scale`` has no
    effect."""
    squares = a_MH.square().sum(1, keepdim=True) + b_NH.square().sum(1)
    return 2 * a_MH @ b_NH.T - squares


SIMILARITIES = {"cosine": cosine, "euclidean": euclidean}
PUBLISHED_FLOOR = 1e-10  # of probabilities, before their logarithm


@dataclass(frozen=True)
class RandomWalk:
    """The losses of walks of 0 to ``steps`` steps.

    Args:
        steps: T.
        decay: g, the weight of a walk of t steps is g^t.
        scale: s; s^2 is the inverse temperature of the cosine.
        visit: weight of the visits.
        similarity: a key of :data:`SIMILARITIES`.
        floor: probabilities below it count as it, and get no gradient; None: the smallest normal
            number. The published code has 1e-10.
    """

    steps: int = 3
    decay: float = 0.7
    scale: float = 3.0
    visit: float = 1.0
    similarity: str = "cosine"
    floor: float | None = None

    def returning(self, prototypes_KH: Tensor, samples_NH: Tensor, present_K=None) -> Tensor:
        """Loss of walks that should return to their class, and of the visits: a scalar.

        Args:
            prototypes_KH: one row for each class.
            samples_NH: at least two samples, of any class.
            present_K: which classes take part, bool (K,); all by default. The shapes do not depend
                on it, so no step waits for the device.
        """
        mask = _mask(prototypes_KH, present_K)
        to_samples, ends, to_classes = self._walks(prototypes_KH, samples_NH, mask)
        homes = ((end * to_classes.T).sum(1) for end in ends)  # the diagonals of W_t
        losses = [-_mean(self._log(home), mask) for home in homes]
        return self._decayed(losses) + self.visit * self._visits(to_samples, mask)

    def landing(
        self, prototypes_KH: Tensor, samples_NH: Tensor, loss: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Loss of walks that should land anywhere, and of the visits: a scalar.

        Args: as in :meth:`returning`; ``loss`` maps log W_t (K, K) to a scalar.
        """
        mask = _mask(prototypes_KH, None)
        to_samples, ends, to_classes = self._walks(prototypes_KH, samples_NH, mask)
        losses = [loss(self._log(end @ to_classes)) for end in ends]
        return self._decayed(losses) + self.visit * self._visits(to_samples, mask)

    def least_landing(self, num_classes: int, num_samples: int) -> float:
        """The value that no landing loss of the uniform cross-entropy goes below:
        (sum_t g^t) ln K + visit ln N."""
        weights = sum(self.decay**t for t in range(self.steps + 1))
        return weights * math.log(num_classes) + self.visit * math.log(num_samples)

    def _walks(self, prototypes_KH, samples_NH, mask_K) -> tuple[Tensor, Iterator[Tensor], Tensor]:
        """R; R, R Q, ... to R Q^T; and L."""
        if len(samples_NH) < 2:
            raise InputError(f"a walk needs two samples or more; there are {len(samples_NH)}")
        similar = SIMILARITIES[self.similarity]
        across = similar(samples_NH, prototypes_KH, self.scale)
        to_samples = across.T.softmax(1)
        to_classes = across.masked_fill(~mask_K, -torch.inf).softmax(1)
        own = torch.eye(len(samples_NH), dtype=torch.bool, device=samples_NH.device)
        between = similar(samples_NH, samples_NH, self.scale).masked_fill(own, -torch.inf)
        return to_samples, _powers(to_samples, between.softmax(1), self.steps), to_classes

    def _visits(self, to_samples_KN: Tensor, mask_K: Tensor) -> Tensor:
        share = (to_samples_KN * mask_K[:, None]).sum(0) / mask_K.sum()
        return -self._log(share).mean()

    def _decayed(self, losses: list[Tensor]) -> Tensor:
        return torch.stack([self.decay**t * loss for t, loss in enumerate(losses)]).sum()

    def _log(self, probabilities: Tensor) -> Tensor:
        floor = torch.finfo(probabilities.dtype).tiny if self.floor is None else self.floor
        return probabilities.clamp_min(floor).log()


def _powers(to_samples: Tensor, between: Tensor, steps: int) -> Iterator[Tensor]:
    """R, R Q, R Q Q, ..., from the left."""
    yield to_samples
    for _ in range(steps):
        to_samples = to_samples @ between
        yield to_samples


def _mask(prototypes_KH: Tensor, present_K: Tensor | None) -> Tensor:
    if present_K is not None:
        return present_K
    return torch.ones(len(prototypes_KH), dtype=torch.bool, device=prototypes_KH.device)


def _mean(values_K: Tensor, mask_K: Tensor) -> Tensor:
    """Mean over the classes that take part; the others get no gradient."""
    return torch.where(mask_K, values_K, torch.zeros_like(values_K)).sum() / mask_K.sum()


def grouped_returning(
    num_classes: int, groups: int, scale: float, *, steps: int = 3, decay: float = 0.7
) -> float:
    """The returning loss, without visits, of K classes in G equal groups of identical features:
    cosine 1 within a group, 0 between groups.

    Every softmax leaves the mass a = e^(s^2) / (e^(s^2) + G - 1) in the group. A walk is in its own
    group with u_0 = a and u_(t+1) = u_t a + (1 - u_t)(1 - a) / (G - 1), and lands in its own class
    with u_(t+1) G / K. The step of a sample to itself is not excluded here, so this is the limit of
    many samples for each class.
    """
    own = math.exp(scale**2)
    kept = own / (own + groups - 1)
    other = (1 - kept) / (groups - 1) if groups > 1 else 0.0
    inside, loss = kept, 0.0
    for t in range(steps + 1):
        inside = inside * kept + (1 - inside) * other
        loss -= decay**t * math.log(inside * groups / num_classes)
    return loss
