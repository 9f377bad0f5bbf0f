"""What is looked at while a run goes on, and the switches of speed on a GPU."""

import sys

import numpy as np
import pytest
import torch
from matplotlib import image

from repro.errors import InputError
from repro.run import RunFolder
from sde.sample import draw
from sde.trained_model import load
from sde.training.train import train
from tests.helpers.rounding import float32_bound
from tests.sde.conftest import CPU, StopAfter, run, tiny_config


def test_grids_of_samples_come_as_often_as_asked_and_change_nothing(tmp_path):
    evaluation = {"every": 4, "grid_every": 5}
    sampling = {"steps": 3, "count": 10}
    run(tiny_config(evaluation=evaluation, sampling=sampling), tmp_path / "seen")
    run(tiny_config(sampling=sampling), tmp_path / "unseen")
    figures = sorted((tmp_path / "seen" / "training").iterdir())
    assert [path.name for path in figures] == ["samples_00000005.png", "samples_00000010.png"]
    one, other = (image.imread(path) for path in figures)
    assert one.shape[2] == 4 and np.abs(one - other).max() > 0, "another model, other samples"
    draws = [draw(load(tmp_path / name, CPU), "ddim", 3, 5).x for name in ("seen", "unseen")]
    assert torch.equal(*draws), "looking at a run does not change it"


def test_samples_that_fail_do_not_end_the_training(tmp_path, capsys):
    """beta_min 0 leaves the first level of DDPM without noise: its samples cannot be finite."""
    config = tiny_config(
        process={"beta_min": 0.0}, loss={"num_timesteps": 30},
        evaluation={"grid_every": 4, "every": 3},
        model={"prediction": "noise", "conditioning": "time"},
        sampling={"steps": 30, "grid": "published"},
    )  # fmt: skip
    assert run(config, tmp_path / "run")["iterations"] == 12
    assert "no figure at iteration 4" in capsys.readouterr().err


def test_figures_are_drawn_in_float32_whatever_training_uses(tmp_path, monkeypatch):
    """Under autocast the ODE's own sums, its error among them, would be in bfloat16."""
    seen = []

    def watched(*arguments, **named):
        seen.append(torch.is_autocast_enabled("cpu"))
        return draw(*arguments, **named)

    monkeypatch.setattr("sde.sample.draw", watched)
    config = tiny_config(
        evaluation={"grid_every": 5},
        sampling={"sampler": "ode", "count": 4, "rtol": 1e-2, "atol": 1e-2},
        compute={"precision": "bf16"},
    )
    run(config, tmp_path)
    assert seen == [False, False]


def test_tensorboard_gets_every_record(tmp_path):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="TensorBoard is not installed",
    )
    how = dict(evaluation={"every": 4, "grid_every": 6}, sampling={"steps": 3, "count": 5})
    run(tiny_config(**how, compute={"logger": "tensorboard"}), tmp_path)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    records = load(tmp_path, CPU).records
    assert [event.step for event in events.Scalars("loss")] == [4, 8, 12]
    for name in ("loss", "heldout_loss", "gradient_norm"):
        found = [event.value for event in events.Scalars(name)]
        assert found == pytest.approx([record[name] for record in records], rel=float32_bound(1))
    assert [event.step for event in events.Images("samples")] == [6, 12]


def test_tensorboard_that_is_missing_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"compute.logger.*not installed"):
        run(tiny_config(compute={"logger": "tensorboard"}), tmp_path)


SWITCHES = [
    {"precision": "tf32"},
    {"precision": "bf16", "channels_last": True},
    {"precision": "bf16", "channels_last": True, "compile": True},
    {"gradient_accumulation": 2, "fused": False},
]


@pytest.mark.gpu
@pytest.mark.parametrize("switches", SWITCHES, ids=lambda s: "+".join(s))
def test_every_switch_trains_on_a_gpu_as_float32_does(switches, tmp_path):
    """The held-out loss after 40 iterations, within 5 % of that in float32."""
    unet = {"channels": 16, "multipliers": (1, 2), "attention": (4,)}
    model = {"network": "ncsnpp", "prediction": "noise", "conditioning": "time_999", "unet": unet}
    losses = []
    for name, compute in (("float32", {}), ("switched", switches)):
        config = tiny_config(
            data={"name": "digits"},
            model={**model, "hidden_dim": 128, "depth": 3, "frequencies": 4},
            optimiser={"iterations": 40, "batch_size": 64},
            compute={"checkpoint_seconds": 60, **compute},
        )
        with RunFolder(tmp_path / name, config) as folder:
            found = train(config, folder, torch.device("cuda"), StopAfter(1000))
        losses.append(found["heldout_loss"])
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
