r"""The losses of GAZSL and CIZSL, as named terms.

Critic, on real (x, y) and generated (x~, y) features, a WGAN-GP with two classification terms:

    E[D(x~)] - E[D(x)] + lambda_gp E[(|grad D(x^)| - 1)^2] + CE(x, y) + CE(x~, y)

Generator, on its samples x~ = G(z, t_y) and on hallucinated ones x_h = G(z, t_h):

    -E[D(x~)] + CE(x~, y)/2                        realness, classification
    + lambda_p mean_c |mean x~_c - mu_c|           visual pivot: class means meet class centroids
    + lambda_2 sum |W|^2 + lambda_21 sum_v |W_r e_v|      L2, and L21 on the text projection
    - lambda_h E[D(x_h)] + lambda_c E[S(p(.|x_h), uniform)]       CIZSL: real, yet like no class

The published code adds CE(x, y)/2 to the generator's loss: no gradient there, so left out here.

Source: Zhu et al., CVPR 2018 (arXiv:1712.01381), eqs. 3 to 7; Elhoseiny and Elfeki, ICCV 2019
(arXiv:1904.01109), eqs. 1 to 5; Gulrajani et al., NeurIPS 2017 (arXiv:1704.00028), eq. 3.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from cizsl import divergences
from cizsl.networks import Discriminator, Generator

Terms = dict[str, Tensor]


def gradient_penalty(critic: Callable, real_BD: Tensor, fake_BD: Tensor, weight_B: Tensor):
    """E[(|grad_x D(x^)| - 1)^2] at x^ = weight x + (1 - weight) x~; not multiplied by lambda.

    Args: ``critic``, a :class:`Discriminator` (closed-form gradient) or any callable whose first
    or only output is the critic's value (autograd); real, fake (B, D); weight (B,) or (B, 1).
    Returns a scalar tensor, differentiable in the critic's parameters.
    """
    mixed = torch.lerp(fake_BD, real_BD, weight_B.reshape(-1, 1))
    if hasattr(critic, "input_gradient"):
        return _penalty(critic.input_gradient(critic.preactivation(mixed)))
    mixed = mixed.detach().requires_grad_()
    values = critic(mixed)
    values = values[0] if isinstance(values, tuple) else values
    return _penalty(torch.autograd.grad(values.sum(), mixed, create_graph=True)[0])


def _penalty(gradient_BD: Tensor) -> Tensor:
    return (torch.linalg.vector_norm(gradient_BD, dim=1) - 1).square().mean()


def critic_terms(
    discriminator: Discriminator,
    real_BD: Tensor,
    fake_BD: Tensor,
    labels_B: Tensor,
    weight_B: Tensor,
) -> Terms:
    """The critic's terms: ``real``, ``fake``, ``gradient_penalty``, ``classify_real``,
    ``classify_fake``; scalars, unweighted. ``weight_B`` places the penalty's points.

    Real and generated rows share one product, and the pre-activations of the penalty's points
    are the mixture of theirs: the critic's first layer is linear.
    """
    preactivation = discriminator.preactivation(torch.cat([real_BD, fake_BD]))
    critic, logits = discriminator.heads(preactivation)
    critic_real, critic_fake = critic.to(real_BD.dtype).chunk(2)
    logits_real, logits_fake = logits.chunk(2)
    at_real, at_fake = preactivation.detach().chunk(2)
    mixed = torch.lerp(at_fake, at_real, weight_B[:, None].to(at_fake.dtype))
    return {
        "real": critic_real.mean(),
        "fake": critic_fake.mean(),
        "gradient_penalty": _penalty(discriminator.input_gradient(mixed).to(real_BD.dtype)),
        "classify_real": F.cross_entropy(logits_real, labels_B),
        "classify_fake": F.cross_entropy(logits_fake, labels_B),
    }


def pivot(fake_BD: Tensor, labels_B: Tensor, centroids_CD: Tensor, published: bool = False):
    """(1/C) sum over the classes c in the batch of |mean of fake rows of class c - centroid_c|.

    One scatter, whatever the number of classes. ``published`` repeats a quirk of the published
    code: the mean of a class with a single row is taken over features instead, and the scalar is
    compared with the whole centroid. Source: GAZSL eq. 6; train_CIZSL.py, lines 279 to 293.
    """
    num_classes, fake = len(centroids_CD), fake_BD.to(centroids_CD.dtype)
    # not bincount: on CUDA it waits for the device
    count = torch.zeros_like(centroids_CD[:, :1]).index_add(
        0, labels_B, torch.ones_like(fake[:, :1])
    )
    mean = torch.zeros_like(centroids_CD).index_add(0, labels_B, fake) / count.clamp_min(1)
    if published:
        mean = torch.where(count == 1, mean.mean(1, keepdim=True), mean)
    difference = torch.where(count > 0, mean - centroids_CD, torch.zeros_like(mean))
    return torch.linalg.vector_norm(difference, dim=1).sum() / num_classes


def l2(generator: Generator) -> Tensor:
    """Sum of squares of the generator's weights, biases excepted."""
    weights = [p for name, p in generator.named_parameters() if name.endswith("weight")]
    return torch.stack([weight.square().sum() for weight in weights]).sum()


def l21(generator: Generator) -> Tensor:
    """sum_v |W_r e_v|: the norms of the text projection's columns, one for each term, so that
    whole terms drop out; 0 where there is no projection. Source: GAZSL eq. 7."""
    if generator.text_projection is None:
        return generator.hidden.weight.new_zeros(())
    return torch.linalg.vector_norm(generator.text_projection.weight, dim=0).sum()


def creativity(
    logits_BC: Tensor,
    divergence: str,
    exponents: tuple[divergences.Exponent, divergences.Exponent],
    form: str = "exact",
) -> Tensor:
    """Mean divergence of the class posterior on hallucinated samples from uniform: a scalar.

    Args: class logits (B, C); ``divergence``, a key of :data:`divergences.EXACT`, or
    ``new_class``: the cross-entropy of class C - 1, the one that no image has; ``exponents``
    (alpha, beta). ``form="published"`` rescales each batch to [0, 1] by its own minimum and
    maximum, gradient and all, except for kl; equal rows then give NaN, as they did.
    """
    if divergence == "new_class":
        return -logits_BC.log_softmax(-1)[:, -1].mean()
    if form == "exact":
        return divergences.EXACT[divergence](logits_BC.softmax(-1), *exponents).mean()
    values = divergences.published(logits_BC, divergence, *exponents)
    if divergence == "kl":
        return values.mean()
    low, high = values.min(), values.max()
    return ((values - low) / (high - low)).mean()
