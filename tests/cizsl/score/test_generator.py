"""The score-based generator before any training: the Gaussian one, guided in closed form."""

from functools import partial

import pytest
import torch

from cizsl.closed_form.gaussian_generator import GaussianGenerator
from cizsl.divergences import kl
from cizsl.score.denoiser import MOST, PROCESS, Condition, as_score, gaussian_denoiser
from cizsl.score.generator import ScoreGenerator
from cizsl.score.guidance import Entropy
from cizsl.score.neighbours import mixtures
from cizsl.synthesis import synthesise
from sde.analytic import Mixture
from tests.cizsl.closed_form.test_gaussian_classifier import task

SETTINGS = {"penalty": 0.3, "shrinkage": 0.2, "spread": 0.5, "text_weights": (1.0, 0.5)}


def pair(spread=0.5, **settings):
    """The Gaussian generator of a task, a score-based one that begins as it, and texts."""
    one = task()
    gaussian = GaussianGenerator(one, **{**SETTINGS, "spread": spread})
    images = one.train_features, one.train_labels
    plain = {"hidden_dim": 8, "depth": 1, "evaluations": 16, "divergence": kl, **settings}
    text = torch.cat([one.unseen_text, one.seen_text]).double()
    return gaussian, ScoreGenerator(gaussian, *images, **plain), text


def coordinates(gaussian, text, features):
    """w of features (C, n, D): in it the law of class c is N(mean[c], variance[c])."""
    model = gaussian.classes(text)
    return model, model.coordinates(features.flatten(0, 1)).unflatten(0, features.shape[:2])


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def assert_same_draws(found, exact, centre, shift: float | torch.Tensor = 0.0):
    """Samples at distance d from the centre of their class have 1.002 to 1.015 times d.

    That is the error of a solver with 16 evaluations; 1e-3 is float32 rounding of w.
    """
    distance = exact - centre
    ratio = (found - centre - shift) / distance
    far = distance.abs() > 0.5
    assert (ratio[far] > 1.002).all() and (ratio[far] < 1.015).all()
    assert ((found - shift - exact).abs() < 0.015 * distance.abs() + 1e-3).all()


def test_its_score_is_that_of_the_gaussian():
    g = rng()
    mean, variance = torch.randn(1, 4, generator=g), 0.5 + torch.rand(1, 4, generator=g)
    exact = Mixture(mean.double(), torch.diag_embed(variance.double()))
    for t in (0.1, 0.5, 1.0):
        x, time = torch.randn(5, 4, generator=g).double(), torch.full((5,), t).double()
        rows = Condition.of(mean.expand(5, -1), variance.expand(5, -1))
        score = as_score(partial(gaussian_denoiser, c=rows), x, time)
        torch.testing.assert_close(score, exact.score(x, PROCESS, time))


def test_without_training_samples_are_those_of_the_gaussian_generator():
    """The same noise gives the same features."""
    gaussian, score, text = pair()
    model, exact = coordinates(gaussian, text, synthesise(gaussian, text, 50, rng()))
    _, found = coordinates(gaussian, text, synthesise(score, text, 50, rng()))
    assert_same_draws(found, exact, model.mean[:, None])


def test_prototypes_are_the_means():
    """At the noise ratio 50 what is left of y in D is 1 / (1 + 50^2); here y is the mean itself."""
    gaussian, score, text = pair()
    model, w = coordinates(gaussian, text, score.prototypes(text)[:, None])
    torch.testing.assert_close(w[:, 0], model.mean, rtol=1e-5, atol=1e-4)  # float32
    assert PROCESS.noise_ratio(torch.ones(1)).item() == pytest.approx(MOST, rel=1e-5)


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_guidance_moves_a_gaussian_and_keeps_its_covariance(weight):
    """N(m, V) guided away from N(0, V): samples of N((1 + w) m, V), draw by draw."""
    gaussian, score, text = pair(guidance=weight)
    model, exact = coordinates(gaussian, text, synthesise(gaussian, text, 50, rng()))
    _, found = coordinates(gaussian, text, synthesise(score, text, 50, rng()))
    assert_same_draws(found, exact, model.mean[:, None], weight * model.mean[:, None])


def test_guidance_away_from_neighbours():
    """N(m, V) guided away from N(m_-, V), m_- the prediction from the mixed texts of neighbours."""
    gaussian, score, text = pair(away=0.5, neighbours=2)
    model, exact = coordinates(gaussian, text, synthesise(gaussian, text, 50, rng()))
    mixed = mixtures(text, gaussian.text, (9, 12), 2)
    shift = 0.5 * (model.mean - gaussian.classes(mixed).mean)
    _, found = coordinates(gaussian, text, synthesise(score, text, 50, rng()))
    assert shift.abs().max() > 1
    assert_same_draws(found, exact, model.mean[:, None], shift[:, None])


def test_neighbours_are_the_nearest_other_texts():
    seen = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 2.0]])
    found = mixtures(torch.tensor([[1.0, 0.1], [1.0, 0.0]]), seen, (2,), 2)
    first = torch.tensor([0.9, 0.3]) / torch.tensor([0.9, 0.3]).norm()
    second = torch.tensor([0.7, 0.7]) / torch.tensor([0.7, 0.7]).norm()  # not itself
    torch.testing.assert_close(found, torch.stack([first, second]))


def test_entropy_guidance_of_two_gaussians():
    """Means a and -a: p = sigmoid(2 a'y / (1 + s^2)), and the gradient of KL(p, 1/2) is
    (2 a / (1 + s^2)) p (1 - p) log(p / (1 - p))."""
    a, y = torch.tensor([0.5, -1.0]).double(), torch.tensor([[0.3, 0.4], [2.0, 1.0]]).double()
    guide = Entropy(0.7, kl, torch.stack([a, -a]))
    for s in (0.5, 3.0):
        logit = 2 * y @ a / (1 + s**2)
        p = logit.sigmoid()
        gradient = (p * (1 - p) * logit)[:, None] * 2 * a / (1 + s**2)
        found = guide.shift(y, torch.full((2,), s).double())
        torch.testing.assert_close(found, -0.7 * s**2 * gradient)
    assert not guide.shift(y, torch.full((2,), 0.29).double()).any()


def test_entropy_guidance_makes_posteriors_less_certain():
    """Mean divergence of the seen posterior from uniform, over the samples of unseen classes."""
    certain = []
    for weight in (0.0, 1.0):
        gaussian, score, text = pair(entropy=weight)
        _, w = coordinates(gaussian, text, synthesise(score, text[:4], 50, rng()))
        seen = gaussian.classes(gaussian.text).mean
        p = (-0.5 * torch.cdist(w.flatten(0, 1), seen).square()).softmax(1)
        certain.append(float(kl(p).mean()))
    assert certain[1] < certain[0] - 0.05
