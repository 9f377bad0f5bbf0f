"""How a loss draws its times, and pairs examples with noise."""

import itertools
import math

import pytest
import torch
from scipy import stats

from repro.config import load as load_config
from repro.errors import InputError
from repro.locate import find
from sde import build, losses
from sde.config.run import SDEConfig
from sde.losses import TimeSampling
from sde.processes import VESDE, VPSDE, CosineVPSDE, RectifiedFlow, SubVPSDE

EPS = 1e-3
SDES = [VESDE(), VPSDE(), SubVPSDE(), CosineVPSDE(), RectifiedFlow()]
WAYS = [TimeSampling("log_noise"), TimeSampling("log_normal"), TimeSampling("log_normal", -0.5, 2)]


def midpoints(count):
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


def is_uniform(sde, way):
    """The noise of VE is exponential in t."""
    return isinstance(sde, VESDE) and way.kind == "log_noise"


def bounds(sde):
    ends = torch.tensor([EPS, sde.end_time], dtype=torch.float64)
    return sde.noise_ratio(ends).log().tolist()


@pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_log_noise_levels_have_the_distribution_asked_for(sde, way):
    """Kolmogorov-Smirnov against scipy's distributions, at seeded random numbers."""
    u = torch.rand(2000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    t = way.draw(sde, u, EPS)
    assert t.min() >= EPS and t.max() <= sde.end_time
    low, high = bounds(sde)
    if way.kind == "log_noise":
        law = stats.uniform(low, high - low)
    else:
        cut = [(end - way.log_mean) / way.log_std for end in (low, high)]
        law = stats.truncnorm(*cut, way.log_mean, way.log_std)
    found = stats.kstest(sde.noise_ratio(t).log().numpy(), law.cdf)
    assert found.pvalue > 0.01
    uniform = stats.kstest(t.numpy(), stats.uniform(EPS, sde.end_time - EPS).cdf).pvalue
    assert uniform < 1e-9 or is_uniform(sde, way)


@pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_correction_gives_the_expectation_of_uniform_times(sde, way):
    """By quadrature over u of a function that is not constant."""
    u = midpoints(100_000)
    low, high = bounds(sde)

    def value(t):  # 0 at the ends of the range, where few times of log_normal are drawn
        share = (sde.noise_ratio(t).log() - low) / (high - low)
        return torch.sin(math.pi * share.clamp(0, 1)) ** 8

    def mean(times):
        t = times.draw(sde, u, EPS)
        return times.corrected(losses.Loss(value(t).mean(), value(t)), sde, t, EPS).loss.item()

    assert mean(way) == pytest.approx(mean(TimeSampling()), rel=2e-3)
    weights = way.correction(sde, way.draw(sde, u, EPS), EPS)
    assert weights.mean().item() < 1 + 1e-3  # below 1 where rare times are never drawn
    assert (weights - 1).abs().max() > 0.1 or is_uniform(sde, way)


def test_single_precision_draws_agree_with_double():
    """Within float32's rounding of u, whose effect the steepest part of the map multiplies."""
    u = torch.rand(500, generator=torch.Generator().manual_seed(1))
    for sde, way in itertools.product(SDES, WAYS):
        single, double = way.draw(sde, u, EPS), way.draw(sde, u.double(), EPS)
        assert single.dtype == torch.float32
        assert torch.allclose(single.double(), double, rtol=1e-5, atol=1e-6)


def test_coupling_is_the_best_of_all_orders_and_keeps_the_noise():
    rng = torch.Generator().manual_seed(2)
    for shape in [(5, 2), (6, 1, 2, 2), (1, 3)]:
        x0, z = torch.randn(shape, generator=rng), torch.randn(shape, generator=rng)
        paired = losses.optimal_transport(x0, z)
        orders = (list(order) for order in itertools.permutations(range(len(x0))))
        least = min(((x0 - z[order]) ** 2).sum().item() for order in orders)
        assert ((x0 - paired) ** 2).sum().item() == pytest.approx(least, rel=1e-6)
        assert torch.equal(paired.flatten(1).sort(0).values, z.flatten(1).sort(0).values)


def bending(coupled: bool) -> float:
    """The mean square of what a line from data to noise differs from its mean at a place and time.

    It is 0 where no two lines cross, that is, where the paths of the flow are straight. The data
    are two points; the mean is taken over bins of x_t at t = 1/2.
    """
    rng = torch.Generator().manual_seed(3)
    x0 = (torch.randint(0, 2, (64, 256, 1), generator=rng) * 2 - 1).float()
    z = torch.randn(64, 256, 1, generator=rng)
    if coupled:
        z = torch.stack(
            [losses.optimal_transport(x, noise) for x, noise in zip(x0, z, strict=True)]
        )
    x, v = (0.5 * x0 + 0.5 * z).flatten(), (z - x0).flatten()
    bins = ((x + 3) / 0.05).long().clamp(0, 119)
    total, count = torch.zeros(120), torch.zeros(120)
    mean = total.index_add(0, bins, v) / count.index_add(0, bins, torch.ones_like(v))
    return ((v - mean[bins]) ** 2).mean().item()


def test_coupled_paths_are_straighter():
    assert bending(True) < 0.15 * bending(False)


def config(name, *overrides):
    return load_config(find(name, "sde"), SDEConfig, list(overrides))


def test_the_settings_reach_the_loss():
    """The loss of a configuration is the loss at the times and pairs that the functions give."""
    x0, z = torch.randn(16, 2), torch.randn(16, 2)
    u = torch.rand(16)
    flow = ["process.name=rectified_flow", "model.prediction=velocity", "loss.weighting=velocity"]
    flow += ["model.conditioning=time", "loss.eps=1e-3"]
    ways = {"loss.times=log_normal": TimeSampling("log_normal"), "seed=0": TimeSampling()}
    for override, way in ways.items():
        for coupling, pair in {
            "independent": z,
            "optimal_transport": losses.optimal_transport(x0, z),
        }.items():
            settings = config("eight_gaussians", *flow, override, f"loss.coupling={coupling}")
            sde = build.process(settings)
            found = build.loss(settings, sde)(lambda x, t: 0 * x, x0, u, z)
            t = way.draw(sde, u, 1e-3)
            velocity = ((pair - x0) ** 2).mean(1)
            # float32, and a division by a small std and its product again
            assert torch.allclose(found.per_sample, velocity, rtol=1e-3)
            assert len(t) == 16


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("eight_gaussians_ddpm", ["loss.times=log_noise"], "discrete losses draw"),
        ("eight_gaussians_smld", ["loss.times=log_normal"], "discrete losses draw"),
        ("eight_gaussians", ["loss.times=lognormal"], "log_normal"),
        ("eight_gaussians", ["loss.corrected=true"], "for times log_noise and log_normal"),
        ("eight_gaussians", ["loss.log_std=2"], "for times log_normal"),
        ("eight_gaussians_likelihood", ["loss.times=log_noise"], "draws its own"),
        ("eight_gaussians", ["loss.coupling=optimal_transport"], "process rectified_flow"),
        ("digits_flow", ["loss.coupling=optimal_transport", "model.condition=class"], "label"),
    ],
)
def test_what_does_not_fit_is_refused(name, overrides, message):
    with pytest.raises(InputError, match=message) as refused:
        config(name, *overrides)
    assert "\n" not in str(refused.value)
