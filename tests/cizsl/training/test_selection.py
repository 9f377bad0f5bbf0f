"""The search on validation classes, against one whole training for each combination."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cizsl.training import results, selection
from cizsl.training.run import train
from cizsl.training.stage import Progress
from cizsl.training.terms import Diverged
from repro.errors import InputError
from repro.run import RunFolder
from repro.signals import StopRequest

pytestmark = pytest.mark.usefixtures("undrawn")

CPU = torch.device("cpu")
WEIGHT, RATE = "creativity.weight", "optimiser.learning_rate"
TOO_FAST = 1e18  # training diverges in its first iterations


def run(config, path, resume=False):
    with RunFolder(path, config, resume) as folder, StopRequest() as stop:
        return train(config, folder, CPU, stop)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def strict(tiny):
    def make(search, criterion="top1", **changes):
        return tiny(
            search=search,
            optimiser={"iterations": 20},
            evaluation={"protocol": "strict", "select_by": criterion},
            **changes,
        )

    return make


def test_a_search_is_the_best_of_single_trainings(strict, tmp_path):
    """Each candidate is scored as its own run would score it; the rest is the winner's own run."""
    weights, rate = (0.0, 30.0, 3000.0), strict({}).optimiser.learning_rate
    alone = {
        weight: run(strict({}, creativity={"weight": weight}), tmp_path / str(weight))
        for weight in weights
    }
    config = strict({WEIGHT: [3000.0, 0, 30], RATE: [rate, TOO_FAST]})
    found = run(config, tmp_path / "search")
    best = {}
    for weight in weights:
        records = lines(tmp_path / str(weight) / "metrics.jsonl")
        best[weight] = max(r["top1"] for r in records if r["stage"] == "validation")
    assert len(set(best.values())) > 1  # or any choice would do
    tried = [(c[WEIGHT], c[RATE], c["score"]) for c in found["search"]["candidates"]]
    expected = [[(w, rate, score), (w, TOO_FAST, None)] for w, score in best.items()]
    assert tried == [line for pair in expected for line in pair]
    winner = max(weights, key=best.get)
    assert found["search"]["chosen"] == {WEIGHT: winner, RATE: rate}
    assert found["creativity"]["weight"] == winner
    assert found["metrics"] == alone[winner]["metrics"]
    assert found["iterations"] == alone[winner]["iterations"]
    for name in ("generator", "best"):
        mine = load_file(tmp_path / "search" / f"{name}.safetensors")
        theirs = load_file(tmp_path / str(winner) / f"{name}.safetensors")
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    mine, theirs = (np.load(tmp_path / name / "curves.npz") for name in ("search", str(winner)))
    assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)
    assert not list((tmp_path / "search" / "checkpoints" / "validation").iterdir())


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
        ({0.0: None, 0.5: 0.0, 7.0: None}, 0.5),  # a score of 0 is better than none
    ],
)
def test_the_best_the_smaller_at_a_tie_never_a_diverged_one(strict, tmp_path, outcomes, chosen):
    trained = []

    def make(config, candidate, name):
        assert candidate == {WEIGHT: config.creativity.weight} and name
        return Scripted(outcomes[config.creativity.weight], trained)

    config = strict({WEIGHT: list(outcomes)}, "ausuc")
    with RunFolder(tmp_path, config) as folder:
        for trainings in (4, 1):  # again: nothing is trained twice, the winner is read back
            trained.clear()
            found = selection.select(config, folder, make, None)
            assert found.config.creativity.weight == chosen
            assert found.record == results.best(found.progress.records, "ausuc")
            assert found.seconds == 3.0 and len(trained) == trainings
            scores = [line["score"] for line in found.search["candidates"]]
            assert scores == list(outcomes.values())


def test_all_diverging_is_one_line(strict, tmp_path):
    with pytest.raises(InputError, match="diverged with every candidate"):
        run(strict({RATE: [TOO_FAST, 2 * TOO_FAST]}), tmp_path / "run")


@pytest.mark.parametrize(
    "line",
    ["[]", '{"candidate": {}}', '{"candidate": {"x": 1}, "score": 0.1, "iteration": 1}', "7"],
)
def test_a_damaged_record_of_the_search_is_one_line(strict, tmp_path, line):
    config = strict({WEIGHT: [0, 1]})
    with RunFolder(tmp_path, config) as folder:
        (tmp_path / "search.jsonl").write_text(line + "\n")
        with pytest.raises(InputError, match=r"search\.jsonl"):
            selection.select(config, folder, None, None)


def test_gazsl_has_no_weight_to_search(strict, tmp_path):
    """Candidates for its weight stand in a configuration of GAZSL without effect."""
    summary = run(strict({WEIGHT: [0, 1]}, creativity={"divergence": "none"}), tmp_path / "run")
    assert "search" not in summary and summary["method"] == "GAZSL"


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"creativity.weigt": [0, 1]}, r"not a key to search; did you mean 'creativity.weight'\?"),
        ({"evaluation.select_by": ["top1", "ausuc"]}, "not a key to search"),
        ({WEIGHT: [1]}, "two or more candidates"),
        ({WEIGHT: [1, 1]}, "different candidates"),
        ({WEIGHT: [0, -1]}, "greater than or equal to 0"),
        (
            {
                "creativity.alpha": [i / 50 for i in range(1, 40)],
                RATE: [1 / i for i in range(1, 40)],
            },
            "1521 combinations; at most 1000",
        ),
        (3, "lists by dotted key"),
    ],
)
def test_what_cannot_be_searched_is_one_line(strict, search, said):
    with pytest.raises(InputError, match=said) as error:
        strict(search)
    assert "\n" not in str(error.value)


def test_overrides_replace_and_remove_candidates(strict):
    """As the command line gives them: sections instead of dotted keys, null to remove."""
    nested = {WEIGHT: [0, 1], "creativity": {"weight": [3, 2]}, "optimiser": {"batch_size": [8, 4]}}
    config = strict(nested)
    assert config.search == {WEIGHT: (2, 3), "optimiser.batch_size": (4, 8)}
    pairs = [(t.creativity.weight, t.optimiser.batch_size) for t in config.trials()]
    assert pairs == [(2, 4), (2, 8), (3, 4), (3, 8)]
    assert strict({WEIGHT: [0, 1], "creativity": {"weight": None}}).search == {}
    assert strict(None).search == {}
