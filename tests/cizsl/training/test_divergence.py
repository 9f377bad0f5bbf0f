"""A run that diverges names the first loss term that broke, and keeps its checkpoints."""

import math
import re

import pytest
import torch

from cizsl.gan import GAN
from repro.errors import InputError
from repro.signals import Interrupted
from tests.cizsl.training.runs import StopAfter, run

pytestmark = pytest.mark.usefixtures("undrawn")


def test_a_run_that_diverges_says_so(tiny, tmp_path):
    with pytest.raises(InputError, match=r"loss term '\w+' is (nan|inf|-inf) at iteration"):
        run(tiny(optimiser={"learning_rate": 1e18}), tmp_path / "run")


def test_a_run_that_diverges_keeps_its_checkpoints(tiny, tmp_path, monkeypatch):
    """Sound until iteration 4, then with weights that are not numbers."""
    config, path, plain = tiny(), tmp_path / "run", GAN.generator_step

    def spoilt(self, *batch):
        terms = plain(self, *batch)
        for parameter in self.generator.parameters():
            parameter.data.fill_(math.nan)
        return terms

    with pytest.raises(Interrupted):
        run(config, path, stop=StopAfter(30))
    monkeypatch.setattr(GAN, "generator_step", spoilt)
    with pytest.raises(InputError, match="weights of the generator are not finite at iteration"):
        run(config, path, resume=True)
    files = list((path / "checkpoints" / "test").glob("*.pt"))
    assert files
    for file in files:
        state = torch.load(file, weights_only=True)["gan"]["generator"]
        assert all(tensor.isfinite().all() for tensor in state.values())


def test_the_term_that_is_blamed_was_the_first_to_break(tiny, tmp_path):
    """The published Renyi is 0/0 once every row is confident; all else follows from it."""
    creativity = {"divergence": "renyi", "form": "published", "beta": 0.9999, "weight": 1000.0}
    changes = {"optimiser": {"learning_rate": 0.05, "iterations": 200}}
    changes |= {"evaluation": {"every": 199, "start": 0}, "compute": {"checkpoint_seconds": 1e6}}
    with pytest.raises(InputError, match=r"loss term 'creativity' is nan at iteration") as error:
        run(tiny(creativity=creativity, **changes), tmp_path / "run")
    assert int(re.search(r"iteration (\d+)", str(error.value))[1]) < 199
