"""The exact laws of docs/questions.md, at few steps, against closed forms."""

import math

import pytest

from examples import guidance_and_flow as both


def test_one_step_of_ddim_has_its_closed_form():
    """From the prior N(0, r_1^2) to noise r: dy/dr = -std score, one Euler step in r."""
    sde = both.PROCESSES["VE"]
    score = both.score_of(sde, (both.MEAN, 0.0), (both.STD**2, both.STD**2), 1.0)
    high, low = 50.0, 0.01 * 5000**both.EPS
    slope = high / (both.STD**2 + high**2)  # of the noise in x
    a = 1 + (low - high) * slope
    law = both.sampled(sde, score, 1)
    assert law.mean == pytest.approx((1 - a) * both.MEAN, rel=1e-9)
    assert law.variance == pytest.approx(a**2 * high**2, rel=1e-9)


def test_flow_and_sde_part_under_guidance():
    sde = both.PROCESSES["VE"]
    plain, guided = (both.score_of(sde, both.ORIGIN, (both.NARROW, both.WIDE), w) for w in (1, 2))
    for kind in ("ddim", "ancestral"):
        assert both.sampled(sde, plain, 300, kind).variance == pytest.approx(0.25, rel=0.03)
    flow, noisy = (both.sampled(sde, guided, 300, kind).variance for kind in ("ddim", "ancestral"))
    # of first order in the step: 0.3 % too little after 2000 steps, so 2.1 % after 300
    assert flow == pytest.approx(both.flow_variance(2), rel=0.03)
    assert flow < 0.7 * noisy < noisy < both.product_variance(2)


def test_distances_of_laws():
    assert both.Law(0.0, 4.0).distance(both.Law(3.0, 36.0)) == 5.0
    assert both.product_variance(1) == both.flow_variance(1) == both.NARROW
    assert math.isclose(both.product_variance(2), 1 / 7)
