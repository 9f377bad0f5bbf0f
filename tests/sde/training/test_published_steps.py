"""Training steps of the published code, replayed through the trainer.

Recorded were six steps of a network of 12 parameters, with Adam of learning rate 0.01, 3 steps of
warm-up, gradients clipped to norm 1 and averages of decay 0.999, in float64.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from repro.run import RunFolder
from sde import build
from sde.data.dataset import Dataset, DataSpec, Split
from sde.training.train import Trainer
from tests.sde.conftest import CPU, StopAfter, tiny_config

ARRAYS = np.load(Path(__file__).parents[2] / "golden" / "sde" / "training_steps.npz")
HERE, STEPS = __name__, 6
CASES = {  # of the recordings: what a configuration calls them
    "ve": ({"prediction": "score", "conditioning": "std"}, {"reduce": "half_sum"}),
    "vp": ({"prediction": "noise", "conditioning": "time_999"}, {}),
    "subvp": ({"prediction": "noise", "conditioning": "time_999"}, {"weighting": "likelihood"}),
}


def array(name):
    return torch.from_numpy(ARRAYS[name]).double()


class Network(nn.Module):
    """tanh(W x + b) cos(c / 100) / 2 with W (3, 3) on the channels; c is the condition (B,)."""

    def __init__(self, shape):
        super().__init__()
        self.W, self.b = nn.Parameter(array("W")), nn.Parameter(array("b"))

    def forward(self, x, condition):
        mixed = torch.einsum("ij,bjhw->bihw", self.W, x) + self.b[:, None, None]
        return 0.5 * torch.tanh(mixed) * torch.cos(0.01 * condition)[:, None, None, None]


def batches(train, heldout, seed):
    """The recorded batches as a data set, whose order the test sets."""
    spec = DataSpec("batches", (3, 4, 4))
    return Dataset(spec, *[Split(spec, array("batches").flatten(0, 1))] * 2)


@pytest.fixture
def in_float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", CASES)
def test_recorded_training_steps_are_replayed(tmp_path, monkeypatch, in_float64, name):
    model, loss = CASES[name]
    config = tiny_config(
        data={"name": f"{HERE}:batches"},
        process={"name": name},
        model={"network": f"{HERE}:Network", **model},
        loss=loss,
        optimiser=dict(
            learning_rate=0.01, batch_size=8, iterations=STEPS, warmup_steps=3,
            max_grad_norm=1.0, ema_decay=0.999, reference_compat=True,
        ),
        evaluation={"every": 1},
    )  # fmt: skip
    drawn = iter(zip(array("batches"), array("u"), array("z"), strict=True))
    monkeypatch.setattr(Trainer, "_batch", lambda self: iter([next(drawn)]))
    with RunFolder(tmp_path / "run", config) as folder:
        trainer = Trainer(config, folder, CPU)
        progress = trainer.run(StopAfter(math.inf))

    def close(ours, what, tolerance=1e-9):
        theirs = ARRAYS[f"{name}/{what}"]
        assert np.abs(np.asarray(ours) - theirs).max() < tolerance * np.abs(theirs).max(), what

    def flat(network):
        return torch.cat([network.W.flatten(), network.b]).detach()

    close([record["learning_rate"] for record in progress.records], "lr", 1e-15)
    assert ARRAYS[f"{name}/lr"][0] == 0
    close([record["loss"] for record in progress.records], "loss")
    close(flat(trainer.network), "params")
    close(flat(trainer.ema.module), "ema")
    batch = array("batch"), array("eval_u"), array("eval_z")
    with torch.no_grad():
        value = build.loss(config, trainer.sde)(trainer.ema.module, *batch).loss
    close(value, "eval_loss_ema")


def test_without_the_switch_no_step_is_lost():
    """The first of five steps of warm-up has a fifth of the rate; the average has no step before
    the first."""
    ours, published = (tiny_config(optimiser={"reference_compat": on}) for on in (False, True))
    rates = [[build.learning_rate(c, step) for step in range(7)] for c in (ours, published)]
    assert rates[0] == pytest.approx([0.0004, 0.0008, 0.0012, 0.0016, 0.002, 0.002, 0.002])
    assert rates[1] == pytest.approx([0.0, *rates[0][:-1]])
    network = nn.Linear(1, 1, bias=False)
    averages = [build.ema(config, network) for config in (ours, published)]
    with torch.no_grad():
        before = network.weight.item()
        network.weight.fill_(before + 1)
        for average in averages:
            average.update_parameters(network)
    moved = [average.module.weight.item() - before for average in averages]
    assert moved == pytest.approx([1, 1 - 2 / 11], rel=1e-6)  # d_1 = (1 + 1) / (10 + 1)
