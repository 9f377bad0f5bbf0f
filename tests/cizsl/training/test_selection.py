"""The choice of the creativity weight, against one whole training for each weight."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cizsl.training import results, selection
from cizsl.training.run import train
from cizsl.training.trainer import Diverged, Progress
from repro.errors import InputError
from repro.run import RunFolder
from repro.signals import StopRequest

CPU = torch.device("cpu")
TOO_LARGE = 1e40  # no float32: the first loss is infinite


def run(config, path, resume=False):
    with RunFolder(path, config, resume) as folder, StopRequest() as stop:
        return train(config, folder, CPU, stop)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def strict(tiny):
    def make(weight, criterion="top1"):
        return tiny(
            creativity={"weight": weight},
            optimiser={"iterations": 20},
            evaluation={"protocol": "strict", "select_by": criterion},
        )

    return make


def test_a_search_is_the_best_of_single_trainings(strict, tmp_path):
    """Each candidate is scored as its own run would score it; the rest is the winner's own run."""
    weights = (0.0, 30.0, 3000.0)
    alone = {weight: run(strict(weight), tmp_path / str(weight)) for weight in weights}
    found = run(strict([3000.0, 0, 30, TOO_LARGE]), tmp_path / "search")
    best = {}
    for weight in weights:
        records = lines(tmp_path / str(weight) / "metrics.jsonl")
        best[weight] = max(r["top1"] for r in records if r["phase"] == "selection")
    assert len(set(best.values())) > 1  # or any choice would do
    scores = [(line["weight"], line["score"]) for line in found["search"]["candidates"]]
    assert scores == [*best.items(), (TOO_LARGE, None)]
    winner = max(weights, key=best.get)
    assert found["creativity"]["weight"] == winner
    assert found["metrics"] == alone[winner]["metrics"]
    assert found["iterations"] == alone[winner]["iterations"]
    for name in ("generator", "best"):
        mine = load_file(tmp_path / "search" / f"{name}.safetensors")
        theirs = load_file(tmp_path / str(winner) / f"{name}.safetensors")
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    mine, theirs = (np.load(tmp_path / name / "curves.npz") for name in ("search", str(winner)))
    assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)
    assert not list((tmp_path / "search" / "checkpoints" / "selection").iterdir())


class Scripted:
    """A training with a given outcome: a score, or None where it diverges."""

    def __init__(self, score, count):
        self.score, self.count = score, count
        self.progress = Progress(seconds=1.0)

    def run(self, stop):
        self.count.append(self.score)
        self.progress.records = [{"ausuc": 0.0, "iteration": 4}]
        if self.score is None:
            raise Diverged("not finite")
        self.progress.records.append({"ausuc": self.score, "iteration": 8})
        return self.progress


@pytest.mark.parametrize(
    ("outcomes", "chosen"),
    [
        ({0.0: 0.1, 0.5: 0.3, 7.0: 0.2}, 0.5),
        ({0.0: 0.1, 0.5: 0.3, 7.0: 0.3}, 0.5),  # a tie
        ({0.0: None, 0.5: 0.0, 7.0: None}, 0.5),  # a score of nothing is better than none
    ],
)
def test_the_best_the_smaller_at_a_tie_never_a_diverged_one(strict, tmp_path, outcomes, chosen):
    trained = []
    config = strict(list(outcomes), "ausuc")
    with RunFolder(tmp_path, config) as folder:
        for trainings in (4, 1):  # again: nothing is trained twice, the winner is read back
            trained.clear()
            found = selection.select(
                config, folder, lambda c: Scripted(outcomes[c.creativity.weight], trained), None
            )
            assert found.config.creativity.weight == chosen
            assert found.record == results.best(found.progress.records, "ausuc")
            assert found.seconds == 3.0 and len(trained) == trainings
            assert [line["score"] for line in found.candidates] == list(outcomes.values())


def test_all_diverging_is_one_line(strict, tmp_path):
    with pytest.raises(InputError, match="diverged with every creativity weight"):
        run(strict([TOO_LARGE, 2 * TOO_LARGE]), tmp_path / "run")


def test_gazsl_has_no_weight_to_choose(tiny, tmp_path):
    """A list of weights stands in a configuration of GAZSL without effect."""
    config = tiny(
        creativity={"divergence": "none", "weight": [0, 1]}, evaluation={"protocol": "strict"}
    )
    summary = run(config, tmp_path / "run")
    assert "search" not in summary and summary["method"] == "GAZSL"
