r"""Class logits of the discriminator: a linear classifier, or the semantic one of CIZSL-v2.

With the discriminator's hidden layer h(x) and the generator's reduced text e(t) = W_r t + b_r,

    linear     l(x)   = W_c h(x) + b_c                                weights of their own
    semantic   l_k(x) = s(x) . e(t_k),   s(x) = W_s h(x) + b_s        weights from the text

The semantic classifier maps an image into the generator's space of reduced texts. It has no weight
of a class, so it classifies any class that has a text, unseen ones included
(:func:`cizsl.evaluate.evaluate_discriminator`). Its cross-entropies train e as well as s: the real
images' one is a constant for the generator with the linear classifier, and here it is not. In the
K+1 variant, the new class of a hallucinated sample is its own text: l_(K+1)(x_h) = s(x_h) . e(t_h).

The outputs M of the discriminator's last layer are those of W_c or W_s; R is the width of e.

Source: Elhoseiny, Yi and Elfeki, CIZSL++ (arXiv:2101.00173); its code, which was read,
github.com/Vision-CAIR/CIZSLv2 at e14db90, has the inner product without bias, temperature and
normalisation. The K+1 variant ends there with an index error, so its form is ours.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F


class Head(ABC):
    """Maps the discriminator's outputs (B, M) to class logits.

    Args:
        num_classes: C, the seen classes.
        extra: logits beside theirs, 1 in the K+1 variant.
        text_width: R.
        scale: of the semantic logits: None for the inner product, else scale * cosine.
    """

    uses_text = True

    def __init__(self, num_classes: int, extra: int, text_width: int, scale: float | None = None):
        self.num_classes, self.extra = num_classes, extra
        self.text_width, self.scale = text_width, scale

    @property
    @abstractmethod
    def width(self) -> int:
        """M, the outputs that the discriminator needs."""

    @abstractmethod
    def embed(self, outputs_BM: Tensor) -> Tensor:
        """s(x): the image in the space of reduced texts, (B, M) -> (B, R)."""

    def logits(self, outputs_BM: Tensor, texts_CR: Tensor, own_BR: Tensor | None = None) -> Tensor:
        """Logits of the C classes with reduced texts e(t_k), and of the class ``own_BR`` that each
        row has of its own, where it is given: (B, C) or (B, C + 1)."""
        images = self.embed(outputs_BM)
        if self.scale is not None:
            images, texts_CR = self.scale * F.normalize(images, dim=1), F.normalize(texts_CR, dim=1)
            own_BR = None if own_BR is None else F.normalize(own_BR, dim=1)
        logits = images @ texts_CR.T
        if own_BR is None:
            return logits
        return torch.cat([logits, (images * own_BR).sum(1, keepdim=True)], dim=1)

    def cross_entropy(self, outputs_BM: Tensor, labels_B: Tensor, texts_CR: Tensor) -> Tensor:
        """Mean of -log p(y | x), a scalar."""
        return F.cross_entropy(self.logits(outputs_BM, texts_CR), labels_B)


class LinearHead(Head):
    """W_c h(x) + b_c: the outputs are the logits; there are no texts."""

    uses_text = False

    @property
    def width(self) -> int:
        """C + extra."""
        return self.num_classes + self.extra

    def embed(self, outputs_BM: Tensor) -> Tensor:
        """Return the logits, which are all there is."""
        return outputs_BM

    def logits(self, outputs_BM: Tensor, texts_CR=None, own_BR=None) -> Tensor:
        """Return the outputs: (B, C + extra)."""
        return outputs_BM


class SemanticHead(Head):
    """s(x) . e(t_k): the outputs are s(x)."""

    @property
    def width(self) -> int:
        """R."""
        return self.text_width

    def embed(self, outputs_BM: Tensor) -> Tensor:
        """Return the outputs."""
        return outputs_BM


class BothHeads(Head):
    """Both classifiers on one hidden layer; their cross-entropies are added.

    The creativity loss and the classification of unseen classes are those of the semantic one.
    """

    @property
    def width(self) -> int:
        """C + R."""
        return self.num_classes + self.text_width

    def embed(self, outputs_BM: Tensor) -> Tensor:
        """Return the last R outputs."""
        return outputs_BM[:, self.num_classes :]

    def cross_entropy(self, outputs_BM: Tensor, labels_B: Tensor, texts_CR: Tensor) -> Tensor:
        """Return the sum of the two classifiers' cross-entropies."""
        linear = F.cross_entropy(outputs_BM[:, : self.num_classes], labels_B)
        return linear + super().cross_entropy(outputs_BM, labels_B, texts_CR)


HEADS: dict[str, type[Head]] = {
    "linear": LinearHead,
    "semantic": SemanticHead,
    "both": BothHeads,
}
