"""Class accuracy of samples, with exact conditional scores in the place of a network."""

import json
import math
from pathlib import Path

import pytest
import torch

from repro.errors import InputError
from sde import build
from sde.api import Model
from sde.cli.parser import main
from sde.evaluation.classes import class_accuracy
from sde.trained_model import TrainedModel
from tests.helpers.labelled_data import LAW
from tests.helpers.oracles_sde import generator
from tests.sde.conftest import CPU, run, tiny_config

PLUGIN = "tests.helpers.labelled_data:two_gaussians"
COUNT = 600


class ExactNetwork(torch.nn.Module):
    """The score of the whole mixture, or that of each row's class."""

    def __init__(self, sde):
        super().__init__()
        self.sde = sde

    def forward(self, x, t, label=None):
        if label is None:
            return LAW.score(x, self.sde, t)
        each = torch.stack([LAW.given([k]).score(x, self.sde, t) for k in range(2)])
        return each[label, torch.arange(len(x))]


@pytest.fixture(scope="module")
def exact() -> TrainedModel:
    config = tiny_config(
        data={"name": PLUGIN, "train": 3000, "heldout": COUNT},
        model={"condition": "class", "prediction": "score", "conditioning": "time"},
        sampling={"sampler": "dpm_solver_pp_2m", "steps": 15, "batch_size": 400},
        evaluation={"samples": COUNT, "guidance": [0.0, 1.0, 4.0]},
    )
    sde = build.process(config)
    network, data = ExactNetwork(sde), build.dataset(config, CPU)
    score = build.score(config, sde, network)
    return TrainedModel(config, sde, network, score, data, 0, [], CPU, Path("none"))


def test_exact_scores_have_the_accuracy_of_real_examples(exact):
    """And of samples that do not know their class, that of guessing with the same frequencies."""
    found, samples = class_accuracy(exact)
    none, plain, guided = found["rows"]
    spread = math.sqrt(0.25 / COUNT)  # of a share of COUNT samples, at most
    assert found["heldout"] == COUNT and 0.9 < found["heldout_accuracy"] < 1
    assert plain["accuracy"] == pytest.approx(found["heldout_accuracy"], abs=5 * spread)
    left = 0.4  # of either class, as LAW says
    assert none["accuracy"] == pytest.approx(left**2 + (1 - left) ** 2, abs=7 * spread)
    assert guided["accuracy"] > 0.995
    # without guidance, and with the classes mixed up, the distribution is the true one
    assert max(none["energy_distance"], plain["energy_distance"]) < 0.01
    assert guided["energy_distance"] > 0.02 and guided["recall"] < plain["recall"] - 0.05
    assert list(samples) == [0.0, 1.0, 4.0] and samples[4.0].shape == (COUNT, 2)


@pytest.mark.parametrize(
    "label, law", [(None, LAW), (0, LAW.given([0])), ("right", LAW.given([1]))]
)
def test_the_likelihood_given_a_class_is_its_own_density(exact, label, law):
    x = LAW.sample(20, generator(3))
    found = Model(exact).log_prob(x, label)
    assert torch.allclose(found, law.log_prob(x), atol=0.03)  # at time 1 the mean is 0.004 from 0
    with pytest.raises(InputError, match="a likelihood takes one; got 2"):
        Model(exact).log_prob(x, [0, 1])


def test_an_evaluation_tells_accuracies_and_shows_the_samples(tmp_path, capsys):
    path = tmp_path / "run"
    model = {"condition": "class", "hidden_dim": 16}
    run(tiny_config(data={"name": "digits"}, model=model, evaluation={"probes": 1}), path)
    few = ["evaluation.samples=60", "evaluation.likelihoods=4", "evaluation.compare=[]"]
    few += ["sampling.sampler=ddim", "sampling.steps=4"]
    few += ["evaluation.guidance=[1,3]", "evaluation.guidance_interval=[0.1,100]"]
    few += ['evaluation.guidance_negative="7"']
    assert main(["evaluate", str(path), *few]) == 0
    said = capsys.readouterr().out
    rows = json.loads((path / "results.json").read_text())["evaluation"]["classes"]["rows"]
    assert [(row["guidance"], row["samples"], row["nfe"]) for row in rows] == [
        (1, 60, 5),
        (3, 60, 5),
    ]
    line = ", ".join(f"{100 * r['accuracy']:.1f} % at guidance {r['guidance']:g}" for r in rows)
    page = (path / "page.html").read_text()
    where = "(at noise levels 0.1 to 100) (away from 7)"
    assert f"samples classified as the class asked for: {line} {where}; held-out" in said
    assert "<h2>Samples of each class</h2>" in page and line in page
    assert page.count('aria-label="classes-') == 2
    assert main(["table", str(path)]) == 0
    table = " ".join(capsys.readouterr().out.split())  # without the padding of columns
    assert "Class accuracy of 60 samples of digits" in table and "noise levels 0.1 to 100" in table
    for row in rows:
        assert f"| {row['guidance']:g} | {row['accuracy']:.3f} |" in table
