"""Whole commands on a pretended GPU: no devices are mixed, and the numbers are those of the CPU."""

import json

import numpy as np
import pytest
import torch

from repro.config import dump
from repro.distributed import DistributedContext
from repro.run import RunFolder
from repro.signals import Interrupted, StopRequest
from sde.cli.parser import main
from sde.evaluation.evaluate import evaluate
from sde.trained_model import load
from sde.training import heldout
from sde.training.train import Trainer, train
from tests.helpers.fake_cuda import FakeCuda, run_on, without_a_gpu
from tests.helpers.rounding import float32_bound
from tests.sde.cli.test_cli import SAMPLERS
from tests.sde.conftest import CPU, StopAfter, tiny_config
from tests.sde.training.test_train import assert_same, outcome

pytestmark = [without_a_gpu, pytest.mark.usefixtures("undrawn")]
CUDA = torch.device("cuda")
UNET = {"channels": 4, "multipliers": [1, 2], "blocks": 1, "attention": [4], "dropout": 0.1}
UNET_OF_VE = {**UNET, "embedding": "fourier", "fir": True, "progressive_input": "residual"}
FEW = ["evaluation.likelihoods=6", "evaluation.rtol=0.01", "evaluation.atol=0.01"]
IMAGES = {"name": "npz", "heldout": 0.25, "flip": True}
CASES = {
    "vp": {},
    "ve": {"process": {"name": "ve"}, "loss": {"weighting": "likelihood"}},
    "energy": {"model": {"energy": "square"}, "process": {"name": "subvp"}},
    "importance": {"loss": {"weighting": "importance"}, "optimiser": {"max_grad_norm": 0}},
    "levels": {
        "loss": {"num_timesteps": 1000},
        "model": {"prediction": "noise", "conditioning": "time"},
    },
    "ncsnpp": {
        "data": {**IMAGES, "dequantise": False, "centred": False, "memory": "host"},
        "process": {"name": "ve"},
        "model": {"network": "ncsnpp", "conditioning": "std", "unet": UNET_OF_VE},
    },
    "ddpmpp": {
        "data": IMAGES,
        "model": {"network": "ncsnpp", "prediction": "noise", "unet": UNET},
        "compute": {"gradient_accumulation": 2, "channels_last": True, "precision": "tf32"},
    },
}


@pytest.fixture(autouse=True)
def few_heldout_draws(monkeypatch):
    """Every operation on the pretended GPU passes through Python."""
    monkeypatch.setattr(heldout, "DRAWS", 64)


