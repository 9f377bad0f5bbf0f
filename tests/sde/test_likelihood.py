"""Log likelihood against closed forms; Hutchinson against the exact divergence."""

import math

import pytest
import torch

from repro.errors import InputError
from sde.data.quantisation import Quantisation
from sde.likelihood import bits_per_dim, encode, interpolate, log_prob
from sde.processes import VESDE, VPSDE
from sde.samplers import probability_flow_sample
from tests.helpers.oracles_sde import (
    ALL_SDES,
    generator,
    golden_distribution,
    image_mixture,
    plane_gaussian,
    plane_mixture,
)

NAMES = list(ALL_SDES)
DATA = {
    "plane gaussian": plane_gaussian,
    "plane mixture": plane_mixture,
    "image gaussian": lambda: golden_distribution("chan"),
    "image mixture": image_mixture,
}
EPS = torch.full((1,), 1e-5, dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", DATA.values(), ids=DATA)
def test_exact_likelihood_within_1e_4_nats_per_dimension(make, name):
    sde, data = ALL_SDES[name], make()
    x = data.sample(6, generator())
    result = log_prob(
        sde, data.score_fn(sde), x, exact=True, terminal_log_prob=data.log_prob_fn(sde),
        rtol=1e-6, atol=1e-6,
    )  # fmt: skip
    error = (result.log_prob - data.log_prob(x, sde, EPS)).abs() / x[0].numel()
    assert error.max() < 1e-4
    if name != "ve":  # and p_eps is p_0 but for 1e-6 of variance; VE adds sigma_min^2 for good
        assert ((result.log_prob - data.log_prob(x)).abs() / x[0].numel()).max() < 2e-4


def test_gap_to_the_prior_is_what_the_mismatch_predicts():
    """log prior - log p_1 at z is about -scale(1) mean.z, the rest being of order scale(1)^2."""
    sde, data = VPSDE(), plane_gaussian()
    x = data.sample(16, generator())
    how = dict(exact=True, rtol=1e-8, atol=1e-8)
    with_prior = log_prob(sde, data.score_fn(sde), x, **how)
    exact = log_prob(sde, data.score_fn(sde), x, terminal_log_prob=data.log_prob_fn(sde), **how)
    gap = with_prior.log_prob - exact.log_prob
    scale = math.exp(-5.025)
    predicted = -scale * (with_prior.z @ data.means[0])
    assert gap.abs().max() > 3e-3, "a gap there is"
    assert (gap - predicted).abs().max() < 8 * scale**2


@pytest.mark.parametrize("probe", ["rademacher", "gaussian"])
@pytest.mark.parametrize("name", ["vp", "ve"])
def test_hutchinson_is_unbiased(name, probe):
    """4.5 standard errors over 400 probes, 8 samples: a false alarm in 20000 runs or fewer; and
    the standard error is small against the size of what is estimated."""
    sde, data = ALL_SDES[name], plane_mixture()
    x = data.sample(8, generator(2))
    how = dict(terminal_log_prob=data.log_prob_fn(sde), rtol=1e-5, atol=1e-5)
    exact = log_prob(sde, data.score_fn(sde), x, exact=True, **how)
    drawn = log_prob(
        sde, data.score_fn(sde), x, probes=400, probe=probe, generator=generator(3), **how
    )
    difference = (drawn.log_prob - exact.log_prob).abs()
    assert (difference < 4.5 * drawn.standard_error + 1e-3).all()
    assert drawn.standard_error.max() < 0.75 and drawn.standard_error.min() > 1e-4
    assert drawn.nfe < 1.5 * exact.nfe, "one network pass serves every probe"


def test_standard_error_is_the_spread_of_the_estimate():
    sde, data = VPSDE(), plane_mixture()
    x = data.sample(1, generator(2)).expand(60, 2)
    result = log_prob(sde, data.score_fn(sde), x, probes=16, generator=generator(5))
    spread, stated = result.log_prob.std(), result.standard_error.mean()
    assert stated == pytest.approx(spread.item(), rel=0.4)


@pytest.mark.parametrize("levels, low, high, bits", [
    (256, 0, 1, 8), (256, -1, 1, 7), (17, 0, 17, 0), (17, 0, 1, math.log2(17)),
])  # fmt: skip
def test_bits_take_their_offset_from_the_data(levels, low, high, bits):
    data_range = Quantisation(low, high, levels)
    assert data_range.offset_bits == pytest.approx(bits)
    level = torch.arange(levels)[:, None]
    x = data_range.dequantise(level, torch.rand(levels, 1, generator=generator()))
    assert x.min() >= low and x.max() < high
    assert torch.equal(data_range.quantise(x), level)


def test_bits_per_dim_do_not_depend_on_the_units_of_the_data():
    """The same levels in [0, 1] and in [-1, 1], under densities that correspond."""
    sde, data = VPSDE(), plane_gaussian()
    x = data.sample(4, generator())
    wide = type(data)(2 * data.means - 1, 4 * (data.axes * data.variances[:, None]) @ data.axes.mT)
    bits = []
    for d, y, r in ((data, x, Quantisation(0, 1)), (wide, 2 * x - 1, Quantisation(-1, 1))):
        how = dict(exact=True, terminal_log_prob=d.log_prob_fn(sde), rtol=1e-7, atol=1e-7)
        bits.append(bits_per_dim(sde, d.score_fn(sde), y, data_range=r, **how).bits)
    assert torch.allclose(bits[0], bits[1], atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_encoding_is_undone_by_decoding(name):
    sde, data = ALL_SDES[name], plane_mixture()
    x = data.sample(10, generator())
    z = encode(sde, data.score_fn(sde), x, rtol=1e-9, atol=1e-9)
    back = probability_flow_sample(
        sde, data.score_fn(sde), (10, 2), generator=None, init=z, eps=1e-5, rtol=1e-9, atol=1e-9
    )
    assert (back.x - x).abs().max() < 1e-6
    assert torch.allclose(
        z, log_prob(sde, data.score_fn(sde), x, exact=True).z, atol=1e-3 * sde.prior_std
    )
    ends = torch.zeros(10).double(), torch.ones(10).double()
    assert torch.allclose(interpolate(z, z.flip(0), ends[0]), z, atol=1e-8 * sde.prior_std)
    assert torch.allclose(interpolate(z, z.flip(0), ends[1]), z.flip(0), atol=1e-8 * sde.prior_std)


def test_float32_gradients_of_the_network_are_left_alone():
    network = torch.nn.Linear(2, 2)
    x = torch.randn(5, 2, generator=generator())
    result = log_prob(VPSDE(), lambda x, t: network(x) - x, x, exact=True)
    assert result.log_prob.dtype == torch.float32 and not result.log_prob.requires_grad
    assert network.weight.grad is None


@pytest.mark.parametrize("change, message", [
    (dict(x=torch.tensor([[math.nan, 0.0]])), "finite"),
    (dict(x=torch.zeros(3)), "floating tensor"),
    (dict(eps=0.0), "eps"),
    (dict(probes=0), "probes"),
    (dict(probe="uniform"), "probe"),
    (dict(rtol=0.0), "rtol"),
    (dict(score_fn=lambda x, t: -x.detach()), "does not depend on x"),
    (dict(score_fn=lambda x, t: -x[:, :1]), "shape"),
    (dict(score_fn=lambda x, t: x / (x - x)), "stalled"),
])  # fmt: skip
def test_bad_input(change, message):
    given = dict(x=torch.zeros(2, 2), score_fn=lambda x, t: -x, generator=generator()) | change
    with pytest.raises(InputError, match=message) as error:
        log_prob(VPSDE(), given.pop("score_fn"), given.pop("x"), **given)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="levels"):
        Quantisation(0, 1).dequantise(torch.tensor([256]), torch.zeros(1))


def test_an_ode_that_stalls_says_so():
    data = plane_mixture().to(torch.float32)
    sde = VESDE()
    with pytest.raises(InputError, match=r"stalled|finite"):
        log_prob(sde, lambda x, t: data.score(x, sde, t) * 1e30, data.sample(3), exact=True)
