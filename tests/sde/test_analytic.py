"""The closed-form distributions, against torch.distributions, autograd and Fokker-Planck."""

import pytest
import torch
from torch import distributions as D

from repro.errors import InputError
from sde.analytic import Mixture, gaussian, gaussian_flow, ring
from sde.reverse import probability_flow
from tests.helpers.oracles_sde import (
    ALL_SDES,
    generator,
    image_mixture,
    plane_gaussian,
    plane_mixture,
)

NAMES = list(ALL_SDES)
MAKERS = {"plane": plane_mixture, "image": image_mixture, "gaussian": plane_gaussian}
TIMES = torch.tensor([1e-5, 1e-3, 0.1, 0.4, 0.8, 1.0], dtype=torch.float64)


def torch_mixture(mixture, scale=1.0, added=0.0):
    """The same density by torch's own classes and a Cholesky factor."""
    K, dims = mixture.means.shape
    axes = torch.eye(dims).double().expand(K, dims, dims) if mixture.axes is None else mixture.axes
    covariance = (axes * mixture.variances[:, None, :]) @ axes.mT
    covariance = scale**2 * covariance + added * torch.eye(dims, dtype=torch.float64)
    components = D.MultivariateNormal(scale * mixture.means, covariance)
    return D.MixtureSameFamily(D.Categorical(logits=mixture.log_weights), components)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_density_and_score_at_every_time(make, name):
    mixture, sde = make(), ALL_SDES[name]
    x = mixture.sample_at(sde, TIMES, generator()).requires_grad_()
    value = mixture.log_prob(x, sde, TIMES)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert torch.allclose(mixture.score(x, sde, TIMES), gradient, rtol=1e-8, atol=1e-8)
    for i, t in enumerate(TIMES[:, None]):
        reference = torch_mixture(mixture, sde.scale(t).item(), (sde.std(t) ** 2).item())
        expected = reference.log_prob(x[i : i + 1].flatten(1))
        assert torch.allclose(value[i : i + 1], expected, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_density_obeys_fokker_planck(name):
    """d log p/dt = -D f - f x.s + g^2 (div s + |s|^2) / 2, s the score: ties sde to analytic."""
    mixture, sde = plane_mixture(), ALL_SDES[name]
    t = torch.tensor([0.01, 0.2, 0.5, 0.9], dtype=torch.float64).requires_grad_()
    x = mixture.sample_at(sde, t.detach(), generator(3)).requires_grad_()
    (change,) = torch.autograd.grad(mixture.log_prob(x, sde, t).sum(), t)
    score = mixture.score(x, sde, t.detach())
    divergence = sum(
        torch.autograd.grad(score[:, d].sum(), x, retain_graph=True)[0][:, d] for d in (0, 1)
    )
    f, g = sde.drift_rate(t.detach()), sde.diffusion(t.detach())
    expected = -2 * f - f * (x * score).sum(1) + g**2 / 2 * (divergence + (score**2).sum(1))
    assert torch.allclose(change, expected.detach(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_flow_of_a_gaussian_follows_its_ode(name):
    gauss, sde = plane_gaussian(), ALL_SDES[name]
    x = gauss.sample(5, generator())
    start = torch.tensor([0.3], dtype=torch.float64)
    step = torch.tensor([1e-5], dtype=torch.float64)
    forward = gaussian_flow(gauss, sde, x, start, start + step)
    backward = gaussian_flow(gauss, sde, x, start, start - step)
    velocity = probability_flow(sde, gauss.score_fn(sde)).drift(x, start)
    assert torch.allclose((forward - backward) / (2 * step), velocity, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("make", [plane_mixture, image_mixture])
def test_samples_have_the_stated_moments(make):
    mixture = make()
    x = mixture.sample(40_000, generator()).flatten(1)
    mean, covariance = mixture.moments()
    spread = covariance.diagonal().sqrt()
    assert ((x.mean(0) - mean).abs() < 5 * spread / 200).all()
    bound = 8 * spread[:, None] * spread / 200
    assert ((torch.cov(x.T) - covariance).abs() < bound).all()
    x, k = mixture.labelled_sample(40_000, generator())
    share = torch.bincount(k) / len(k)
    assert torch.allclose(share.double(), mixture.log_weights.exp(), atol=0.0125)


def test_component_probabilities_are_the_bayes_classifier():
    mixture, sde = plane_mixture(), ALL_SDES["vp"]
    x = mixture.sample(6, generator())
    t = torch.full((6,), 0.2, dtype=torch.float64)
    parts = []
    for k in range(3):
        axes = mixture.axes[k]
        covariance = (axes * mixture.variances[k]) @ axes.T
        part = gaussian(mixture.means[k], covariance)
        parts.append(mixture.log_weights[k] + part.log_prob(x, sde, t))
    expected = torch.log_softmax(torch.stack(parts, 1), 1)
    assert torch.allclose(mixture.component_log_prob(x, sde, t), expected, atol=1e-10)


def test_dtypes_and_bad_input():
    small = ring().to(torch.float32)
    x = small.sample(4, generator())
    assert small.score(x).dtype == torch.float32 and small.log_prob(x).shape == (4,)
    with pytest.raises(InputError, match="covariances"):
        Mixture(torch.zeros(2, 3), torch.ones(3))
    with pytest.raises(InputError, match="positive"):
        Mixture(torch.zeros(2, 3), torch.zeros(2))
    with pytest.raises(InputError, match="events"):
        small.score(torch.zeros(4, 3))
