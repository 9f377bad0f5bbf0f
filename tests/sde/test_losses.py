"""The training losses: their minimum, their weightings, and what they refuse."""

import math

import pytest
import torch

from repro.errors import InputError
from sde import losses
from sde.broadcast import per_sample
from sde.discrete import DDPMTable, SMLDTable
from sde.processes import VPSDE
from sde.reference_compat import published_score_fn
from sde.reverse import probability_flow
from sde.score import discrete_score_fn, score_fn
from tests.helpers.oracles_sde import (
    ALL_SDES,
    GOLDEN_SDES,
    generator,
    plane_gaussian,
    plane_mixture,
)

NAMES = list(ALL_SDES)


@pytest.mark.parametrize("name", NAMES)
def test_value_at_the_exact_score_of_a_gaussian(name):
    """E || std s + z ||^2 = tr(a^2 C (a^2 C + v I)^-1), by hand; 4.5 standard errors of it."""
    sde, data = ALL_SDES[name], plane_gaussian()
    count = 40_000
    for time in (0.05, 0.4, 0.9):
        t = torch.full((count,), time, dtype=torch.float64)
        x0, z = data.sample(count, generator(1)), torch.randn(count, 2, generator=generator(2))
        result = losses.denoising_score_matching(sde, data.score_fn(sde), x0, t, z.double())
        signal = sde.scale(t[:1]) ** 2 * data.variances[0]
        expected = (signal / (signal + sde.std(t[:1]) ** 2)).mean()
        error = result.per_sample.std() / math.sqrt(count)
        assert (result.loss - expected).abs() < 4.5 * error


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weighting", losses.WEIGHTINGS)
def test_exact_score_is_the_minimum(name, weighting):
    """Scaling or shifting the exact score of a mixture never helps."""
    sde, data = ALL_SDES[name], plane_mixture()
    count = 4000
    u, z = (
        torch.rand(count, generator=generator(1)).double(),
        torch.randn(count, 2, generator=generator(2)).double(),
    )
    x0, exact = data.sample(count, generator(3)), data.score_fn(sde)
    draw = losses.importance_times if weighting == "importance" else None
    t = draw(sde, u, 1e-3) if draw else losses.uniform_times(u, 1e-3, sde.end_time)

    def value(score):
        how = dict(weighting=weighting, eps=1e-3)
        return losses.denoising_score_matching(sde, score, x0, t, z, **how).loss.item()

    best = value(exact)
    for factor in (0.8, 1.2):
        assert value(lambda x, t, f=factor: f * exact(x, t)) > best
    assert value(lambda x, t: exact(x, t) + 0.3 / per_sample(sde.std(t), x)) > best


@pytest.mark.parametrize("name", NAMES)
def test_importance_sampling_has_the_expectation_of_the_likelihood_weighting(name):
    """By quadrature over u, with a residual known in closed form (and not constant)."""
    sde, n, eps = ALL_SDES[name], 200_000, 1e-3
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    x0, z = torch.full((n, 1), 0.3).double(), torch.ones(n, 1).double()

    def score(x, t):  # residual std * score + z = 2 - t
        return (1 - t[:, None]) / sde.std(t)[:, None]

    t = losses.uniform_times(u, eps, sde.end_time)
    likelihood = losses.denoising_score_matching(sde, score, x0, t, z, weighting="likelihood")
    t = losses.importance_times(sde, u, eps)
    assert eps <= t.min() and t.max() <= sde.end_time
    drawn = losses.denoising_score_matching(sde, score, x0, t, z, weighting="importance", eps=eps)
    assert drawn.loss.item() == pytest.approx(likelihood.loss.item(), rel=1e-4)
    if name != "ve":
        assert drawn.per_sample.std() < likelihood.per_sample.std()


def test_reductions_and_shapes():
    sde, x0 = VPSDE(), torch.randn(4, 2, 3, 3)
    t, z = torch.full((4,), 0.5), torch.randn(4, 2, 3, 3)
    mean = losses.denoising_score_matching(sde, lambda x, t: 0 * x, x0, t, z)
    total = losses.denoising_score_matching(sde, lambda x, t: 0 * x, x0, t, z, reduce="half_sum")
    assert mean.per_sample.shape == (4,) and mean.loss.shape == ()
    assert torch.allclose(total.per_sample, 9 * mean.per_sample)


def test_discrete_losses_are_least_at_their_targets():
    x0, z = torch.randn(6, 3).double(), torch.randn(6, 3).double()
    label = torch.tensor([0, 1, 5, 9, 20, 49])
    table = SMLDTable(0.1, 5, 50)
    sigma = table.sigma_at(label, x0)[:, None]
    assert sigma[0] == pytest.approx(5) and sigma[-1] == pytest.approx(0.1)
    at_target = losses.smld(table, lambda x, k: -(x - x0) / sigma**2, x0, label, z)
    assert at_target.loss < 1e-20
    assert losses.ddpm(DDPMTable(0.1, 8, 50), lambda x, k: z, x0, label, z).loss == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("conditioning", ["time", "time_999", "std", "log_noise"])
