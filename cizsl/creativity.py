"""Creativity losses: how the class posterior of hallucinated samples is driven away from certainty.

CIZSL asks that a sample of a hallucinated text belong to no seen class. Its discriminator gives
class logits, and a creativity loss maps them to a scalar: the divergence of the posterior from
uniform, or the cross-entropy with one more class, K, that no image has ("K+1 classes").

In GRaWD the loss is on the probabilities with which random walks through hallucinated samples land
at the seen classes (:mod:`cizsl.walks.random_walk`); their logarithms stand for the logits.

Each loss declares how many logits it needs beside those of the seen classes, whether the critic
learns the new class too, and whether it is on walks. A loss exists in an exact form, and in the
form of the published code where that code has one.

Source: Elhoseiny and Elfeki, ICCV 2019 (arXiv:1904.01109), section 3.2.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor

from cizsl import divergences
from cizsl.divergences import Parameter
from cizsl.losses import new_class
from repro import plugins
from repro.errors import InputError


class CreativityLoss(ABC):
    """A loss on the class logits (B, C + extra_logits) of hallucinated samples."""

    extra_logits = 0  # class logits beyond those of the seen classes
    teaches_critic = False  # whether the critic learns hallucinated samples as the new class
    weighted = True  # whether creativity.weight applies
    walks = False  # whether the rows are log W_t (C, C) of random walks, not logits of samples

    @abstractmethod
    def __call__(self, logits_BC: Tensor, alpha: Parameter, beta: Parameter) -> Tensor:
        """The mean over the samples, a scalar; alpha and beta parametrise divergences."""

    def check(self, alpha: float | str, beta: float | str) -> None:  # noqa: B027
        """Raise :class:`InputError` where the loss does not take these parameters, each a number
        or ``"learned"``."""


class Divergence(CreativityLoss):
    """Mean divergence of the posterior from uniform.

    Args: ``function(p_BC, alpha, beta) -> (B,)``, a divergence of rows on the simplex.
    """

    def __init__(self, function: Callable[[Tensor, Parameter, Parameter], Tensor]):
        self.function = function

    def __call__(self, logits_BC: Tensor, alpha: Parameter, beta: Parameter) -> Tensor:
        return self.function(logits_BC.softmax(-1), alpha, beta).mean()


class NewClass(CreativityLoss):
    """Cross-entropy with the new class, which the critic learns from hallucinated samples."""

    extra_logits = 1
    teaches_critic = True

    def __call__(self, logits_BC: Tensor, alpha: Parameter, beta: Parameter) -> Tensor:
        return new_class(logits_BC)


class PublishedDivergence(CreativityLoss):
    """Mean of :func:`divergences.published`, rescaled to [0, 1] by the batch's own extremes.

    The gradient includes the extremes. Rows of equal divergence give 0/0 = NaN, as in the
    published code.

    Args:
        name: a key of :data:`divergences.EXACT`.
        rescaled: whether the batch is rescaled.
        fixed: the parameter that the published code does not learn here, and its value.
        singular: whether the form divides by beta - 1.
    """

    def __init__(
        self,
        name: str,
        rescaled: bool = True,
        fixed: tuple[str, float] | None = None,
        singular: bool = False,
    ):
        self.name, self.rescaled, self.fixed, self.singular = name, rescaled, fixed, singular

    def __call__(self, logits_BC: Tensor, alpha: Parameter, beta: Parameter) -> Tensor:
        values = divergences.published(logits_BC, self.name, alpha, beta)
        if self.rescaled:
            low, high = values.min(), values.max()
            values = (values - low) / (high - low)
        return values.mean()

    def check(self, alpha: float | str, beta: float | str) -> None:
        if self.fixed:
            key, value = self.fixed
            if {"alpha": alpha, "beta": beta}[key] == "learned":
                raise InputError(
                    f"{key}: the published form of {self.name} does not learn it; it used {value}"
                )
        if self.singular and beta == 1:
            raise InputError("beta: the published form divides by beta - 1; it used 0.9999")


class PublishedNewClass(CreativityLoss):
    """Cross-entropy with the new class as published: unweighted, and the critic never sees a
    sample of that class."""

    extra_logits = 1
    weighted = False

    def __call__(self, logits_BC: Tensor, alpha: Parameter, beta: Parameter) -> Tensor:
        return new_class(logits_BC)


class UniformLanding(CreativityLoss):
    """Cross-entropy of the uniform distribution with the landing probabilities of random walks:
    -mean_cd log W[c, d] = mean_c KL(uniform || W[c]) + ln C (GRaWD, arXiv:2104.09757)."""

    walks = True

    def __call__(self, logits_BC: Tensor, alpha: Parameter, beta: Parameter) -> Tensor:
        return -logits_BC.mean()


CREATIVITY: dict[str, CreativityLoss] = {
    **{name: Divergence(function) for name, function in divergences.EXACT.items()},
    "new_class": NewClass(),
    "random_walk": UniformLanding(),
}
PUBLISHED: dict[str, CreativityLoss] = {
    "sharma_mittal": PublishedDivergence("sharma_mittal", singular=True),
    "renyi": PublishedDivergence("renyi", fixed=("beta", 0.9999), singular=True),
    "tsallis": PublishedDivergence("tsallis"),
    "bhattacharyya": PublishedDivergence("bhattacharyya", fixed=("alpha", 0.5)),
    "kl": PublishedDivergence("kl", rescaled=False),
    "new_class": PublishedNewClass(),
    "random_walk": UniformLanding(),
}
FORMS = {"exact": CREATIVITY, "published": PUBLISHED}


def resolve(name: str, form: str) -> CreativityLoss | None:
    """Return the loss ``name`` in its ``form``, "exact" or "published"; None for "none" (GAZSL).

    A plugin ``package.module:name`` is a divergence ``function(p_BC, alpha, beta) -> (B,)`` or a
    :class:`CreativityLoss`, and has the exact form only. Raises :class:`InputError` for an unknown
    name, and where a divergence has no published form.
    """
    if name == "none":
        return None
    if form == "published" and name not in PUBLISHED:
        raise InputError(
            f"divergence '{name}' has no published form: expected one of "
            f"{', '.join(PUBLISHED)}, or creativity.form=exact"
        )
    found = plugins.resolve(name, FORMS[form], "divergence")
    return found if isinstance(found, CreativityLoss) else Divergence(found)
