r"""Loss terms of GAZSL and CIZSL, by name, without their weights; their weights; the weighted sum.

The critic's are in :mod:`cizsl.critic`. The generator minimises, on its samples x~ = G(z, t_y) and
on hallucinated ones x_h = G(z, t_h):

    -E[D(x~)] + CE(x~, y)/2                                  adversarial term, classification
    + lambda_p mean_c |mean x~_c - mu_c|                     visual pivot
    + lambda_2 sum |W|^2 + lambda_21 sum_v |W_r e_v|         L2, and L21 on the text projection
    - lambda_h E[D(x_h)] + lambda_c E[S(p(.|x_h), uniform)]  CIZSL only, see cizsl.creativity

The published code adds CE(x, y)/2 to the generator's loss. With a linear classifier it has no
gradient in the generator and is omitted here; with the semantic one (:mod:`cizsl.heads`) it is the
term ``classification_real``. GRaWD adds walks (:mod:`cizsl.walks.terms`).

Source: Zhu et al., CVPR 2018 (arXiv:1712.01381), eqs. 3 to 7; Elhoseiny and Elfeki, ICCV 2019
(arXiv:1904.01109), eqs. 1 to 5; Gulrajani et al., NeurIPS 2017 (arXiv:1704.00028), eq. 3.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from cizsl.networks import Generator

Terms = dict[str, Tensor]  # scalar loss terms by name
Classify = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Weights:
    """Weights of the loss terms; the terms that have none weigh 1, the classifier's share 1/2."""

    gradient_penalty: float
    classification: float
    pivot: float
    l2: float
    l21: float
    hallucinated_adversarial: float
    creativity: float
    critic_imitative: float = 0.0
    critic_real: float = 0.0
    generator_imitative: float = 0.0

    @property
    def critic(self) -> dict[str, float]:
        """Weights of the terms of :func:`cizsl.critic.critic_terms`, of ``classify_new``, and of
        the walks."""
        classify = ("classify_real", "classify_fake", "classify_new")
        return {
            "real": -1.0,
            "fake": 1.0,
            "gradient_penalty": self.gradient_penalty,
            **dict.fromkeys(classify, self.classification),
            "critic_imitative": self.critic_imitative,
            "critic_real": self.critic_real,
        }

    @property
    def generator(self) -> dict[str, float]:
        """Weights of the terms of :func:`generator_terms` and :func:`penalise_weights`, of
        ``classification_real``, of those on hallucinated samples, and of the walk."""
        return {
            "adversarial": 1.0,
            "classification": self.classification / 2,
            "classification_real": self.classification / 2,
            "pivot": self.pivot,
            "l2": self.l2,
            "l21": self.l21,
            "hallucinated_adversarial": self.hallucinated_adversarial,
            "creativity": self.creativity,
            "generator_imitative": self.generator_imitative,
        }


def weighted(terms: Terms, weights: Mapping[str, float]) -> Terms:
    """Each term times the weight of its name."""
    return {name: weights[name] * term for name, term in terms.items()}


def generator_terms(
    fake_BD: Tensor,
    critic_B: Tensor,
    logits_BC: Tensor,
    labels_B: Tensor,
    centroids_CD: Tensor,
    reference_compat: bool = False,
    classify: Classify = F.cross_entropy,
) -> Terms:
    """Terms of the generator on its samples of seen classes: ``adversarial``, ``classification``,
    ``pivot``. Those on its weights are :func:`penalise_weights`.

    Args:
        fake_BD: generated features.
        critic_B, logits_BC: the discriminator's outputs on them.
        labels_B: their classes.
        centroids_CD: mean features of the images of each class.
        reference_compat: see :func:`pivot`.
        classify: maps the classifier's outputs and the classes (B,) to the mean cross-entropy.
    """
    return {
        "adversarial": -critic_B.mean(),
        "classification": classify(logits_BC, labels_B),
        "pivot": pivot(fake_BD, labels_B, centroids_CD, reference_compat),
    }


