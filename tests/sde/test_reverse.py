"""The reverse equations, and the integrator of the ODE against two others."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from repro.errors import InputError
from sde.reverse import probability_flow, reverse_sde
from sde.samplers.adaptive import METHODS, integrate
from tests.helpers.oracles_sde import ALL_SDES, generator, plane_gaussian, plane_mixture
from tests.helpers.rounding import float32_bound


@pytest.mark.parametrize("name", ALL_SDES)
def test_reverse_sde_carries_the_moments_of_a_gaussian_backwards(name):
    """With drift A x + b and noise g, run backwards: dC/dt = A C + C A^T - g^2 I, dm/dt = A m + b;
    both must be the derivatives of the known moments. The flow likewise, without g."""
    sde, data = ALL_SDES[name], plane_gaussian()
    for time in (0.01, 0.3, 0.9):
        t = torch.tensor([time], dtype=torch.float64)

        def moments(t, data=data):
            mean, covariance = data.moments()
            eye = torch.eye(2, dtype=torch.float64)
            return sde.scale(t) * mean, sde.scale(t) ** 2 * covariance + sde.std(t) ** 2 * eye

        after, before = moments(t + 1e-5), moments(t - 1e-5)
        mean, covariance = moments(t)
        for make in (reverse_sde, probability_flow):
            equation = make(sde, data.score_fn(sde))
            probe = torch.tensor([[0, 0], [1, 0], [0, 1]], dtype=torch.float64)
            at = equation.drift(probe, t)
            A, b = (at[1:] - at[0]).T, at[0]
            g2 = equation.diffusion(t) ** 2 * torch.eye(2)
            rate = A @ covariance + covariance @ A.T - g2
            assert torch.allclose((after[0] - before[0]) / 2e-5, A @ mean + b, rtol=1e-6, atol=1e-7)
            assert torch.allclose((after[1] - before[1]) / 2e-5, rate, rtol=1e-6, atol=1e-7)
        assert (equation.diffusion(t) == 0).all()


@pytest.mark.parametrize("name", ALL_SDES)
@pytest.mark.parametrize("tolerance", [1e-4, 1e-7])
def test_integrator_takes_the_steps_of_scipy(name, tolerance):
    sde, data = ALL_SDES[name], plane_mixture()
    end = sde.end_time
    flow, calls = probability_flow(sde, data.score_fn(sde)), [0]
    z = sde.prior_sample((20, 2), generator(), dtype=torch.float64)

    def field(t, x):
        calls[0] += 1
        return flow.drift(x, t)

    def flat(t, y):
        time = torch.tensor([t], dtype=torch.float64)
        return flow.drift(torch.from_numpy(y.reshape(20, 2)), time).numpy().ravel()

    ours = integrate(field, z, end, 1e-3, rtol=tolerance, atol=tolerance)
    how = dict(rtol=tolerance, atol=tolerance, method="RK45")
    theirs = solve_ivp(flat, (end, 1e-3), z.numpy().ravel(), **how)
    assert calls[0] == theirs.nfev
    assert np.abs(ours.numpy().ravel() - theirs.y[:, -1]).max() < 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_every_method_agrees_with_scipy_both_ways(method):
    """Against DOP853 at 1e-12; the two methods of low order take thousands of steps at 1e-10."""
    sde, data = ALL_SDES["vp"], plane_mixture()
    flow = probability_flow(sde, data.score_fn(sde))
    z = sde.prior_sample((20, 2), generator(), dtype=torch.float64)
    low = method in ("bosh3", "fehlberg2", "adaptive_heun")
    tolerance = 1e-6 if low else 1e-10
    how = dict(rtol=tolerance, atol=tolerance, method=method)

    def field(t, x):
        assert t.shape == (1,) and 1e-3 <= t.item() <= 1, "never outside the interval"
        return flow.drift(x, t)

    def flat(t, y):
        time = torch.tensor([t], dtype=torch.float64)
        return flow.drift(torch.from_numpy(y.reshape(20, 2)), time).numpy().ravel()

    ours = integrate(field, z, 1.0, 1e-3, **how)
    exact = solve_ivp(flat, (1.0, 1e-3), z.numpy().ravel(), method="DOP853", rtol=1e-12, atol=1e-12)
    assert np.abs(ours.numpy().ravel() - exact.y[:, -1]).max() < (1e-3 if low else 1e-7)
    back = integrate(field, ours, 1e-3, 1.0, **how)
    assert (back - z).abs().max() < (1e-2 if low else 1e-6)


@pytest.mark.parametrize("method", ["dormand_prince", "dopri5", "dopri8"])
def test_integrator_on_easy_and_impossible_fields(method):
    y = torch.ones(3, 2)
    how = dict(rtol=1e-6, atol=1e-6, method=method)
    still = integrate(lambda t, y: 0 * y, y, 0.0, 1.0, **how)
    assert torch.equal(still, y)
    grown = integrate(lambda t, y: y, y, 0.0, 1.0, **how)
    assert grown.dtype == torch.float32
    # the error of the method, 1e-6 a step in at most ten steps, and rounding
    assert torch.allclose(grown, torch.e * y, rtol=1e-5 + float32_bound(10))
    blow_up = [lambda t, y: 2 * y**2, lambda t, y: y * 1e38, lambda t, y: y * np.nan]
    for field in blow_up:
        with pytest.raises(InputError, match="stalled"):
            integrate(field, y, 0.0, 1.0, **how)
