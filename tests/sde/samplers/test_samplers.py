"""The loop and its parts: every combination runs, replays, counts and refuses as it says."""

import pytest
import torch

from repro.errors import InputError
from sde import samplers
from sde.processes import VESDE, VPSDE
from sde.samplers import CORRECTORS, PREDICTORS, SCHEDULES, SOLVERS, sample, solve
from tests.helpers.oracles_sde import (
    ALL_SDES,
    GOLDEN_SDES,
    SMALL_SDES,
    affine_part,
    generator,
    golden_distribution,
    image_mixture,
    plane_gaussian,
    plane_mixture,
)
from tests.helpers.rounding import assert_same_up_to_rounding

NAMES = list(ALL_SDES)
PAIRS = [(p, c) for p in PREDICTORS for c in CORRECTORS if (p, c) != ("none", "none")]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("grid", ["exact", "published"])
@pytest.mark.parametrize("predictor, corrector", PAIRS)
def test_every_pair_on_vectors_and_images(predictor, corrector, grid, name):
    sde = ALL_SDES[name]
    if grid == "published" and name not in GOLDEN_SDES:
        with pytest.raises(InputError, match="has no published chain; these have: VESDE"):
            sample(
                sde, lambda x, t: -x, (1, 2), predictor=predictor, corrector=corrector, steps=24,
                grid=grid, generator=None,
            )  # fmt: skip
        return
    for data, dtype in ((plane_mixture(), torch.float32), (image_mixture(), torch.float64)):
        run = sample(
            sde, data.to(dtype).score_fn(sde), (3, *data.event_shape), predictor=predictor,
            corrector=corrector, steps=24, grid=grid, generator=generator(), dtype=dtype,
            trajectory=True, corrector_steps=2,
        )  # fmt: skip
        assert run.x.shape == run.x_mean.shape == (3, *data.event_shape)
        assert run.x.dtype == dtype and torch.isfinite(run.x).all()
        assert run.trajectory.shape == (25, *run.x.shape)
        per_step = (predictor != "none") + 2 * (corrector != "none")
        assert run.nfe == 24 * per_step + (grid == "exact")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_on_every_schedule(solver, schedule, name):
    sde = ALL_SDES[name]
    for data, dtype in ((plane_mixture(), torch.float32), (image_mixture(), torch.float64)):
        run = solve(
            sde, data.to(dtype).score_fn(sde), (3, *data.event_shape), solver=solver, steps=6,
            generator=generator(), schedule=schedule, dtype=dtype,
        )  # fmt: skip
        assert run.x.shape == (3, *data.event_shape) and run.x.dtype == dtype
        assert run.nfe == 6 * SOLVERS[solver].evaluations + 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_run_from_the_end_to_eps(schedule, name):
    times = SCHEDULES[schedule](ALL_SDES[name], 10, 1e-3, None)
    assert times[0] == ALL_SDES[name].end_time and times[-1] == 1e-3
    assert (times.diff() < 0).all() and len(times) == 11


@pytest.mark.parametrize("name", NAMES)
def test_langevin_steps_balance_drift_and_noise(name):
    """On N(0, s^2) a step is x - (h / s^2) x + sqrt(2 h) z: noise^2 = 2 s^2 (1 - slope)."""
    sde, data = SMALL_SDES[name], golden_distribution("diag", 1, 1)
    t = torch.tensor([0.4], dtype=torch.float64)
    variance = (sde.scale(t) ** 2 * 0.25 + sde.std(t) ** 2).item()

    def score(x, t):
        return data.score(x[..., None, None].expand(-1, 3, 1, 1), sde, t)[:, :1, 0, 0]

    part = CORRECTORS["annealed_langevin"](sde, score, snr=0.2)
    a, _, b = affine_part(part.step, sde.interval(t - 0.01, t))
    assert b**2 == pytest.approx(2 * variance * (1 - a), rel=1e-9)
    assert 1 - a < 0.2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("corrector", ["langevin", "langevin_per_sample", "annealed_langevin"])
def test_correctors_leave_the_marginal_alone(corrector, name):
    """200 small corrections at one time of exact samples keep mean and covariance; a step size
    that depends on x adds 2 / D to the variance, no less and no more."""
    own_step = corrector == "langevin_per_sample"
    sde, data = SMALL_SDES[name], golden_distribution("diag" if own_step else "chan", 2, 2)
    t = torch.full((1,), 0.4, dtype=torch.float64)
    x = data.sample_at(sde, t.expand(4000), generator(1))
    part = CORRECTORS[corrector](sde, data.score_fn(sde), snr=0.1)
    before, g = x.flatten(1), generator(2)
    for _ in range(200):
        z = torch.randn(x.shape, generator=g, dtype=x.dtype)
        x, _ = part.step(x, sde.interval(t - 0.01, t), z)
    after = x.flatten(1)
    expected = 1 + 2 / 12 if own_step else 1.0
    assert ((after.mean(0) - before.mean(0)).abs() / before.std(0)).max() < 0.09
    assert (after.var(0) / before.var(0)).mean().item() == pytest.approx(expected, abs=0.04)
    assert (after.var(0) / before.var(0) - expected).abs().max() < 0.13
    correlation = torch.corrcoef(after.T) - torch.corrcoef(before.T)
    assert correlation.abs().max() < 0.09


