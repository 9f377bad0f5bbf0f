"""Conditional sampling, against conditionals that are known exactly."""

import pytest
import torch

from repro.errors import InputError
from sde.analytic import Mixture, gaussian
from sde.conditional import guidance
from sde.processes import VPSDE
from sde.samplers import probability_flow_sample, sample, solve
from tests.helpers.oracles_sde import (
    GOLDEN_SDES,
    SMALL_SDES,
    generator,
    plane_gaussian,
    plane_mixture,
)

NAMES = list(GOLDEN_SDES)


def run_any(sampler, sde, score_fn, shape, **more):
    how = dict(generator=generator(3), dtype=torch.float64, **more)
    if sampler == "ode":
        return probability_flow_sample(sde, score_fn, shape, denoise=True, **how).x
    if sampler == "heun":
        return solve(sde, score_fn, shape, solver="heun", steps=40, **how).x
    return sample(
        sde, score_fn, shape, predictor="ancestral", corrector="annealed_langevin", steps=200, **how
    ).x


@pytest.mark.parametrize("sampler", ["pc", "heun", "ode"])
@pytest.mark.parametrize("name", NAMES)
def test_class_conditional_samples_are_of_that_class(name, sampler):
    sde, data = SMALL_SDES[name], plane_mixture()

    def classifier(x, t):
        return data.component_log_prob(x, sde, t)

    score_fn = guidance.class_conditional(data.score_fn(sde), classifier, 0)
    x = run_any(sampler, sde, score_fn, (2000, 2))
    covariance = (data.axes[0] * data.variances[0]) @ data.axes[0].T
    assert (x.mean(0) - data.means[0]).abs().max() < 0.1
    assert (torch.cov(x.T) - covariance).abs().max() < 0.03
    t = torch.tensor([0.3], dtype=torch.float64)
    alone = gaussian(data.means[0], covariance).score(x, sde, t)
    given = score_fn(x, t.expand(len(x)))
    assert torch.allclose(given, alone, atol=1e-8), "Bayes' rule, exactly"


@pytest.mark.parametrize("sampler", ["pc", "heun", "ode"])
@pytest.mark.parametrize("name", NAMES)
def test_guided_inpainting_is_exact_on_isotropic_data(name, sampler):
    """The score given part of x_0: known exactly for N(m, s^2 I)."""
    sde = SMALL_SDES[name]
    mean = torch.tensor([[0.5, -0.2], [0.1, 0.8]], dtype=torch.float64)[None]
    data = gaussian(mean, torch.tensor(0.36, dtype=torch.float64))
    known = torch.full((1, 1, 2, 2), 1.1, dtype=torch.float64)
    mask = torch.tensor([[1.0, 0.0], [0.0, 0.0]])[None, None]
    observation = guidance.inpainting(known, mask)
    score_fn = guidance.guided(sde, data.score_fn(sde), observation, data_std=0.6)
    t = torch.full((5,), 0.4, dtype=torch.float64)
    x = data.sample_at(sde, t, generator())
    scale, variance = sde.scale(t)[0], sde.std(t)[0] ** 2
    pinned = (scale * 1.1 - x[:, 0, 0, 0]) / variance
    assert torch.allclose(score_fn(x, t)[:, 0, 0, 0], pinned)
    assert torch.allclose(score_fn(x, t)[:, 0, 1], data.score(x, sde, t)[:, 0, 1])
    x = run_any(sampler, sde, score_fn, (1500, 1, 2, 2))
    assert (x[:, 0, 0, 0] - 1.1).abs().max() < 0.05
    # The prior has mean 0, p_1 has scale 0.8: a deterministic flow carries the difference along.
    carried = sde.scale(t)[0] * 0.8 * 0.6 / sde.prior_std
    assert (x[:, 0, 1, 1] - 0.8).mean().abs() < 0.05 + carried
    assert x[:, 0, 1, 1].std() == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize("grid", ["exact", "published"])
