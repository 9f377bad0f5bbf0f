"""Measured orders of convergence, for every scheme and process, on data of mean != 0, std != 1.

The weak error of a stochastic scheme is computed without any sampling. On a Gaussian a step is an
affine map plus noise, so mean and variance are carried exactly. On a mixture the expectation of a
smooth function is carried backwards, u_k(x) = E u_{k+1}(step(x, z)), by Gauss-Hermite quadrature.
Every run starts from the exact p_end, so the error is that of the steps alone, and has to vanish.
"""

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline

from sde.analytic import gaussian, gaussian_flow
from sde.samplers import PREDICTORS, probability_flow_sample, sample, solve
from tests.helpers.oracles_sde import (
    SMALL_SDES,
    affine_part,
    generator,
    image_mixture,
    line_mixture,
    measured_order,
    plane_gaussian,
    plane_mixture,
)

NAMES = list(SMALL_SDES)
STOCHASTIC = ["euler_maruyama", "reverse_diffusion", "ancestral"]
EPS = 0.02


def ladder(sde, steps):
    times = torch.linspace(sde.end_time, EPS, steps + 1, dtype=torch.float64)
    return sde.interval(times[1:], times[:-1])


def ends(sde, eps=EPS):
    """The times at which a run starts and stops, (1,) each."""
    return torch.tensor([[sde.end_time], [eps]], dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("predictor", STOCHASTIC)
def test_weak_order_on_a_gaussian(predictor, name):
    sde = SMALL_SDES[name]
    mean, variance = 0.7, 0.15
    data = gaussian(
        torch.tensor([mean], dtype=torch.float64), torch.tensor(variance, dtype=torch.float64)
    )

    def moments(time):
        t = torch.tensor([time], dtype=torch.float64)
        return (sde.scale(t) * mean).item(), (sde.scale(t) ** 2 * variance + sde.std(t) ** 2).item()

    part = PREDICTORS[predictor](sde, data.score_fn(sde))
    errors = []
    for steps in (64, 128, 256, 512):
        m, v = moments(sde.end_time)
        intervals = ladder(sde, steps)
        for i in range(steps):
            a, c, b = affine_part(part.step, intervals[i])
            m, v = a * m + c, a * a * v + b * b
        errors.append([abs(m - moments(EPS)[0]), abs(v - moments(EPS)[1])])
    errors = np.array(errors)
    assert 0.85 < measured_order(errors[:, 1]) < 1.2, errors
    if errors[0, 0] > 1e-10:  # ancestral steps carry the mean of a Gaussian exactly
        assert 0.85 < measured_order(errors[:, 0]) < 1.2, errors
    assert errors[-1].max() < 0.02


@pytest.mark.parametrize("name", NAMES)
def test_ancestral_steps_are_exact_where_the_data_is_one_point(name):
    """p(x_s | x_t) is then the Gaussian that is drawn: four steps carry the variance exactly."""
    sde = SMALL_SDES[name]
    point = torch.tensor([0.7], dtype=torch.float64)
    data = gaussian(point, torch.tensor(1e-14, dtype=torch.float64))
    part, intervals = PREDICTORS["ancestral"](sde, data.score_fn(sde)), ladder(sde, 4)
    m, v = (sde.scale(intervals.t[:1]) * 0.7).item(), intervals.std_t[0].item() ** 2
    for i in range(4):
        a, c, b = affine_part(part.step, intervals[i])
        m, v = a * m + c, a * a * v + b * b
        assert m == pytest.approx((sde.scale(intervals.s[i]) * 0.7).item(), rel=1e-8)
        assert v == pytest.approx(intervals.std_s[i].item() ** 2, rel=1e-8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("predictor", STOCHASTIC)
def test_weak_order_on_a_mixture(predictor, name):
    sde, data = SMALL_SDES[name], line_mixture()
    part = PREDICTORS[predictor](sde, data.score_fn(sde))
    reach = 8 * sde.prior_std
    x = torch.linspace(-reach, reach, 1601, dtype=torch.float64)[:, None]
    nodes, weights = np.polynomial.hermite_e.hermegauss(14)
    weights = weights / weights.sum()

    def test_function(y):
        return np.cos(1.7 * y) + np.sin(0.9 * y)

    def expectation(values, time):
        t = torch.tensor([time], dtype=torch.float64)
        density = data.log_prob(x, sde, t).exp().numpy()
        return np.trapezoid(values * density, x[:, 0].numpy())

    truth = expectation(test_function(x[:, 0].numpy()), EPS)
    errors = []
    for steps in (32, 64, 128):
        intervals, carried = ladder(sde, steps), test_function
        for i in reversed(range(steps)):
            centre = part.step(x, intervals[i], torch.zeros_like(x))[0]
            spread = part.step(x, intervals[i], torch.ones_like(x))[0] - centre
            arrivals = (centre + spread * torch.from_numpy(nodes)).numpy()
            values = carried(np.clip(arrivals, -reach, reach)) @ weights
            carried = CubicSpline(x[:, 0].numpy(), values)
        errors.append(abs(expectation(carried(x[:, 0].numpy()), sde.end_time) - truth))
    assert 0.75 < measured_order(errors) < 1.35, errors
    assert errors[-1] < 0.02


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("predictor", ["euler_maruyama", "reverse_diffusion"])
def test_probability_flow_predictors_are_of_first_order(predictor, name):
    sde, data = SMALL_SDES[name], plane_gaussian()
    end, eps = ends(sde)
    init = data.sample_at(sde, end.expand(20), generator())
    truth = gaussian_flow(data, sde, init, end, eps)
    errors = []
    for steps in (32, 64, 128, 256):
        run = sample(
            sde, data.score_fn(sde), (20, 2), predictor=predictor, steps=steps, generator=None,
            init=init, eps=EPS, probability_flow=True, denoise=False,
        )  # fmt: skip
        errors.append((run.x - truth).abs().max().item())
    assert 0.85 < measured_order(errors) < 1.2, errors


DATA = {"gaussian": plane_gaussian, "mixture": plane_mixture, "image": image_mixture}
ORDERS = {"ddim": 1, "heun": 2, "dpm_solver_pp_2m": 2}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", DATA.values(), ids=DATA)
@pytest.mark.parametrize("solver, order", ORDERS.items())
def test_order_of_the_solvers(solver, order, make, name):
    sde, data = SMALL_SDES[name], make()
    (end, eps), shape = ends(sde), (16, *data.event_shape)
    init = data.sample_at(sde, end.expand(16), generator())
    how = dict(generator=None, init=init, eps=EPS)
    if len(data.means) == 1:
        truth = gaussian_flow(data, sde, init, end, eps)
    else:
        score_fn = data.score_fn(sde)
        truth = probability_flow_sample(sde, score_fn, shape, rtol=1e-10, atol=1e-10, **how).x
    errors = []
    for steps in (40, 80, 160, 320):
        run = solve(
            sde, data.score_fn(sde), shape, solver=solver, steps=steps, schedule="log_noise",
            denoise=False, **how,
        )  # fmt: skip
        errors.append((run.x - truth).pow(2).mean().sqrt().item())
    assert order - 0.25 < measured_order(errors) < order + 0.45, errors
    assert errors[-1] < {1: 0.02, 2: 5e-4}[order]


@pytest.mark.parametrize("name", NAMES)
def test_adaptive_flow_of_a_gaussian(name):
    """Down to eps and up again, at the tolerance asked for."""
    sde, data = SMALL_SDES[name], plane_gaussian()
    end, eps = ends(sde, 1e-3)
    init = data.sample_at(sde, end.expand(20), generator())
    how = dict(generator=None, init=init, eps=1e-3, rtol=1e-9, atol=1e-9)
    run = probability_flow_sample(sde, data.score_fn(sde), (20, 2), **how)
    truth = gaussian_flow(data, sde, init, end, eps)
    assert (run.x - truth).abs().max() < 1e-7
