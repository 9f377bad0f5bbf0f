r"""The critic's loss terms and their gradients, in closed form.

The critic minimises, on real (x, y) and generated (x~, y) features, a WGAN-GP objective with two
classification terms:

    E[D(x~)] - E[D(x)] + lambda_gp E[(|grad D(x^)| - 1)^2] + CE(x, y) + CE(x~, y)

Real and generated rows share every product. With the layers of :class:`Discriminator`,

    a = W x + b,    h = max(a, 0),    D = w . h + c,    outputs = V h + d

The first layer is linear, so the interpolated points x^ = s x + (1 - s) x~ have the interpolated
pre-activations a^ = s a + (1 - s) a~, and the gradient penalty needs no further forward pass:

    m = 1[a^ > 0],    g = grad D(x^) = W^T (w * m),    penalty = mean (|g| - 1)^2

Bars denote gradients of the loss. Those of D and of the outputs are of size batch x classes; from
there, with g- = (2 lambda_gp / B) (1 - 1/|g|) g and P = sum_B m g-^T,

    a- = 1[a > 0] * (w D- + V^T outputs-)
    W- = sum a- x^T + w P    (P times each row's w),    w- = sum D- h + (P * W) 1_D

and b-, V-, d- as for any linear layer. m is constant almost everywhere. Autograd on the penalty
needs three products instead of P, and five times as many small operations on everything else.

Source: Gulrajani et al., NeurIPS 2017 (arXiv:1704.00028), eq. 3; Zhu et al., CVPR 2018
(arXiv:1712.01381), eqs. 3 to 5.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from cizsl.losses import Classify, Terms
from cizsl.networks import Discriminator


@torch.no_grad()
def critic_terms(
    discriminator: Discriminator,
    real_BD: Tensor,
    fake_BD: Tensor,
    labels_B: Tensor,
    place_B: Tensor,
    weights: Mapping[str, float],
    classify: Classify = F.cross_entropy,
) -> Terms:
    """Set the gradients of the discriminator's parameters; return the terms ``real``, ``fake``,
    ``gradient_penalty``, ``classify_real``, ``classify_fake``, unweighted.

    Args:
        discriminator: critic and classifier.
        real_BD, fake_BD: features of images, and generated ones.
        labels_B: classes of both.
        place_B: of each interpolated point, between generated (0) and real (1).
        weights: of the terms, by name.
        classify: maps the classifier's outputs and the classes (B,) to the mean cross-entropy.
    """
    x, size, dtype = torch.cat([real_BD, fake_BD]), len(real_BD), real_BD.dtype
    preactivation = discriminator.preactivation(x)
    hidden = preactivation.relu()
    values, outputs = discriminator.heads(hidden)
    real, fake = values.to(dtype).view(2, size).mean(1)
    cross_entropies, outputs_slope = _classification(outputs, labels_B, weights, classify)
    value_slope = torch.full_like(values, weights["fake"] / size)
    value_slope[:size] = weights["real"] / size

    at_real, at_fake = preactivation.split(size)
    mixed = torch.lerp(at_fake, at_real, place_B[:, None].to(at_fake.dtype))
    penalty, P = _penalty(discriminator, mixed, dtype, weights["gradient_penalty"])

    W, w, V = discriminator.shared, discriminator.critic, discriminator.classifier
    slope = outputs_slope @ V.weight
    slope.addr_(value_slope, w.weight[0].to(slope.dtype)).mul_(hidden.sign())
    of_w = value_slope @ hidden + (P * W.weight).sum(1)
    _set(W, P.mul_(w.weight.T).addmm_(slope.T, x.to(P.dtype)), slope.sum(0))
    _set(w, of_w[None], torch.full_like(w.bias, weights["real"] + weights["fake"]))
    _set(V, outputs_slope.T @ hidden, outputs_slope.sum(0))
    return {"real": real, "fake": fake, "gradient_penalty": penalty, **cross_entropies}


def _classification(
    outputs: Tensor, labels_B: Tensor, weights: Mapping[str, float], classify: Classify
) -> tuple[Terms, Tensor]:
    """Both cross-entropies, and the gradient of their weighted sum in the outputs (2B, M)."""
    with torch.enable_grad():
        outputs = outputs.detach().requires_grad_()
        real, fake = (classify(half, labels_B) for half in outputs.chunk(2))
        loss = weights["classify_real"] * real + weights["classify_fake"] * fake
    with torch.autocast(loss.device.type, enabled=False):
        (slope,) = torch.autograd.grad(loss, outputs)
    return {"classify_real": real.detach(), "classify_fake": fake.detach()}, slope


def _penalty(
    discriminator: Discriminator, mixed_BH: Tensor, dtype: torch.dtype, weight: float
) -> tuple[Tensor, Tensor]:
    """The gradient penalty where the pre-activation is given, and P (H, D)."""
    active = mixed_BH.sign().relu()
    gradient = ((active * discriminator.critic.weight) @ discriminator.shared.weight).to(dtype)
    norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    slope = (2 * weight / len(mixed_BH) * (1 - 1 / norm)).masked_fill_(norm == 0, 0)
    return (norm - 1).square().mean(), active.T @ (gradient * slope)


def _set(layer: torch.nn.Linear, weight: Tensor, bias: Tensor) -> None:
    layer.weight.grad = weight.to(layer.weight.dtype)
    layer.bias.grad = bias.to(layer.bias.dtype)
