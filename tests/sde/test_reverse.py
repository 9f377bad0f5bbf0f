"""The reverse equations, and the integrator of the ODE against two others."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torchdiffeq import odeint

from repro.errors import InputError
from sde.reverse import probability_flow, reverse_sde
from sde.samplers.dormand_prince import integrate
from tests.oracles_sde import GOLDEN_SDES, generator, plane_gaussian, plane_mixture


@pytest.mark.parametrize("name", GOLDEN_SDES)
def test_reverse_sde_carries_the_moments_of_a_gaussian_backwards(name):
    """With drift A x + b and noise g, run backwards: dC/dt = A C + C A^T - g^2 I, dm/dt = A m + b;
    both must be the derivatives of the known moments. The flow likewise, without g."""
    sde, data = GOLDEN_SDES[name], plane_gaussian()
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


@pytest.mark.parametrize("name", GOLDEN_SDES)
@pytest.mark.parametrize("tolerance", [1e-4, 1e-7])
def test_integrator_takes_the_steps_of_scipy(name, tolerance):
    sde, data = GOLDEN_SDES[name], plane_mixture()
    flow, calls = probability_flow(sde, data.score_fn(sde)), [0]
    z = sde.prior_sample((20, 2), generator(), dtype=torch.float64)

    def field(t, x):
        calls[0] += 1
        return flow.drift(x, t)

    def flat(t, y):
        time = torch.tensor([t], dtype=torch.float64)
        return flow.drift(torch.from_numpy(y.reshape(20, 2)), time).numpy().ravel()

    ours = integrate(field, z, 1.0, 1e-3, rtol=tolerance, atol=tolerance)
    how = dict(rtol=tolerance, atol=tolerance, method="RK45")
    theirs = solve_ivp(flat, (1.0, 1e-3), z.numpy().ravel(), **how)
    assert calls[0] == theirs.nfev
    assert np.abs(ours.numpy().ravel() - theirs.y[:, -1]).max() < 1e-9


def test_integrator_agrees_with_torchdiffeq_both_ways():
    sde, data = GOLDEN_SDES["vp"], plane_mixture()
    flow = probability_flow(sde, data.score_fn(sde))
    z = sde.prior_sample((20, 2), generator(), dtype=torch.float64)
    how = dict(rtol=1e-10, atol=1e-10)
    ours = integrate(lambda t, x: flow.drift(x, t), z, 1.0, 1e-3, **how)
    times = torch.tensor([1.0, 1e-3], dtype=torch.float64)
    how |= dict(method="dopri5", options={"step_t": times[1:]})  # or it steps past the end
    theirs = odeint(lambda t, x: flow.drift(x, t.reshape(1)), z, times, **how)
    assert (ours - theirs[-1]).abs().max() < 1e-7
    back = integrate(lambda t, x: flow.drift(x, t), ours, 1e-3, 1.0, rtol=1e-10, atol=1e-10)
    assert (back - z).abs().max() < 1e-6


def test_integrator_on_easy_and_impossible_fields():
    y = torch.ones(3, 2)
    how = dict(rtol=1e-6, atol=1e-6)
    still = integrate(lambda t, y: 0 * y, y, 0.0, 1.0, **how)
    assert torch.equal(still, y)
    grown = integrate(lambda t, y: y, y, 0.0, 1.0, **how)
    assert torch.allclose(grown, torch.e * y, rtol=1e-5) and grown.dtype == torch.float32
    blow_up = [lambda t, y: 2 * y**2, lambda t, y: y * 1e38, lambda t, y: y * np.nan]
    for field in blow_up:
        with pytest.raises(InputError, match="stalled"):
            integrate(field, y, 0.0, 1.0, **how)
