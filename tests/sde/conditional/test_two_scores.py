"""Guidance of one score by another, against the closed forms of Gaussians and mixtures."""

import functools
import math

import pytest
import torch

from repro.errors import InputError
from sde.analytic import Mixture, gaussian
from sde.conditional.guidance import class_conditional
from sde.conditional.two_scores import extrapolate, guided_score
from sde.samplers import probability_flow_sample, sample, solve
from sde.samplers.registry import SOLVERS
from tests.helpers.oracles_sde import SMALL_SDES, generator, plane_mixture

NAMES = list(SMALL_SDES)
SHAPES = [(2,), (1, 2, 2)]
WEIGHTS = [0.0, 0.5, 1.0, 3.0]
DOUBLE = torch.float64


def two_gaussians(shape, same_variance=False, same_mean=False):
    """s_+ of N(m, V) with a diagonal V, and s_- of another one."""
    dims = math.prod(shape)
    mean = torch.linspace(-0.6, 0.9, dims, dtype=DOUBLE)
    variance = torch.linspace(0.2, 0.5, dims, dtype=DOUBLE)
    other = mean if same_mean else mean.flip(0) + 0.3
    wider = variance if same_variance else 1.5 * variance + 0.1
    laws = [(mean, variance), (other, wider)]
    return [(gaussian(m.reshape(shape), torch.diag(v)), m, v) for m, v in laws]


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_the_guided_score_of_two_gaussians_is_that_of_a_gaussian(name, shape, weight):
    """Precision w / v_+ + (1 - w) / v_-; mean, the precision-weighted means."""
    sde = SMALL_SDES[name]
    (positive, m, v), (negative, m0, v0) = two_gaussians(shape)
    guided = guided_score(sde, positive.score_fn(sde), negative.score_fn(sde), weight=weight)
    t = torch.tensor([0.01, 0.2, 0.5, 0.9, 1.0], dtype=DOUBLE)
    scale, added = sde.scale(t)[:, None], sde.std(t)[:, None] ** 2
    at, at0 = (weight / (scale**2 * v + added), (1 - weight) / (scale**2 * v0 + added))
    precision, mean = at + at0, scale * (at * m + at0 * m0) / (at + at0)
    x = torch.randn(5, *shape, generator=generator(1), dtype=DOUBLE)
    expected = -precision * (x.flatten(1) - mean)
    assert torch.allclose(guided(x, t).flatten(1), expected, rtol=1e-10, atol=1e-12)


SAMPLERS = [*SOLVERS, "ode", "ancestral+langevin", "euler_maruyama", "reverse_diffusion"]


def draw(sampler, sde, score_fn, shape, init=None, **how):
    how |= dict(generator=generator(2), dtype=DOUBLE, init=init)
    if sampler == "ode":
        return probability_flow_sample(sde, score_fn, shape, **{"denoise": True, **how}).x
    if sampler in SOLVERS:
        return solve(sde, score_fn, shape, solver=sampler, steps=8, **how).x
    predictor, _, corrector = sampler.partition("+")
    how |= dict(predictor=predictor, corrector=corrector or "none")
    return sample(sde, score_fn, shape, steps=8, **how).x


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_sampler_draws_from_the_extrapolated_gaussian(shape, sampler):
    """With one covariance the guided score is that of N(w m_+ + (1 - w) m_-, V) at every time."""
    sde, weight = SMALL_SDES["vp"], 2.5
    (positive, m, v), (negative, m0, _) = two_gaussians(shape, same_variance=True)
    guided = guided_score(sde, positive.score_fn(sde), negative.score_fn(sde), weight=weight)
    moved = (weight * m + (1 - weight) * m0).reshape(shape)
    expected = gaussian(moved, torch.diag(v)).score_fn(sde)
    mine, theirs = (draw(sampler, sde, score, (6, *shape)) for score in (guided, expected))
    assert torch.allclose(mine, theirs, rtol=1e-8, atol=1e-8)


def shrinking(sde, parts, v, v0):
    """Factor of y - m, y = x / scale, along the guided flow over parts (weight, from s, to s)."""
    factor = torch.ones_like(v)
    for weight, start, end in parts:
        ratio, ratio0 = ((each + end**2) / (each + start**2) for each in (v, v0))
        factor = factor * ratio ** (weight / 2) * ratio0 ** ((1 - weight) / 2)
    return factor


@pytest.mark.parametrize("interval", [None, (0.3, 1.2), (0.0, 0.7), (0.5, 100.0)])
@pytest.mark.parametrize("name", ["ve", "vp"])
def test_the_flow_of_guidance_and_of_an_interval_is_the_closed_one(name, interval):
    """dy/ds = s (w / (V_+ + s^2) + (1 - w) / (V_- + s^2)) (y - m), w = 1 outside the interval."""
    sde, weight, eps = SMALL_SDES[name], 3.0, 1e-3
    (positive, m, v), (negative, _, v0) = two_gaussians((2,), same_mean=True)
    scores = positive.score_fn(sde), negative.score_fn(sde)
    guided = guided_score(sde, *scores, weight=weight, interval=interval)
    ends = torch.tensor([1.0, eps], dtype=DOUBLE)
    top, bottom = sde.noise_ratio(ends).tolist()
    low, high = (max(min(level, top), bottom) for level in interval or (bottom, top))
    parts = [(1.0, top, high), (weight, high, low), (1.0, low, bottom)]
    x = torch.randn(5, 2, generator=generator(3), dtype=DOUBLE) * sde.prior_std
    how = dict(rtol=1e-9, atol=1e-9, eps=eps, denoise=False)
    found = draw("ode", sde, guided, (5, 2), init=x, **how)
    scale = sde.scale(ends)
    moved = m + (x / scale[0] - m) * shrinking(sde, parts, v, v0)
    # a step over a switch has an error of the size of the step, which its tolerance bounds
    assert torch.allclose(found, scale[1] * moved, rtol=1e-5, atol=1e-5)