@pytest.mark.parametrize("name", NAMES)
def test_replacement_approaches_the_conditional_of_a_gaussian(name, grid):
    sde, data = SMALL_SDES[name], plane_gaussian()
    _, covariance = data.moments()
    known = torch.tensor([[1.4, 0.0]], dtype=torch.float64)
    observation = guidance.inpainting(known, torch.tensor([[1.0, 0.0]]))
    x = sample(
        sde, data.score_fn(sde), (2000, 2), predictor="reverse_diffusion",
        corrector="annealed_langevin", corrector_steps=2, steps=300, snr=0.3, grid=grid,
        generator=generator(2), dtype=torch.float64,
        constraint=guidance.replacement(sde, observation),
    ).x  # fmt: skip
    assert torch.allclose(x[:, 0], known[0, 0].expand(2000), atol=1e-2)
    expected = data.means[0, 1] + covariance[0, 1] / covariance[0, 0] * (1.4 - data.means[0, 0])
    assert x[:, 1].mean().item() == pytest.approx(expected.item(), abs=0.1)
    spread = (covariance[1, 1] - covariance[0, 1] ** 2 / covariance[0, 0]).sqrt()
    assert x[:, 1].std().item() == pytest.approx(spread.item(), rel=0.25)


def test_denoising_reaches_the_unknown_part_unless_the_published_fault_is_asked_for():
    sde, data = VPSDE(), plane_gaussian()
    observation = guidance.inpainting(torch.zeros(1, 2).double(), torch.tensor([[1.0, 0.0]]))

    def run(faulty, denoise):
        constraint = guidance.replacement(sde, observation, mean_from_noisy=faulty)
        return sample(
            sde, data.score_fn(sde), (4, 2), predictor="reverse_diffusion", steps=30,
            grid="published", generator=generator(), dtype=torch.float64, denoise=denoise,
            constraint=constraint,
        ).x[:, 1]  # fmt: skip

    assert torch.equal(run(True, True), run(True, False))
    assert not torch.equal(run(False, True), run(False, False))


@pytest.mark.parametrize("method", ["replacement", "guided"])
def test_colourisation_keeps_the_grey_and_draws_the_colours(method):
    sde = SMALL_SDES["vp"]
    means = torch.stack([torch.full((3, 2, 2), v).double() for v in (0.6, -0.6)])
    data = Mixture(means, torch.full((2,), 0.04, dtype=torch.float64))
    grey = torch.full((1, 1, 2, 2), 0.5, dtype=torch.float64)
    observation = guidance.colourisation(grey)
    x = torch.randn(2, 3, 2, 2, generator=generator()).double()
    assert torch.allclose(observation.unrotate(observation.rotate(x)), x)
    assert torch.allclose(observation.rotate(x)[:, 0], x.mean(1) * 3**0.5)
    score_fn, how = data.score_fn(sde), {}
    if method == "guided":
        score_fn = guidance.guided(sde, score_fn, observation, data_std=0.2)
    else:
        how = dict(constraint=guidance.replacement(sde, observation))
    x = run_any("pc", sde, score_fn, (300, 3, 2, 2), **how)
    assert (x.mean(1) - 0.5).abs().max() < 0.05
    chroma = x[:, 1] - x[:, 2]
    assert chroma.std().item() == pytest.approx(0.2 * 2**0.5, rel=0.2)


def test_bad_input():
    with pytest.raises(InputError, match="mask"):
        guidance.inpainting(torch.zeros(1, 2), torch.tensor([0.5, 1.0]))
    with pytest.raises(InputError, match="grey"):
        guidance.colourisation(torch.zeros(1, 3, 2, 2))
    with pytest.raises(InputError, match="three channels"):
        guidance.colourisation(torch.zeros(1, 1, 2, 2)).rotate(torch.zeros(1, 1, 2, 2))
    observation = guidance.inpainting(torch.zeros(3, 2), torch.ones(2))
    sde, data = VPSDE(), plane_gaussian()
    with pytest.raises(InputError, match="observation has shape"):
        guidance.guided(sde, data.score_fn(sde), observation)(torch.zeros(4, 2), torch.ones(4))
    labelled = guidance.class_conditional(data.score_fn(sde), None, torch.tensor([0, 1]))
    with pytest.raises(InputError, match="labels"):
        labelled(torch.zeros(4, 2), torch.ones(4))


def test_the_published_code_starts_from_clean_knowns_and_a_prior_that_is_masked_first():
    """By hand: grey in every channel, and the prior in the second and third alone."""
    prior = torch.randn(2, 3, 2, 2, generator=generator(), dtype=torch.float64)
    grey = torch.full((1, 1, 2, 2), 0.5, dtype=torch.float64)
    start = guidance.published_start(guidance.colourisation(grey), prior)
    assert torch.allclose(start, 0.5 + prior * torch.tensor([0.0, 1.0, 1.0])[:, None, None])
    known, mask = torch.full((1, 3, 2, 2), 0.7).double(), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    start = guidance.published_start(guidance.inpainting(known, mask), prior)
    assert torch.allclose(start, torch.where(mask == 1, known, prior))