@pytest.fixture
def written(tmp_path):
    """``written(section={...})``: the file of a tiny configuration with three iterations."""
    images = np.random.default_rng(0).integers(256, size=(24, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "noise.npz", images=images, labels=np.arange(24) % 3)

    def write(**changes):
        if changes.get("data", {}).get("name") == "npz":
            changes["data"] = {**changes["data"], "path": str(tmp_path / "noise.npz")}
        changes["optimiser"] = {"iterations": 3, "batch_size": 8, **changes.get("optimiser", {})}
        file = tmp_path / "config.yaml"
        file.write_text(dump(tiny_config(**changes)))
        return file

    return write


def without_device(path):
    results, log, state = outcome(path)
    assert results.pop("device") in ("cpu", "cuda")
    return results, log, {k: v for k, v in state.items() if k != "random"}


def assert_close(one, other):
    """Equal but for where and how long; numbers to rounding, since sums depend on where memory
    lies: ten steps of a network that adds some 2000 numbers along one path."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one.keys() - {"device", "seconds"}:
            assert_close(one[name], other[name])
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=float32_bound(10 * 2000))
    else:
        assert one == other


@pytest.mark.parametrize("case", CASES)
def test_training_and_sampling_end_as_on_the_cpu(written, tmp_path, case):
    file, drawn = written(**CASES[case], evaluation={"every": 2}), {}
    for device in ("cpu", "cuda"):
        run_on(device, main, "train", file, "--out", tmp_path / device)
        run_on(device, main, "sample", tmp_path / device, "--steps", 2, "-n", 3)
        drawn[device] = np.load(next((tmp_path / device).glob("samples_*.npz")))["x"]
    assert_same(without_device(tmp_path / "cuda"), without_device(tmp_path / "cpu"))
    assert np.array_equal(drawn["cpu"], drawn["cuda"])


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler(plane_run, tmp_path, name):
    """The same samples; and the host waits no more often for more steps."""
    quick = ["sampling.rtol=1e-2", "sampling.atol=1e-2"]
    sample = ["sample", plane_run, *quick, "--sampler", name, "-n", 4, "--steps"]
    for device in ("cpu", "cuda"):
        waits = run_on(device, main, *sample, 3, "--out", tmp_path / device)
    ours, theirs = (
        np.load(next((tmp_path / device).glob("*.npz")))["x"] for device in ("cuda", "cpu")
    )
    assert np.array_equal(ours, theirs)
    if name != "ode":
        assert run_on("cuda", main, *sample, 6, "--out", tmp_path / "more") == waits


@pytest.mark.parametrize("data", ["plane", "digits"])
def test_evaluations(plane_run, digits_run, tmp_path, data):
    run = {"plane": plane_run, "digits": digits_run}[data]
    few = [*FEW, "evaluation.samples=20", "evaluation.budgets=[4]"]
    found = {}
    for device in ("cpu", "cuda"):
        run_on(device, main, "likelihood", run, *FEW)
        run_on(device, main, "evaluate", run, *few, "--out", tmp_path / device)
        found[device] = json.loads((tmp_path / device / "results.json").read_text())
    assert_close(found["cuda"], found["cpu"])


class TwoRanks(DistributedContext):
    """The leader of two, where it does the work of both: what it gets has been on the CPU."""

    def __init__(self):
        super().__init__(size=2)

    def scatter_map(self, work, items, bar=None):
        return [work(item) for item in items]


def test_an_evaluation_by_several_ranks(digits_run, tmp_path):
    few = [*FEW, "evaluation.samples=20", "evaluation.budgets=[4]"]
    _, one = evaluate(load(digits_run, CPU, few), tmp_path / "one")
    with FakeCuda():
        _, two = evaluate(load(digits_run, CUDA, few), tmp_path / "two", TwoRanks())
    assert_close(two, one)


@pytest.mark.parametrize("fused", [True, False])
def test_counts_of_a_resumed_optimiser_lie_where_they_did(tmp_path, fused):
    """Adam in separate kernels counts on the host; read from the GPU, it would wait for each."""
    config = tiny_config(compute={"fused": fused})
    with FakeCuda():
        with RunFolder(tmp_path, config) as folder, pytest.raises(Interrupted):
            train(config, folder, CUDA, StopAfter(3))
        with RunFolder(tmp_path, config, True) as folder:
            trainer = Trainer(config, folder, CUDA)
            trainer._restore()
        counts = [state["step"] for state in trainer.optimiser.state.values()]
        assert len(counts) > 3 and all(count.is_cuda == fused for count in counts)


def test_classes_and_completion(digits_run, tmp_path):
    draw = ["--steps", 3, "-n", 3, "--sampler", "ancestral", "--out"]
    for device in ("cpu", "cuda"):
        out = tmp_path / device
        run_on(device, main, "classifier", digits_run, "--iterations", 3)
        run_on(device, main, "sample", digits_run, "--class", 3, *draw, out)
        for way in ("guided", "replacement"):
            run_on(device, main, "complete", digits_run, "--draws", 2, "--way", way, *draw, out)
    files = sorted(path.relative_to(tmp_path / "cpu") for path in (tmp_path / "cpu").rglob("*.npz"))
    assert len(files) == 3
    for file in files:
        ours, theirs = np.load(tmp_path / "cuda" / file), np.load(tmp_path / "cpu" / file)
        assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def test_stopping_anywhere_changes_nothing(tmp_path):
    """Checkpoints of the device, random states and all, are written and read back."""
    config = tiny_config(optimiser={"iterations": 8})
    with FakeCuda(), StopRequest() as never:
        with RunFolder(tmp_path / "whole", config) as folder:
            train(config, folder, CUDA, never)
        with RunFolder(tmp_path / "pieces", config) as folder, pytest.raises(Interrupted):
            train(config, folder, CUDA, StopAfter(3))
        with RunFolder(tmp_path / "pieces", config, True) as folder:
            train(config, folder, CUDA, never)
        assert_same(outcome(tmp_path / "whole"), outcome(tmp_path / "pieces"))


@pytest.mark.parametrize("case", CASES)
def test_the_host_does_not_wait_in_an_iteration(written, tmp_path, case):
    """As many waits for four iterations as for two, where nothing is recorded or saved; one each
    where the images lie in the host's memory, which has to know which ones are drawn."""
    changes, waits = CASES[case], {}
    settings = {"evaluation": {"every": 1000}, "compute": {"checkpoint_seconds": 1000}}
    settings = {name: {**changes.get(name, {}), **value} for name, value in settings.items()}
    for iterations in (2, 4):
        optimiser = {**changes.get("optimiser", {}), "iterations": iterations}
        file = written(**{**changes, **settings, "optimiser": optimiser})
        waits[iterations] = run_on("cuda", main, "train", file, "--out", tmp_path / str(iterations))
    per_iteration = changes.get("data", {}).get("memory") == "host"
    assert waits[4] - waits[2] == 2 * per_iteration