def new_class(logits_BK: Tensor) -> Tensor:
    """Cross-entropy with the last class, which no image has: mean -log p(K | x), a scalar."""
    return -logits_BK.log_softmax(-1)[:, -1].mean()


def gradient_penalty(critic: Callable, real_BD: Tensor, fake_BD: Tensor, weight_B: Tensor):
    """E[(|grad_x D(x^)| - 1)^2] at x^ = weight x + (1 - weight) x~; not multiplied by lambda.

    This form holds for any critic and differentiates twice. Training uses the closed form in
    :mod:`cizsl.critic`.

    Args:
        critic: a callable whose first or only output is the critic's value.
        real_BD, fake_BD: features of images, and generated ones.
        weight_B: (B,) or (B, 1), place of each point between generated (0) and real (1).

    Returns a scalar tensor, differentiable in the critic's parameters.
    """
    mixed = torch.lerp(fake_BD, real_BD, weight_B.reshape(-1, 1)).detach().requires_grad_()
    values = critic(mixed)
    values = values[0] if isinstance(values, tuple) else values
    gradient = torch.autograd.grad(values.sum(), mixed, create_graph=True)[0]
    return (torch.linalg.vector_norm(gradient, dim=1) - 1).square().mean()


def pivot(fake_BD: Tensor, labels_B: Tensor, centroids_CD: Tensor, reference_compat: bool = False):
    """(1/C) sum over the classes c in the batch of |mean of fake rows of class c - centroid_c|.

    One scatter, whatever the number of classes. ``reference_compat`` repeats an error of the
    published code: the mean of a class with a single row is taken over features instead, and that
    scalar is compared with the whole centroid.

    Source: GAZSL eq. 6; train_CIZSL.py, lines 279 to 293.
    """
    num_classes, fake = len(centroids_CD), fake_BD.to(centroids_CD.dtype)
    # not bincount: on CUDA it waits for the device
    count = torch.zeros_like(centroids_CD[:, :1]).index_add(
        0, labels_B, torch.ones_like(fake[:, :1])
    )
    mean = torch.zeros_like(centroids_CD).index_add(0, labels_B, fake) / count.clamp_min(1)
    if reference_compat:
        mean = torch.where(count == 1, mean.mean(1, keepdim=True), mean)
    difference = torch.where(count > 0, mean - centroids_CD, torch.zeros_like(mean))
    return torch.linalg.vector_norm(difference, dim=1).sum() / num_classes


@torch.no_grad()
def penalise_weights(generator: Generator, weights: Mapping[str, float]) -> Terms:
    """Return ``l2`` = sum |W|^2, biases excepted, and ``l21`` = sum_v |W_r e_v|, unweighted, and
    add their weighted gradients to those of the generator's weights:

        2 lambda_2 W  for every W,    lambda_21 W_r e_v / |W_r e_v|  for every column of W_r

    L21 has one norm for each term, so that whole terms drop out; a column of zeros has gradient
    zero, and without a text projection the norm is 0. The passes over W are few: one for the
    squares, one for each gradient. Autograd takes a dozen.

    Args: a generator after the backward pass; ``weights``, lambda_2 and lambda_21 by name.

    Source: GAZSL eq. 7.
    """
    matrices = {k: p for k, p in generator.named_parameters() if k.endswith("weight")}
    squares = {name: weight.square().sum(0) for name, weight in matrices.items()}  # of columns
    for weight in matrices.values():
        _gradient(weight).add_(weight, alpha=2 * weights["l2"])
    l2 = torch.cat(list(squares.values())).sum()
    if generator.text_projection is None:
        return {"l2": l2, "l21": torch.zeros_like(l2)}
    norms, projection = squares["text_projection.weight"].sqrt(), generator.text_projection.weight
    inverse = norms.reciprocal().masked_fill_(norms == 0, 0)
    _gradient(projection).addcmul_(projection, inverse, value=weights["l21"])
    return {"l2": l2, "l21": norms.sum()}


def _gradient(weight: Tensor) -> Tensor:
    assert weight.grad is not None  # every weight takes part in the generator's samples
    return weight.grad
