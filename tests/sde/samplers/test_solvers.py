"""Orders of the multistep formulas from exact starting values, and moments of stochastic solvers.

The solvers of order 3 and 4 start by lower orders, which makes a whole run of order 2. So the
formula is measured with its first states replaced by exact ones. Mean and variance that the
stochastic solvers give on a Gaussian are carried exactly: their steps are affine.
"""

import numpy as np
import pytest
import torch

from sde.analytic import gaussian, gaussian_flow
from sde.samplers import SOLVERS, probability_flow_sample, solve
from sde.samplers.adams_bashforth import integrated_polynomials
from sde.samplers.heun import EDM
from sde.samplers.schedules import log_noise
from tests.helpers.oracles_sde import (
    SMALL_SDES,
    affine_part,
    generator,
    measured_order,
    plane_gaussian,
    plane_mixture,
)

NAMES = list(SMALL_SDES)
EPS = 0.02
MULTISTEP = {
    "dpm_solver_pp_2m": 2,
    "dpm_solver_pp_3m": 3,
    "adams_bashforth_2": 2,
    "adams_bashforth_3": 3,
    "adams_bashforth_4": 4,
}


def transitions(sde, steps):
    times = log_noise(sde, steps, EPS, None)
    return sde.interval(times[1:], times[:-1])


def at(time):
    return torch.tensor([time], dtype=torch.float64)


def line_gaussian(variance=0.15):
    return gaussian(at(0.7), torch.tensor(variance, dtype=torch.float64))


def exact_moments(sde, time, variance=0.15):
    t = at(time)
    return (sde.scale(t) * 0.7).item(), (sde.scale(t) ** 2 * variance + sde.std(t) ** 2).item()


def final_error(solver, sde, data, path, steps):
    """The error at EPS where path(s) gives the exact states (B, 2) at the first few times."""
    part, plan = SOLVERS[solver](sde, data.score_fn(sde)), transitions(sde, steps)
    part.reset()
    x = path(plan.t[:1])
    for i in range(steps):
        x = part.step(x, plan[i], None)[0]
        if i + 1 < MULTISTEP[solver]:
            x = path(plan.s[i : i + 1])
    return (x - path(at(EPS))).pow(2).mean().sqrt().item()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("solver, order", MULTISTEP.items())
def test_multistep_formulas_have_their_order_on_a_gaussian(solver, order, name):
    sde, data = SMALL_SDES[name], plane_gaussian()
    end = at(sde.end_time)
    init = data.sample_at(sde, end.expand(16), generator())
    errors = [
        final_error(solver, sde, data, lambda s: gaussian_flow(data, sde, init, end, s), steps)
        for steps in (40, 80, 160)
    ]
    assert order - 0.5 < measured_order(errors) < order + 0.9, errors
    assert errors[-1] < {2: 2e-4, 3: 2e-6, 4: 5e-7}[order]


@pytest.mark.parametrize("solver, order", [("dpm_solver_pp_3m", 3), ("adams_bashforth_4", 4)])
def test_multistep_formulas_have_their_order_on_a_mixture(solver, order):
    """Exact states by the adaptive flow at 1e-12."""
    sde, data = SMALL_SDES["rectified_flow"], plane_mixture()
    init = data.sample_at(sde, at(sde.end_time).expand(8), generator())
    how = dict(generator=None, init=init, rtol=1e-12, atol=1e-12, method="dopri8")

    def path(s):
        if s.item() == sde.end_time:
            return init
        return probability_flow_sample(sde, data.score_fn(sde), (8, 2), eps=s.item(), **how).x

    errors = [final_error(solver, sde, data, path, steps) for steps in (80, 160, 320)]
    assert order - 0.4 < measured_order(errors) < order + 0.6, errors


def test_integrals_of_lagrange_polynomials():
    """The weights integrate exp(u) u^n exactly for n < k, whatever the places."""
    places, end = torch.tensor([0.3, 1.1, 1.7, 3.0], dtype=torch.float64), at(-1.2)
    weights = integrated_polynomials(places, end)
    for n in range(4):
        u = np.polynomial.Polynomial.basis(n)
        antiderivative = sum((-1) ** k * u.deriv(k) if k else u for k in range(n + 1))
        exact = [float(np.exp(v) * antiderivative(v)) for v in (end.item(), 0.3)]
        assert (weights @ places**n).item() == pytest.approx(exact[0] - exact[1], rel=1e-10)


