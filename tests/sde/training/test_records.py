"""Checkpoints that hold something else: one line, whatever it is."""

import copy
import shutil

import pytest
import torch

from repro.errors import InputError
from repro.files import checkpoint
from sde.config.records import ModelState, TrainingState, read
from sde.trained_model import load
from tests.sde.conftest import CPU, run, tiny_config


@pytest.fixture(scope="module")
def state(plane_run):
    return checkpoint.load_newest(plane_run / "checkpoints")


def test_a_checkpoint_reads_as_it_was_written(state):
    found = read(state, TrainingState, "here")
    assert found.progress.step == 12 and [r["iteration"] for r in found.progress.records] == [
        4,
        8,
        12,
    ]
    assert found.average.keys() == state["average"].keys()
    assert torch.equal(found.generator, state["generator"])


@pytest.mark.parametrize("content", [None, 7, "text", [1, 2], {}, {"config": {}}, torch.zeros(3)])
def test_other_content_is_refused(content):
    with pytest.raises(InputError, match="here: not a checkpoint of sde: ") as error:
        read(content, ModelState, "here")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "place, value",
    [
        (("progress", "step"), -1),
        (("progress", "step"), "many"),
        (("progress", "records"), [{"iteration": 4}]),
        (("progress", "records"), 1e308),
        (("progress", "extra"), 1),
        (("average",), {"n_averaged": "12"}),
        (("average",), [1]),
        (("config",), "deep"),
    ],
)
def test_values_of_another_kind_are_refused_wherever_they_are_read(state, tmp_path, place, value):
    changed = copy.deepcopy(state)
    section = changed
    for key in place[:-1]:
        section = section[key]
    section[place[-1]] = value
    file = checkpoint.save(tmp_path / "checkpoints", 12, changed)
    with pytest.raises(InputError, match=f"not a checkpoint of sde: .*{place[-1]}") as error:
        load(file, CPU)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["network", "optimiser", "generator", "random", "progress"])
def test_a_training_is_not_resumed_from_half_a_checkpoint(state, plane_run, tmp_path, key):
    shutil.copytree(plane_run, tmp_path / "run")
    (tmp_path / "run" / "results.json").unlink()
    changed = {name: part for name, part in state.items() if name != key}
    checkpoint.save(tmp_path / "run" / "checkpoints", 12, changed)
    with pytest.raises(InputError, match=f"it lacks {key}"):
        run(tiny_config(), tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    "place, value",
    [
        (("progress", "first"), None),
        (("progress", "total"), None),
        (("progress", "total"), torch.zeros(3)),
        (("optimiser", "state", 0, "exp_avg"), torch.zeros(1, 2, 3)),
        (("optimiser", "state", 0, "step"), "x"),
        (("optimiser", "param_groups", 0, "betas"), "x"),
        (("random", "numpy"), ("MT19937", torch.zeros(3), 10**400, 0, 0.0)),
    ],
)
def test_a_training_is_not_resumed_from_other_content(state, plane_run, tmp_path, place, value):
    """The last step would fail otherwise, or the first one after resuming."""
    shutil.copytree(plane_run, tmp_path / "run")
    (tmp_path / "run" / "results.json").unlink()
    changed = inner = copy.deepcopy(state)
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    checkpoint.save(tmp_path / "run" / "checkpoints", 12, changed)
    with pytest.raises(InputError, match=r"not of this run|not a checkpoint") as error:
        run(tiny_config(), tmp_path / "run", resume=True)
    assert "\n" not in str(error.value)