def test_per_sample_langevin_ignores_companions():
    sde, data = VPSDE(), golden_distribution("diag")
    x = data.sample(4, generator())
    z = torch.randn(x.shape, generator=generator(1), dtype=x.dtype)
    t = torch.full((1,), 0.5, dtype=torch.float64)
    part = CORRECTORS["langevin_per_sample"](sde, data.score_fn(sde))
    interval = sde.interval(t - 0.01, t)
    together, alone = part.step(x, interval, z)[0], part.step(x[:1], interval, z[:1])[0]
    assert torch.allclose(together[:1], alone)
    published = CORRECTORS["langevin"](sde, data.score_fn(sde))
    other = published.step(x, interval, z)[0][:1] - published.step(x[:1], interval, z[:1])[0]
    assert other.abs().max() > 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_samples_of_a_gaussian_have_its_moments(name):
    """The whole of it, from the prior, by three kinds of sampler."""
    sde, data, shape = ALL_SDES[name], plane_gaussian(), (4000, 2)
    mean, covariance = data.moments()
    how = dict(generator=generator(4), dtype=torch.float64)
    score_fn = data.score_fn(sde)
    runs = {
        "pc": sample(
            sde, score_fn, shape, predictor="ancestral", corrector="langevin", steps=300, **how
        ),
        "heun": solve(sde, score_fn, shape, solver="heun", steps=25, **how),
        "edm": solve(sde, score_fn, shape, solver="edm", steps=30, **how),
        "2m_sde": solve(sde, score_fn, shape, solver="dpm_solver_pp_2m_sde", steps=60, **how),
        "2m": solve(sde, score_fn, shape, solver="dpm_solver_pp_2m", steps=50, **how),
        "ode": samplers.probability_flow_sample(sde, score_fn, shape, denoise=True, **how),
    }  # fmt: skip
    for kind, run in runs.items():
        assert (run.x.mean(0) - mean).abs().max() < 0.06, kind
        assert (torch.cov(run.x.T) - covariance).abs().max() < 0.06, kind


def test_batches_bound_the_work_and_the_generator_fixes_the_result():
    sde, data, sizes = VPSDE(), plane_mixture().to(torch.float32), []

    def score_fn(x, t):
        sizes.append(len(x))
        assert t.shape == (len(x),) and t.dtype == x.dtype
        return data.score(x, sde, t)

    how = dict(predictor="ancestral", steps=5, batch_size=4)
    run = sample(sde, score_fn, (10, 2), generator=generator(), trajectory=True, **how)
    assert max(sizes) == 4 and run.x.shape == (10, 2) and run.trajectory.shape == (6, 10, 2)
    assert run.nfe == 6, "evaluations per sample, whatever the number of batches"
    again = sample(sde, score_fn, (10, 2), generator=generator(), **how)
    assert torch.equal(run.x, again.x) and again.trajectory is None
    assert not torch.equal(run.x, sample(sde, score_fn, (10, 2), generator=generator(1), **how).x)
    how = dict(steps=3, generator=None, init=run.trajectory[0])
    parts, alone = (solve(sde, score_fn, (10, 2), batch_size=n, **how) for n in (3, None))
    # a multistep solver forgets between batches; three steps with a dozen operations each
    assert_same_up_to_rounding(parts.x, alone.x, 36)


def test_denoising_ends_on_the_posterior_mean():
    sde, data = VESDE(), plane_gaussian()
    how = dict(predictor="ancestral", steps=50, generator=generator(), dtype=torch.float64)
    noisy = sample(sde, data.score_fn(sde), (5, 2), denoise=False, eps=0.3, **how)
    how["generator"] = generator()
    clean = sample(sde, data.score_fn(sde), (5, 2), denoise=True, eps=0.3, **how)
    t = torch.full((1,), 0.3, dtype=torch.float64)
    assert torch.allclose(clean.x, noisy.x + sde.std(t) ** 2 * data.score(noisy.x, sde, t))
    assert torch.equal(clean.x, clean.x_mean) and not torch.equal(noisy.x, noisy.x_mean)


@pytest.mark.gpu
def test_no_host_round_trip_on_a_gpu():
    """As many copies to the host for six steps as for three."""
    data = plane_mixture().to("cuda", torch.float32)
    g = torch.Generator("cuda").manual_seed(0)
    for sde in SMALL_SDES.values():
        for predictor, corrector in PAIRS:
            how = dict(predictor=predictor, corrector=corrector, generator=g)
            counts = []
            for steps in (3, 6):
                sample(sde, data.score_fn(sde), (8, 2), steps=steps, **how)
                with torch.profiler.profile() as profile:
                    sample(sde, data.score_fn(sde), (8, 2), steps=steps, **how)
                counts.append(sum(e.count for e in profile.key_averages() if "DtoH" in e.key))
            assert counts[0] == counts[1], (predictor, corrector)


def test_nothing_is_read_back_inside_the_loop(monkeypatch):
    """No .item(), bool() or .tolist() of a tensor between the first step and the last."""
    reads = []
    for method in ("item", "tolist", "__bool__", "__float__", "__int__", "numpy"):
        old = getattr(torch.Tensor, method)
        monkeypatch.setattr(
            torch.Tensor, method, lambda x, *a, old=old, m=method: reads.append(m) or old(x, *a)
        )
    data = plane_mixture().to(torch.float32)
    for sde in SMALL_SDES.values():
        for predictor, corrector in PAIRS:
            counts = []
            for steps in (2, 5):
                reads.clear()
                sample(
                    sde, data.score_fn(sde), (4, 2), predictor=predictor, corrector=corrector,
                    steps=steps, generator=generator(),
                )  # fmt: skip
                counts.append(len(reads))
            assert counts[0] == counts[1], (predictor, corrector, reads)