def churned_moments(sde, data, steps, start, churn, **how):
    """Mean and variance after all steps of edm on a Gaussian on the line."""
    part, plan = EDM(sde, data.score_fn(sde), churn=churn, **how), transitions(sde, steps)
    part.steps = steps
    mean, variance = start
    for i in range(steps):
        a, c, b = affine_part(part.step, plan[i])
        mean, variance = a * mean + c, a * a * variance + b * b
    return mean, variance


@pytest.mark.parametrize("name", NAMES)
def test_edm_has_weak_order_two(name):
    sde, data = SMALL_SDES[name], line_gaussian()
    start, end = (exact_moments(sde, time) for time in (sde.end_time, EPS))
    errors = []
    for steps in (32, 64, 128):
        found = churned_moments(sde, data, steps, start, churn=5.0)
        errors.append(np.abs(np.subtract(found, end)))
    means, variances = np.array(errors).T
    assert 1.75 < measured_order(variances) < 2.3, errors
    assert variances[-1] < 5e-4 and means.max() < 1e-12, "the mean moves along the flow exactly"


def test_edm_adds_noise_where_and_as_much_as_it_says():
    """Without churn it is Heun's method; outside the range and beyond the end nothing is added."""
    sde, data = SMALL_SDES["vp"], plane_gaussian()
    how = dict(steps=6, generator=None, init=data.sample(5, generator()))
    heun = solve(sde, data.score_fn(sde), (5, 2), solver="heun", **how)
    for still in (dict(churn=0.0), dict(churn_low=1e3, churn_high=1e4)):
        run = solve(sde, data.score_fn(sde), (5, 2), solver="edm", parameters=still, **how)
        assert torch.allclose(run.x, heun.x, atol=1e-10) and run.nfe == heun.nfe
    part = EDM(sde, data.score_fn(sde), churn=10.0)
    part.steps = 100
    ratio = sde.noise_ratio(part.noisier(at(0.5))) / sde.noise_ratio(at(0.5))
    assert ratio.item() == pytest.approx(1.1, rel=1e-12)
    part.steps = 2
    ratio = sde.noise_ratio(part.noisier(at(0.5))) / sde.noise_ratio(at(0.5))
    assert ratio.item() == pytest.approx(2**0.5, rel=1e-12), "gamma is at most sqrt(2) - 1"
    assert part.noisier(at(sde.end_time)).item() == sde.end_time


def multistep_moments(solver, sde, data, steps, start):
    """Mean and variance after all steps of a solver that remembers one prediction.

    A step is affine in (x, last prediction, z), whose mean and covariance are carried.
    """
    part, plan = SOLVERS[solver](sde, data.score_fn(sde)), transitions(sde, steps)
    mean, covariance, length = np.array([start[0], 0.0]), np.diag([start[1], 0.0]), None

    def step(i, x, last, z):
        part.history = [] if length is None else [(at(last)[None], length)]
        x = part.step(at(x)[None], plan[i], at(z)[None])[0]
        return np.array([x.item(), part.history[0][0].item()])

    for i in range(steps):
        offset = step(i, 0.0, 0.0, 0.0)
        matrix = np.stack([step(i, *unit) - offset for unit in np.eye(3)], 1)
        mean = matrix[:, :2] @ mean + offset
        noise = np.outer(matrix[:, 2], matrix[:, 2])
        covariance = matrix[:, :2] @ covariance @ matrix[:, :2].T + noise
        length = part.history[0][1]
    return mean[0], covariance[0, 0]


@pytest.mark.parametrize("name", NAMES)
def test_weak_order_of_the_multistep_sde_solver(name):
    sde, data = SMALL_SDES[name], line_gaussian()
    start, end = (exact_moments(sde, time) for time in (sde.end_time, EPS))
    errors = []
    for steps in (32, 64, 128):
        found = multistep_moments("dpm_solver_pp_2m_sde", sde, data, steps, start)
        errors.append(np.abs(np.subtract(found, end)))
    means, variances = np.array(errors).T
    assert 1.75 < measured_order(variances) < 2.3, errors
    assert variances[-1] < 2e-3 and means.max() < 1e-12, "D is a martingale"


@pytest.mark.parametrize("name", NAMES)
def test_stochastic_solvers_are_exact_where_the_data_is_one_point(name):
    """D is then constant: four steps carry mean and variance exactly, from any noise."""
    sde, data = SMALL_SDES[name], line_gaussian(1e-14)
    start, end = (exact_moments(sde, time, 1e-14) for time in (sde.end_time, EPS))
    found = multistep_moments("dpm_solver_pp_2m_sde", sde, data, 4, start)
    assert found == pytest.approx(end, rel=1e-7)
    assert churned_moments(sde, data, 4, start, churn=1.0) == pytest.approx(end, rel=1e-7)
