"""Whole commands on a pretended GPU: no devices are mixed, and the numbers are those of the CPU."""

import json

import pytest
import torch

from cizsl import build
from cizsl.cli.parser import main
from cizsl.evaluate import evaluate
from cizsl.training.run import train
from repro.config import dump
from repro.run import RunFolder
from repro.signals import Interrupted, StopRequest
from tests.cizsl.training.runs import StopAfter, assert_same_outcome, outcome
from tests.helpers.fake_cuda import FakeCuda, run_on, without_a_gpu

pytestmark = [without_a_gpu, pytest.mark.usefixtures("undrawn")]
STRICT = {"protocol": "strict", "every": 2, "start": 2}
CASES = {
    "sharma_mittal": {"creativity": {"divergence": "sharma_mittal", "form": "exact"}},
    "renyi": {"creativity": {"divergence": "renyi", "form": "exact", "alpha": 0.7}},
    "new_class": {"creativity": {"divergence": "new_class", "form": "exact"}},
    "published": {
        "creativity": {"divergence": "kl", "form": "published", "reference_compat": True},
        "loss": {"reference_compat": True},
    },
    "gazsl": {"creativity": {"divergence": "none"}},
    "search": {"search": {"creativity.weight": [0.1, 1.0]}, "evaluation": STRICT},
    "softmax": {"model": {"text_embed_dim": 0}, "evaluation": {"classifier": "softmax"}},
    "generalised": {"evaluation": {"generalised": "classifier"}},
    "tf32": {"data": {"normalisation": "standardise"}, "compute": {"precision": "tf32"}},
}


@pytest.fixture
def written(tiny, tmp_path):
    """``written(section={...})``: the file of a tiny configuration with five iterations."""

    def write(**changes):
        changes["evaluation"] = {"every": 2, "start": 2, **changes.get("evaluation", {})}
        changes["optimiser"] = {"iterations": 5, **changes.get("optimiser", {})}
        changes["compute"] = {"align": 24, **changes.get("compute", {})}  # on either device
        file = tmp_path / "config.yaml"
        file.write_text(dump(tiny(**changes)))
        return file

    return write


def assert_same_but_for_the_device(one, other):
    (results, log, *arrays), (others, other_log, *others_arrays) = outcome(one), outcome(other)
    assert {results.pop("device"), others.pop("device")} == {"cpu", "cuda"}
    assert results == others and log == other_log
    for mine, theirs in zip(arrays, others_arrays, strict=True):
        assert mine.keys() == theirs.keys()
        assert all((torch.as_tensor(mine[k]) == torch.as_tensor(theirs[k])).all() for k in mine)


@pytest.mark.parametrize("case", CASES)
def test_a_run_ends_as_on_the_cpu(written, tmp_path, case):
    file = written(**CASES[case])
    for device in ("cpu", "cuda"):
        run_on(device, main, "train", file, "--out", tmp_path / device)
    assert_same_but_for_the_device(tmp_path / "cuda", tmp_path / "cpu")


@pytest.mark.parametrize(("graph", "looks"), [("none", (7, 20)), ("auto", (1, 4))])
def test_stopping_anywhere_changes_nothing(tiny, tmp_path, graph, looks):
    """Checkpoints of the device, random states and all, are written and read back."""
    config = tiny(optimiser={"iterations": 6}, compute={"graph": graph})
    cuda = torch.device("cuda")
    with FakeCuda(), StopRequest() as never:
        with RunFolder(tmp_path / "whole", config) as folder:
            train(config, folder, cuda, never)
        for number in looks:
            with RunFolder(tmp_path / "pieces", config, True) as folder, pytest.raises(Interrupted):
                train(config, folder, cuda, StopAfter(number))
        with RunFolder(tmp_path / "pieces", config, True) as folder:
            train(config, folder, cuda, never)
    assert_same_outcome(tmp_path / "whole", tmp_path / "pieces")


def test_a_run_of_one_device_is_evaluated_on_the_other(written, tmp_path, capsys):
    said = {}
    for device, other in (("cpu", "cuda"), ("cuda", "cpu")):
        run_on(device, main, "train", written(), "--out", tmp_path / device)
        capsys.readouterr()
        run_on(other, main, "evaluate", tmp_path / device)
        where, said[device] = capsys.readouterr().out.split("\n", 1)
        assert f"it ran on {device}" in where
    assert said["cpu"] == said["cuda"] and "ausuc" in said["cpu"]


def test_baselines(written, tmp_path):
    for device in ("cpu", "cuda"):
        run_on(device, main, "baselines", written(), "--out", tmp_path / device)
    files = list((tmp_path / "cpu").rglob("results.json"))
    assert files
    for file in files:
        ours = json.loads((tmp_path / "cuda" / file.relative_to(tmp_path / "cpu")).read_text())
        assert ours["metrics"] == json.loads(file.read_text())["metrics"]


@pytest.mark.parametrize("divergence", ["none", "sharma_mittal", "new_class"])
@pytest.mark.parametrize("form", ["exact", "published"])
def test_an_iteration_never_waits_for_the_device(tiny, divergence, form):
    config = tiny(creativity={"divergence": divergence, "form": form})
    cuda = torch.device("cuda")
    with FakeCuda() as gpu:
        task = build.task(config, build.data(config), "test", cuda)
        gan, sampler = build.gan(config, task), build.sampler(config, task)
        before = gpu.waits, gpu.operations
        for _ in range(5):
            gan.critic_step(sampler.critic_batch(gan.teaches_critic))
        terms = gan.generator_step(sampler.generator_batch(gan.hallucinates))
        assert gpu.waits == before[0] and gpu.operations > before[1] + 500
        assert (
            terms["adversarial"].item() == terms["adversarial"].cpu() and gpu.waits == before[0] + 2
        )


@pytest.mark.parametrize("curve", ["grid", "exact"])
def test_an_evaluation_waits_for_the_device_once(tiny, curve):
    cuda = torch.device("cuda")
    with FakeCuda() as gpu:
        config = tiny()
        task = build.task(config, build.data(config), "test", cuda)
        generator = build.blank_generator(config, task)
        for expected in (3, 1):  # the first also counts the images of each class, and reads that
            before = gpu.waits
            found = evaluate(generator, task, build.evaluation_rng(config, 0, cuda), curve=curve)
            assert gpu.waits - before == expected
        assert 0 <= found.ausuc <= 1