def test_parametrisations_recover_a_known_score(name, conditioning):
    """A network that outputs what each convention asks for gives the score back."""
    sde, data = ALL_SDES[name], plane_gaussian()
    t = torch.tensor([0.01, 0.3, 0.8, 1.0], dtype=torch.float64) * sde.end_time
    x = data.sample_at(sde, t, generator())
    exact = data.score(x, sde, t)
    std, scale = sde.std(t)[:, None], sde.scale(t)[:, None]
    total = ((std / scale) ** 2 + 0.25).sqrt()
    denoised = (x + std**2 * exact) / scale
    skip = 0.25 / total**2 * x / scale
    norm, noise = (scale**2 + std**2).sqrt(), -std * exact
    outputs = {
        "score": exact,
        "noise": noise,
        "denoised": (denoised - skip) / (0.5 * std / scale / total),
        "v": (scale * noise - std * denoised) / norm,
        "velocity": probability_flow(sde, data.score_fn(sde)).drift(x, t),
    }
    for prediction, output in outputs.items():
        network = (lambda out: lambda x, label: out)(output)
        score = score_fn(sde, network, prediction=prediction, conditioning=conditioning)
        assert torch.allclose(score(x, t), exact, rtol=1e-7, atol=1e-9)
    if conditioning == "time" and name in GOLDEN_SDES:
        output = outputs["score" if name == "ve" else "noise"]
        assert torch.allclose(published_score_fn(sde, lambda x, c: output)(x, t), exact)


def test_discrete_scores_read_whole_labels():
    seen = []

    def network(x, label):
        seen.append(label)
        return torch.ones_like(x)

    x, t = torch.zeros(2, 3).double(), torch.tensor([1.0, 0.5], dtype=torch.float64)
    table = DDPMTable(0.1, 20, 101)
    value = discrete_score_fn(table, network)(x, t)
    assert seen[-1].tolist() == [100, 50]
    assert torch.allclose(value[:, 0], -1 / table.scale_and_std(seen[-1], x)[1])
    discrete_score_fn(SMLDTable(0.01, 50, 101), network)(x, t)
    assert seen[-1].tolist() == [0, 50], "SMLD counts from the largest sigma"
    discrete_score_fn(table, network, fractional_timesteps=True)(x, t * 0.999)
    assert seen[-1].tolist() == pytest.approx([99.9, 49.95])


@pytest.mark.parametrize("change, message", [
    (dict(t=torch.tensor([0.0, 0.5])), "times"),
    (dict(x0=torch.tensor([[math.nan], [0.0]])), "finite"),
    (dict(z=torch.zeros(3, 1)), "noise"),
    (dict(weighting="sigma"), "weighting"),
    (dict(reduce="sum"), "reduction"),
])  # fmt: skip
def test_bad_input(change, message):
    given = dict(x0=torch.zeros(2, 1), t=torch.tensor([0.1, 0.5]), z=torch.zeros(2, 1))
    with pytest.raises(InputError, match=message):
        losses.denoising_score_matching(VPSDE(), lambda x, t: x, **(given | change))
    with pytest.raises(InputError, match="prediction"):
        score_fn(VPSDE(), None, prediction="momentum", conditioning="time")


@pytest.mark.parametrize("sigma_data", [0.5, 2.0])
def test_a_silent_denoiser_is_that_of_data_with_sigma_data(sigma_data):
    """With a network that is zero, D = c_skip y is exact for N(0, sigma_data^2)."""
    sde, x, t = VPSDE(), torch.randn(6, 3, dtype=torch.float64), torch.rand(6).double() + 1e-3
    kinds = {"prediction": "denoised", "conditioning": "log_noise"}
    score = score_fn(sde, lambda x, c: torch.zeros_like(x), **kinds, sigma_data=sigma_data)
    variance = (sde.scale(t) * sigma_data) ** 2 + sde.std(t) ** 2
    torch.testing.assert_close(score(x, t), -x / variance[:, None])


def test_velocity_weighting_is_flow_matching():
    """On the rectified flow the loss of a velocity network is its square error to z - x_0."""
    sde, t = ALL_SDES["rectified_flow"], torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    x0, z, velocity = torch.randn(3, 3, 4, generator=generator(), dtype=torch.float64)
    kinds = {"prediction": "velocity", "conditioning": "time"}
    score = score_fn(sde, lambda x, c: velocity, **kinds)
    found = losses.denoising_score_matching(sde, score, x0, t, z, weighting="velocity")
    torch.testing.assert_close(found.per_sample, ((velocity - (z - x0)) ** 2).mean(1))
