"""Every shortcut of the losses against plain autograd in float64."""

import numpy as np
import pytest
import torch

from cizsl import hallucination, losses
from cizsl.critic import critic_terms
from repro.errors import InputError
from tests.cizsl.small_gan import B, C, D, draw_hallucination, gan, networks
from tests.helpers.oracles import (
    PlainDiscriminator,
    plain_gradient_penalty,
    plain_hallucination,
    plain_pivot,
)

pytestmark = pytest.mark.usefixtures("float64")


def closed_form(discriminator, real, fake, weight):
    """The penalty that training uses, and the gradients that it sets."""
    labels = torch.zeros(B, dtype=torch.long)
    weights = dict.fromkeys(("real", "fake", "classify_real", "classify_fake"), 0.0)
    weights["gradient_penalty"] = 1.0
    return critic_terms(discriminator, real, fake, labels, weight, weights)["gradient_penalty"]


def generic(wrap):
    def penalty(discriminator, *points):
        value = losses.gradient_penalty(wrap(discriminator), *points)
        value.backward()
        return value.detach()

    return penalty


@pytest.mark.parametrize(
    "penalty", [closed_form, generic(lambda d: d), generic(lambda d: lambda x: d(x)[0])]
)
def test_gradient_penalty_is_double_backward(penalty):
    """The closed form, and the generic form of any callable: value and every gradient."""
    _, discriminator = networks()
    plain = PlainDiscriminator(discriminator)
    real, fake, weight = torch.randn(B, D), torch.randn(B, D), torch.rand(B)
    ours = penalty(discriminator, real, fake, weight)
    theirs = plain_gradient_penalty(plain, real, fake, weight)
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-12, atol=0)
    theirs.backward()
    for name in ("shared.weight", "critic.weight"):
        torch.testing.assert_close(
            discriminator.get_parameter(name).grad, plain.get_parameter(name).grad
        )


def test_a_critic_without_a_gradient_has_a_finite_penalty():
    """Where |g| = 0 its subgradient is 0, as autograd has it; the penalty is 1."""
    _, discriminator = networks()
    torch.nn.init.constant_(discriminator.shared.bias, -1e3)  # no unit is active
    penalty = closed_form(discriminator, torch.randn(B, D), torch.randn(B, D), torch.rand(B))
    assert penalty == 1
    assert all(not p.grad.any() for p in discriminator.parameters())


def test_penalty_of_a_linear_critic_in_closed_form():
    """|grad| = |w| everywhere, so the penalty is (|w| - 1)^2."""
    w = torch.randn(D)
    penalty = losses.gradient_penalty(
        lambda x: x @ w, torch.randn(B, D), torch.randn(B, D), torch.rand(B, 1)
    )
    assert penalty.item() == pytest.approx((w.norm().item() - 1) ** 2, rel=1e-12)


def test_hallucinated_text_is_normalised_and_never_needed():
    """Coefficients from the Gram matrix give the mixed text, through any linear map; the
    all-zero class included."""
    generator, discriminator = networks()
    state, drawn = gan(generator, discriminator, divergence="kl"), draw_hallucination()
    whole = hallucination.hallucinate(state.text, drawn.first, drawn.second, drawn.weight)
    torch.testing.assert_close(whole, plain_hallucination(state.text, drawn))
    lengths = whole.norm(dim=1)
    both_empty = (drawn.first == 2) & (drawn.second == 2)
    torch.testing.assert_close(lengths, (~both_empty).to(lengths.dtype))
    mixture = hallucination.mixture(state.gram, drawn.first, drawn.second, drawn.weight)
    torch.testing.assert_close(mixture.of(state.text), whole)
    projected = mixture.of(generator.project(state.text))
    torch.testing.assert_close(projected, generator.project(whole))


def test_hallucinated_text_meets_the_published_code(golden):
    arrays = np.load(golden("cizsl/hallucinated_text.npz"))
    for case in "ab":
        part = {k[2:]: arrays[k] for k in arrays if k.startswith(case)}
        labels = part["labels"].astype(np.int64)
        first, second = (torch.from_numpy(labels[part[name]]) for name in ("perm1", "perm2"))
        text = torch.from_numpy(part["class_text"].astype(np.float64))
        ours = hallucination.hallucinate(text, first, second, torch.from_numpy(part["alpha"]))
        np.testing.assert_allclose(ours.numpy(), part["out_float64"], rtol=1e-7, atol=1e-9)


def test_pairs():
    random = torch.Generator().manual_seed(0)
    classes = torch.tensor([1, 4, 7])
    first, second = hallucination.distinct_pairs(classes, 3000, random)
    assert (first != second).all()
    counts = torch.bincount(
        3 * torch.searchsorted(classes, first) + torch.searchsorted(classes, second)
    )
    # six ordered pairs, each 500 times expected: 5 standard deviations are 102
    assert sorted(counts.nonzero().ravel().tolist()) == [1, 2, 3, 5, 6, 7]
    assert (counts[counts > 0] - 500).abs().max() < 102
    labels = torch.tensor([5, 5, 6, 7])
    for part in hallucination.pairs_from_batch(labels, random):
        assert sorted(part.tolist()) == [5, 5, 6, 7]
    with pytest.raises(InputError, match="two classes"):
        hallucination.distinct_pairs(classes[:1], 2, random)


def test_pivot_is_the_loop_over_classes():
    fake, labels = torch.randn(B, D, requires_grad=True), torch.randint(C - 1, (B,))
    centroids = torch.randn(C, D)  # class C - 1 is absent from the batch
    ours, theirs = losses.pivot(fake, labels, centroids), plain_pivot(fake, labels, centroids)
    torch.testing.assert_close(ours, theirs)
    gradients = [torch.autograd.grad(loss, fake, retain_graph=True)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*gradients)


def test_pivot_at_the_centroid_has_a_finite_gradient():
    """The published code takes sqrt at zero: its gradient there is NaN."""
    centroids = torch.randn(C, D)
    fake = centroids.clone().requires_grad_()
    losses.pivot(fake, torch.arange(C), centroids).backward()
    assert fake.grad.isfinite().all()


def test_weights_are_penalised_as_by_autograd():
    """Values and gradients of L2 and L21, a column of zeros included, beside earlier gradients."""
    generator, _ = networks()
    with torch.no_grad():
        generator.text_projection.weight[:, 3] = 0
    layers = (generator.text_projection, generator.hidden, generator.output)
    squares = sum((layer.weight**2).sum() for layer in layers)
    norms = sum(torch.linalg.vector_norm(column) for column in generator.text_projection.weight.T)
    (0.7 * squares + 0.3 * norms).backward()
    expected = {name: p.grad for name, p in generator.named_parameters()}
    for parameter in generator.parameters():
        parameter.grad = torch.ones_like(parameter)
    terms = losses.penalise_weights(generator, {"l2": 0.7, "l21": 0.3})
    torch.testing.assert_close(terms, {"l2": squares.detach(), "l21": norms.detach()})
    for name, parameter in generator.named_parameters():
        added = torch.zeros_like(parameter) if expected[name] is None else expected[name]
        torch.testing.assert_close(parameter.grad, 1 + added)
