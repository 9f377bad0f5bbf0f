"""Checkpoints whose parts are of the right names and hold something else: one line each."""

import copy

import pytest
import torch

from cizsl import build
from cizsl.training.trainer import Trainer
from repro.errors import InputError
from repro.files import checkpoint
from repro.run import RunFolder
from tests.cizsl.training.runs import CPU, run

WRONG = {
    ("progress", "records"): [[1], [{}], [{"stage": "test", "iteration": 3}], [None]],
    ("progress", "step"): [-3, 10**9, 1.5],
    ("progress", "seconds"): [float("nan"), float("inf"), -1.0],
    ("progress", "curves"): [{}, {"final": 7, "best": 7}, {"final": torch.zeros(3)}],
    ("progress", "best"): [{"x": 7}],
    ("progress", "terms"): [{"x": "y"}, {"x": torch.zeros(2)}],
    ("sampler", "order"): [7, {"permutation": torch.zeros(3), "position": 0}],
    ("sampler", "order", "position"): [-1, 10**400, "x", 10**6],
    ("sampler", "rng"): [7, torch.zeros(3)],
    ("gan", "generator_adam", "state", 0, "exp_avg"): [7, torch.zeros(1, 2, 3), "x"],
    ("gan", "generator_adam", "state", 0, "step"): ["x", torch.zeros(2)],
    ("gan", "generator_adam", "param_groups", 0, "lr"): ["x", None],
    ("random", "numpy"): [("MT19937", torch.zeros(3), 10**400, 0, 0.0)],
}
CASES = [(place, value) for place, values in WRONG.items() for value in values]


def replaced(state, place, value):
    """A copy of a checkpoint in which one entry is another."""
    damaged = copy.deepcopy(state)
    inner = damaged
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return damaged


def test_other_content_is_refused_in_one_line(tiny, tmp_path):
    config, path = tiny(), tmp_path / "run"
    run(config, path)
    (path / "results.json").unlink()
    (file,) = path.rglob("*.pt")
    state, task = checkpoint.load(file), build.task(config, build.data(config), "test", CPU)
    with RunFolder(path, config, resume=True) as folder:
        trainer = Trainer("test", config, task, folder, config.optimiser.iterations)
        for place, value in CASES:
            checkpoint.write(file, replaced(state, place, value))
            with pytest.raises(InputError, match="checkpoints/test: not of this run: ") as error:
                trainer._restore()
            assert "\n" not in str(error.value), (place, value)
        checkpoint.write(file, replaced(state, ("progress", "seconds"), 7.0))
        trainer._restore()
    assert trainer.progress.seconds == 7 and trainer.progress.step == state["progress"]["step"]
