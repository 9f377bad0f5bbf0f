"""Models as denoisers of azula: its own denoiser and samplers are the oracles."""

import pytest
import torch

import sde
from repro.seeding import generator
from sde import export, samplers
from sde.analytic import Mixture
from sde.processes import VESDE, VPSDE, CosineVPSDE, RectifiedFlow, SubVPSDE
from sde.trained_model import load
from tests.helpers.rounding import float32_bound
from tests.sde.conftest import run, tiny_config

pytest.importorskip("azula", reason="azula is not installed")
from azula.denoise import GaussianDenoiser
from azula.guidance.cfg import CFGDenoiser
from azula.linalg.covariance import FullCovariance
from azula.noise import RectifiedSchedule, VESchedule
from azula.sample import DDIMSampler

PROCESSES = [VESDE(0.02, 5.0), VPSDE(), SubVPSDE(), CosineVPSDE(), RectifiedFlow()]
CPU = torch.device("cpu")
MEAN = torch.tensor([0.7, -0.4], dtype=torch.float64)
COVARIANCE = torch.tensor([[0.3, 0.1], [0.1, 0.2]], dtype=torch.float64)
LABELLED = "tests.helpers.labelled_data:two_gaussians"


def gaussian() -> Mixture:
    """N(MEAN, COVARIANCE) in the plane, with neither mean 0 nor variance 1."""
    return Mixture(MEAN[None], COVARIANCE[None])


def test_the_posterior_mean_is_that_of_azulas_own_denoiser():
    data, x = gaussian(), torch.randn(50, 2, dtype=torch.float64, generator=generator(0))
    for process in PROCESSES:
        ours = export.azula_denoiser(process, data.score_fn(process))
        covariance = FullCovariance(*reversed(torch.linalg.eigh(COVARIANCE)))
        theirs = GaussianDenoiser(MEAN, covariance, ours.schedule)
        for time in (0.05, 0.4, 0.9):
            t = torch.tensor(time, dtype=torch.float64)
            expected = theirs(x, t).mean
            torch.testing.assert_close(ours(x, t).mean, expected, rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(ours(x, t.expand(50)).mean, expected, rtol=1e-9, atol=1e-9)


def test_ve_and_rectified_flow_have_azulas_schedules():
    t = torch.linspace(0, 0.99, 12, dtype=torch.float64)
    pairs = [
        (VESDE(0.02, 5.0), VESchedule(0.02, 5.0)),
        (RectifiedFlow(), RectifiedSchedule(0.0, 0.0)),
    ]
    for process, theirs in pairs:
        for mine, its in zip(export.azula_schedule(process)(t), theirs(t), strict=True):
            torch.testing.assert_close(mine, its, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: type(process).__name__)
def test_azulas_ddim_is_ours_on_the_same_times(process):
    data, steps, eps = gaussian(), 12, process.sampling_eps
    x = process.prior_sample((40, 2), generator(1), dtype=torch.float64)
    score = data.score_fn(process)
    ours = samplers.solve(
        process, score, x.shape, solver="ddim", steps=steps, schedule="uniform", eps=eps,
        denoise=False, init=x, dtype=torch.float64, generator=None,
    )  # fmt: skip
    how = dict(start=process.end_time, stop=eps, steps=steps, dtype=torch.float64, silent=True)
    theirs = DDIMSampler(export.azula_denoiser(process, score), **how)(x)
    torch.testing.assert_close(ours.x, theirs, rtol=1e-9, atol=1e-9)


def test_a_run_samples_by_azula_as_by_us(plane_run):
    model, x = sde.load(plane_run, device="cpu"), torch.randn(30, 2, generator=generator(2))
    denoiser, process = model.azula(), model.trained.sde
    ours = samplers.solve(
        process, model.trained.score_fn, x.shape, solver="ddim", steps=8, schedule="uniform",
        eps=1e-3, denoise=False, init=x, generator=None,
    )  # fmt: skip
    how = dict(stop=1e-3, steps=8, dtype=torch.float64, silent=True)
    theirs = DDIMSampler(denoiser, **how)(x)
    # 8 steps, some 60 numbers along a path of the network; means are differences of size 1 / scale
    scale = process.scale(torch.ones(1)).item()
    assert (ours.x - theirs).abs().max() <= float32_bound(8 * 60, ours.x.abs().max() / scale)
    names = {name.removeprefix("network.") for name in denoiser.state_dict()}
    assert names == set(model.trained.network.state_dict())


def test_labels_are_a_keyword_and_azula_guides_by_them(tmp_path):
    few = {"iterations": 3, "batch_size": 32, "warmup_steps": 0, "ema_decay": 0.1}
    data, model = {"name": LABELLED, "train": 60}, {"condition": "class"}
    run(tiny_config(data=data, model=model, optimiser=few), tmp_path / "run")
    trained = load(tmp_path / "run", CPU, with_data=False)
    denoiser, process = export.azula_denoiser_of(trained), trained.sde
    x, t = torch.randn(3, *trained.shape, generator=generator(3)), torch.full((3,), 0.5)

    def expected(label):
        score = trained.score_given(label)
        return samplers.base.denoise(process, score, x, t)

    plus, null = expected(torch.tensor([0, 1, 1])), expected(None)
    bound = float32_bound(1000, plus.abs().max().item())
    assert (denoiser(x, t, label=[0, 1, 1]).mean - plus).abs().max() <= bound
    assert (denoiser(x, t).mean - null).abs().max() <= bound
    assert (plus - null).abs().max() > 100 * bound
    guided = CFGDenoiser(denoiser)
    mean = guided(x, t, positive={"label": [0, 1, 1]}, guidance=2.0).mean  # w - 1 of ours
    assert (mean - (plus + 2 * (plus - null))).abs().max() <= 10 * bound
