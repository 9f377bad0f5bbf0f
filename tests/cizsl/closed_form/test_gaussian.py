"""The Gaussian classes against torch.distributions, and the moments of their samples."""

import pytest
import torch
from torch.distributions import MultivariateNormal

from cizsl.closed_form import class_means, gaussian
from cizsl.data.discriminants import discriminants, within_covariance
from repro.errors import InputError


@pytest.fixture(scope="module")
def world():
    """Nine seen and three unseen classes in 14 features, whose means follow from texts."""
    g = torch.Generator().manual_seed(5)

    def draw(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    texts, weights = draw(12, 20), draw(20, 14)
    mix = draw(14, 14) / 3 + torch.eye(14, dtype=torch.float64)
    means = texts @ weights / 4 + draw(12, 14) / 2
    labels = torch.arange(9).repeat_interleave(40)
    features = means[labels] + draw(360, 14) @ mix.T
    centroids = torch.stack([features[labels == k].mean(0) for k in range(9)])
    predicted = class_means.predict(texts[:9], texts[9:], centroids, 0.1)
    within = within_covariance(features, labels, centroids)
    space = discriminants(within, centroids, 0.2)
    return features, labels, centroids, predicted, space, within


def test_within_covariance_is_the_pooled_one(world):
    features, labels, *_, within = world
    parts = [(features[labels == k].T.cov() * 39) for k in range(9)]
    torch.testing.assert_close(within, sum(parts) / (360 - 9))


def test_coordinates_span_the_centroids_and_invert(world):
    *_, centroids, _, space, within = world
    assert space.project.shape == (8, 14)  # nine centred centroids
    identity = torch.eye(8, dtype=torch.float64)
    torch.testing.assert_close(space.project @ space.embed, identity)
    torch.testing.assert_close(space.decode(space.encode(centroids)), centroids)
    torch.testing.assert_close(space.within, space.project @ within @ space.project.T)


@pytest.mark.parametrize("spread", [0.0, 0.7])
def test_log_density_is_that_of_the_normal_distribution(world, spread):
    features, _, centroids, predicted, space, _ = world
    model = gaussian.GaussianClasses(space, centroids, predicted, spread)
    y = space.encode(features)
    errors = space.encode(predicted.left_out) - space.encode(centroids)
    ratio = predicted.unseen_variance / predicted.left_out_variance.mean()
    exact = []
    for c in range(12):
        mean = space.encode((centroids[c] if c < 9 else predicted.unseen[c - 9])[None])[0]
        extra = 0 if c < 9 else spread * ratio[c - 9] * errors.T @ errors / 9
        exact.append(MultivariateNormal(mean, space.within + extra).log_prob(y))
    ours, exact = model.log_density(features), torch.stack(exact, 1)
    constant = (ours - exact)[0, 0]
    torch.testing.assert_close(ours - constant, exact)


def test_samples_have_the_moments_of_their_class(world):
    """The standard error of a mean of n draws is sigma / sqrt(n); five of them are allowed."""
    *_, centroids, predicted, space, _ = world
    model = gaussian.GaussianClasses(space, centroids, predicted, 0.7)
    count = 20_000
    drawn = model.sample(torch.tensor([2, 10]), count, torch.Generator().manual_seed(0))
    for k, c in enumerate((2, 10)):
        y = space.encode(drawn[k])
        covariance = model.axes @ torch.diag(model.variance[c]) @ model.axes.T
        mean = model.axes @ model.mean[c]
        error = 5 * covariance.diagonal().sqrt() / count**0.5
        assert ((y.mean(0) - mean).abs() < error).all()
        size = covariance.diagonal().sqrt()
        bound = 5 * 2**0.5 * size[:, None] * size / count**0.5
        assert ((y.T.cov() - covariance).abs() < bound).all()


@pytest.mark.parametrize("shrinkage", [0.0, 0.5])
def test_images_that_do_not_differ_are_said(shrinkage):
    centroids = torch.eye(3, dtype=torch.float64)
    within = torch.zeros(3, 3, dtype=torch.float64)
    with pytest.raises(InputError, match="covariance within classes is singular"):
        discriminants(within, centroids, shrinkage)
    within[0, 0] = 1.0  # too few images for all directions
    if shrinkage:
        assert discriminants(within, centroids, shrinkage).embed.isfinite().all()
