"""Iterations as one graph: the numbers of iterations without it, whatever interrupts them."""

import itertools

import pytest
import torch

from cizsl import build
from cizsl.batches import GeneratorBatch, Hallucination
from cizsl.config.sections import Compute
from cizsl.gan import GAN
from cizsl.training.graph import WARM_UP
from cizsl.training.steps import GANSteps
from repro.errors import InputError
from repro.signals import Interrupted
from tests.cizsl.training.runs import StopAfter, assert_same_outcome, run
from tests.helpers.emulated_graphs import emulated_graphs

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def graphs(monkeypatch):
    """``graphs(True)``: iterations on the CPU are graphs, which are emulated."""

    def use(wanted):
        monkeypatch.setattr(Compute, "has_graph", lambda self, device: wanted)

    with emulated_graphs():
        yield use


@pytest.mark.parametrize("divergence", ["new_class", "random_walk"])
def test_a_run_is_the_same(tiny, tmp_path, graphs, divergence):
    changes = {"optimiser": {"iterations": 7}, "compute": {"checkpoint_seconds": 1e6}}
    config = tiny(creativity={"divergence": divergence}, walk={"samples": 2}, **changes)
    for wanted in (False, True):
        graphs(wanted)
        run(config, tmp_path / str(wanted))
    assert_same_outcome(tmp_path / "False", tmp_path / "True")


def test_a_run_goes_on_with_and_without(tiny, tmp_path, graphs):
    """Stopped within an iteration without a graph, between two with one, and so on."""
    config = tiny(optimiser={"iterations": 11}, compute={"checkpoint_seconds": 1e6})
    graphs(False)
    run(config, tmp_path / "whole")
    for wanted, looks in ((False, 9), (True, 5), (False, 3)):
        graphs(wanted)
        with pytest.raises(Interrupted):
            run(config, tmp_path / "pieces", resume=True, stop=StopAfter(looks))
        newest = max((tmp_path / "pieces").rglob("*.pt"))
        step = torch.load(newest, weights_only=True)["progress"]["step"]
        assert step % 6 == (0 if wanted else 3), step
    graphs(True)
    run(config, tmp_path / "pieces", resume=True)
    assert_same_outcome(tmp_path / "whole", tmp_path / "pieces")


def test_a_divergence_is_found_at_its_iteration(tiny, tmp_path, graphs, monkeypatch):
    """Also where the terms of the iteration's last critic step are finite."""
    plain, said = GAN.critic_step, []
    for wanted in (False, True):
        calls = itertools.count()

        def spoilt(self, batch, calls=calls):
            terms = plain(self, batch)
            return terms | {"real": terms["real"] / (next(calls) != 5 * 7 + 2)}

        monkeypatch.setattr(GAN, "critic_step", spoilt)
        graphs(wanted)
        with pytest.raises(InputError, match=r"'real' is -?inf") as error:
            run(tiny(), tmp_path / str(wanted))
        said.append(str(error.value).partition(": ")[2])
    assert "iteration 7 of" in said[0] and said[0] == said[1]


def test_a_failed_capture_costs_nothing_but_time(tiny, tmp_path, graphs, monkeypatch, capsys):
    """It fails in the generator step, with gradients and projected texts half made."""
    config = tiny(optimiser={"iterations": 6}, compute={"checkpoint_seconds": 1e6})
    graphs(False)
    run(config, tmp_path / "plain")
    graphs(True)

    def refused(function):
        with monkeypatch.context() as patch:
            patch.setattr(GAN, "_update", fail)
            function()

    def fail(self, *names):
        if "generator" in names:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        for name in names:  # a capture records a step and does not take it
            self.optimisers[name].zero_grad(set_to_none=True)

    monkeypatch.setattr("cizsl.training.graph.capture", refused)
    run(config, tmp_path / "failed")
    assert "warning: no CUDA graph" in capsys.readouterr().err
    assert_same_outcome(tmp_path / "plain", tmp_path / "failed")


def test_batches_are_copied_whole():
    def batch(fill):
        numbers = [torch.full((2, n), float(fill)) for n in (1, 2, 3, 4)]
        return GeneratorBatch(numbers[0], numbers[1], Hallucination(*numbers))

    buffer, other = batch(1).clone(), batch(2)
    places = [buffer.index.data_ptr(), buffer.hallucination.z.data_ptr()]
    buffer.copy_(other)
    assert [buffer.index.data_ptr(), buffer.hallucination.z.data_ptr()] == places
    mine = [buffer.index, buffer.z, *vars(buffer.hallucination).values()]
    assert all((value == 2).all() for value in mine) and buffer.walks is None


@pytest.mark.gpu
@pytest.mark.parametrize("divergence", ["none", "sharma_mittal", "new_class", "random_walk"])
def test_on_a_gpu(tiny, divergence):
    """The real thing: captured, replayed without waiting, and the numbers of single steps."""
    cuda, terms, states = torch.device("cuda"), {}, {}
    for graph in ("none", "auto"):
        settings = {"graph": graph, "align": 64}
        config = tiny(creativity={"divergence": divergence}, compute=settings, walk={"samples": 2})
        steps = GANSteps(config, build.task(config, build.data(config), "test", cuda))
        assert steps.whole == (graph == "auto")
        for iteration in range(WARM_UP + 5):
            late = iteration > WARM_UP + 1
            torch.cuda.set_sync_debug_mode("error" if late else "default")
            try:
                found = [steps.step(iteration, position) for position in range(6)]
            finally:
                torch.cuda.set_sync_debug_mode("default")
        terms[graph] = {k: v.item() for step in found for k, v in step.items()}
        states[graph] = steps.gan.generator.state_dict()
    # the sums of the visual pivot have no fixed order on a GPU, and Adam amplifies rounding
    assert terms["auto"] == pytest.approx(terms["none"], rel=1e-3, abs=1e-4)
    for name, value in states["none"].items():
        torch.testing.assert_close(states["auto"][name], value, rtol=1e-2, atol=1e-3, msg=name)