def test_the_variance_of_guided_samples_is_no_tilted_one():
    """V_+^w V_-^(1 - w) of the module's docstring, from a large enough noise."""
    sde, weight = SMALL_SDES["ve"], 2.0
    (_, _, v), (_, _, v0) = two_gaussians((2,), same_mean=True)
    factor = 1e6 * shrinking(sde, [(weight, 1e6, 0.0)], v, v0)  # of states of std 1e6
    assert torch.allclose(factor**2, v**weight * v0 ** (1 - weight), rtol=1e-6)
    assert not torch.allclose(factor**2, 1 / (weight / v + (1 - weight) / v0), rtol=0.05)


@pytest.mark.parametrize("weight", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("name", NAMES)
def test_classifier_free_guidance_is_that_of_the_exact_classifier(name, weight):
    """Bayes' rule: s_w = s + w grad log P(class | x_t), here with a class of two components."""
    sde, data = SMALL_SDES[name], plane_mixture()
    of_class = data.given([0, 2])

    def classifier(x, t):
        joint = data.component_log_prob(x, sde, t)
        return torch.stack([torch.logsumexp(joint[:, [0, 2]], 1), joint[:, 1]], 1)

    score = data.score_fn(sde)
    guided = guided_score(sde, of_class.score_fn(sde), score, weight=weight)
    expected = class_conditional(score, classifier, 0, strength=weight)
    t = torch.linspace(0.05, 1, 20, dtype=DOUBLE)
    x = data.sample_at(sde, t, generator(4))
    assert torch.allclose(guided(x, t), expected(x, t), rtol=1e-8, atol=1e-8)


def test_a_class_of_a_mixture_is_its_components_alone():
    data = plane_mixture()
    x = data.sample(50, generator(5))
    weights, means = data.log_weights.exp(), data.means
    axes = data.axes
    covariances = (axes * data.variances[:, None, :]) @ axes.mT
    two = Mixture(means[[2, 0]], covariances[[2, 0]], weights[[2, 0]])
    assert torch.allclose(data.given([2, 0]).log_prob(x), two.log_prob(x), atol=1e-12)
    alone = [data.given([k]).log_prob(x) + weights[k].log() for k in range(3)]
    assert torch.allclose(torch.logsumexp(torch.stack(alone), 0), data.log_prob(x), atol=1e-12)


def test_the_interval_is_open_below_and_rows_are_judged_alone():
    sde = SMALL_SDES["ve"]  # std(t) is the noise level
    calls = []

    def negative(x, t):
        calls.append(len(t))
        return torch.zeros_like(x)

    t = torch.linspace(0, 1, 11, dtype=DOUBLE)
    low, high = sde.std(t)[3].item(), sde.std(t)[7].item()
    positive = torch.ones_like
    guided = guided_score(sde, lambda x, t: positive(x), negative, weight=4.0, interval=(low, high))
    found = guided(torch.zeros(11, 1, 2, 2, dtype=DOUBLE), t)[:, 0, 0, 0]
    assert found.tolist() == [1.0] * 4 + [4.0] * 4 + [1.0] * 3
    guided(torch.zeros(3, 2, dtype=DOUBLE), t[:3])
    assert calls == [11], "outside the interval the negative is not evaluated"


def test_extrapolation_from_several_negatives_adds_up():
    positive, one, two = (torch.tensor([value]) for value in (1.0, 0.5, -2.0))
    assert extrapolate(positive).item() == 1.0
    assert extrapolate(positive, (2.0, one), (0.25, two)).item() == 1 + 2 * 0.5 + 0.25 * 3


def test_a_weight_of_one_is_the_positive_itself_and_of_zero_the_negative():
    sde = SMALL_SDES["vp"]
    (positive, _, _), (negative, _, _) = two_gaussians((2,))
    scores = positive.score_fn(sde), negative.score_fn(sde)
    assert guided_score(sde, *scores, weight=1, interval=(0, 1)) is scores[0]
    x, t = torch.ones(2, 2, dtype=DOUBLE), torch.full((2,), 0.5, dtype=DOUBLE)
    assert torch.allclose(guided_score(sde, *scores, weight=0)(x, t), scores[1](x, t), atol=1e-14)


@pytest.mark.parametrize(
    "how, message",
    [
        (dict(weight=math.nan), "expected a finite weight; got nan"),
        (dict(weight=2, interval=(1.0, 1.0)), "expected noise levels 0 <= LOW < HIGH; got 1 and 1"),
        (dict(weight=2, interval=(-1.0, 1.0)), "got -1 and 1"),
    ],
)
def test_mistakes_are_one_line(how, message):
    score = functools.partial(torch.zeros_like)
    with pytest.raises(InputError, match=message):
        guided_score(SMALL_SDES["vp"], score, score, **how)
