"""The Python interface: load, sample, log_prob, complete."""

import io
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from matplotlib import image

import sde
from repro.errors import InputError
from sde import export
from sde.sample import draw
from sde.trained_model import load
from tests.helpers.rounding import assert_same_up_to_rounding
from tests.helpers.waiting import ENOUGH

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits(digits_run):
    return sde.load(digits_run, device="cpu")


def test_sampling_is_that_of_the_command_line(digits, digits_run):
    samples = digits.sample(5, sampler="heun", steps=3)
    trained = load(digits_run, CPU)
    expected = draw(trained, "heun", 3, 5)
    assert samples.nfe == expected.nfe == 7
    # with several threads products depend on where memory lies: 7 evaluations, 64 pixels, width 16
    terms = 7 * (64 + 2 * 16)
    size = 10 * samples.x.abs().max().item()  # a step multiplies a difference by at most about 10
    assert_same_up_to_rounding(samples.x, expected.x, terms, size)
    assert not torch.equal(digits.sample(5, sampler="heun", steps=3, seed=1).x, samples.x)
    again = digits.sample(5, sampler="heun", steps=3)
    assert_same_up_to_rounding(again.x, samples.x, terms, size)


def test_samples_show_as_a_figure(digits, plane_run):
    for model in (digits, sde.load(plane_run, device="cpu")):
        samples = model.sample(9, sampler="ddim", steps=2)
        shown = image.imread(io.BytesIO(samples._repr_png_()))
        assert shown.ndim == 3 and shown.std() > 0
        assert repr(samples).startswith("DrawnSamples(x=(9,") and len(samples) == 9


def test_repr_is_one_line(digits):
    assert repr(digits).startswith("Model(digits of 1 x 8 x 8, process vp, network mlp of ")
    assert repr(digits).endswith("12 iterations, on cpu)") and "\n" not in repr(digits)


def test_log_prob_integrates_to_the_likelihood_of_the_flow(plane_run):
    """The density over a fine grid sums to 1, so it is a log density in nats of x itself."""
    model = sde.load(plane_run, {"evaluation.rtol": 1e-3, "evaluation.atol": 1e-3}, device="cpu")
    side = torch.linspace(-6, 6, 81)
    grid = torch.cartesian_prod(side, side)
    mass = model.log_prob(grid).double().exp().sum() * (side[1] - side[0]) ** 2
    assert mass.item() == pytest.approx(1, abs=0.02)


def test_completion_keeps_what_is_known(digits):
    x = digits.sample(3, sampler="ddim", steps=2).x
    completed = digits.complete(x, hide="right", way="replacement", steps=3, sampler="ddim")
    assert completed.shape == x.shape
    assert torch.allclose(completed[..., :4], x[..., :4], atol=1e-6)
    hidden = x.clone()
    hidden[..., 4:] = 0.5
    again = digits.complete(hidden, hide="right", way="replacement", steps=3, sampler="ddim")
    assert torch.equal(again, completed), "what is hidden is not used"


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda model: model.log_prob(torch.zeros(2, 8, 8)), r"shape \(B, 1, 8, 8\)"),
        (lambda model: model.complete(torch.zeros(1, 1, 8, 8), hide="left side"), "left side"),
        (lambda model: model.sample(2, sampler="hoin"), "hoin"),
        (lambda model: model.sample(0), "count"),
    ],
)
def test_mistakes_are_one_line(digits, call, message):
    with pytest.raises(InputError, match=message):
        call(digits)


def test_images_of_the_plane_cannot_be_completed(plane_run):
    with pytest.raises(InputError, match="only images can be completed"):
        sde.load(plane_run, device="cpu").complete(torch.zeros(1, 2), hide="left")


def test_overrides_may_not_change_the_model(plane_run):
    with pytest.raises(InputError, match=r"a trained model keeps its model\.depth"):
        sde.load(plane_run, {"model.depth": 2})


def test_azula_is_asked_for_where_it_is_missing_and_refuses_discrete_models(plane_run, monkeypatch):
    model = sde.load(plane_run, device="cpu")
    monkeypatch.setattr(export, "_classes", export._classes.__wrapped__)  # not cached
    monkeypatch.setitem(sys.modules, "azula.denoise", None)
    message = r"azula is not installed .*: pip install 'cizsl-sde\[azula\]'"
    with pytest.raises(InputError, match=message):
        model.azula()
    loss = model.config.loss.model_copy(update={"num_timesteps": 10})
    config = model.config.model_copy(update={"loss": loss})
    discrete = sde.Model(replace(model.trained, config=config))
    with pytest.raises(InputError, match="trained on 10 timesteps, between which it has no score"):
        discrete.azula()


def test_every_export_is_there():
    assert sde.__version__
    for name in sde.__all__:
        assert getattr(sde, name) is not None
    assert set(sde.__all__) <= set(dir(sde))


def fresh(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=ENOUGH
    )
    return done.stdout


def test_importing_sde_imports_no_torch():
    code = "import sys, sde; print(sorted(m for m in sys.modules if m in ('torch', 'numpy')))"
    assert fresh(code).strip() == "[]"


def test_reading_checkpoints_needs_neither_samplers_nor_data_nor_configurations():
    code = "import sys, sde.checkpoint; print(*sorted(m for m in sys.modules if m[:3] == 'sde'))"
    rooms = {name.split(".")[1] for name in fresh(code).split() if "." in name}
    assert rooms >= {"checkpoint", "networks"}
    assert not rooms & {"samplers", "data", "config", "evaluation", "train"}
