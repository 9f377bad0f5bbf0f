"""Runs: what a folder holds, interruption, and resumption to the bit."""

import json
import time

import pytest
import torch

from cizsl.training import run as training
from cizsl.training import trainer
from repro.errors import InputError
from repro.loggers import NoLogger
from repro.run import RunFolder
from repro.signals import Interrupted
from tests.cizsl.training.runs import StopAfter, assert_same_outcome, run
from tests.helpers.killing import kill_at_random_moments

pytestmark = pytest.mark.usefixtures("undrawn")

VARIANTS = {
    "reference": {},
    "strict": {"evaluation": {"protocol": "strict"}},
    "learned": {"creativity": {"form": "published", "alpha": "learned", "beta": "learned"}},
    "new_class": {"creativity": {"divergence": "new_class"}},
    "gazsl": {"creativity": {"divergence": "none"}},
    "semantic": {"head": {"kind": "semantic"}},
    "walks": {"creativity": {"divergence": "random_walk"}, "walk": {"samples": 2}},
    "search": {
        "evaluation": {"protocol": "strict"},
        "search": {"optimiser.learning_rate": [1e-3, 2e-3, 1e18]},
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_stopping_anywhere_changes_nothing(tiny, tmp_path, variant):
    """Stop after every 7 steps (critic or generator), resume, and compare to the bit."""
    config = tiny(**VARIANTS[variant])
    run(config, tmp_path / "whole")
    stops = 0
    while True:
        try:
            run(config, tmp_path / "pieces", resume=True, stop=StopAfter(7))
            break
        except Interrupted:
            stops += 1
    assert stops >= 8
    assert_same_outcome(tmp_path / "whole", tmp_path / "pieces")


@pytest.mark.parametrize("protocol", ["reference", "strict"])
def test_kill_at_random_moments(tiny, tmp_path, protocol):
    """SIGKILL again and again, at any moment: in a step, an evaluation, or while writing."""
    config = tiny(optimiser={"iterations": 40}, evaluation={"protocol": protocol})
    killed, begun = tmp_path / "killed", time.monotonic()
    run(config, tmp_path / "whole")
    kill_at_random_moments(
        lambda: run(config, killed, resume=True), killed, time.monotonic() - begun
    )
    if not (killed / "results.json").exists():
        run(config, killed, resume=True)
    assert_same_outcome(tmp_path / "whole", killed)
    assert not list(killed.rglob("*.part"))


@pytest.mark.parametrize("number", range(6))
def test_a_crash_between_the_last_writes(tiny, tmp_path, monkeypatch, number):
    """The end of a run writes weights, curves, figures and results: a crash at any of them."""
    config = tiny(evaluation={"protocol": "strict"})
    run(config, tmp_path / "whole")
    from cizsl.training import figures, results
    from repro.files import atomic

    places = [
        (training, "serialise"),
        (results, "write"),
        (atomic.np, "savez_compressed"),
        (figures, "training"),
        (results.RunFolder, "write"),
        (training, "tidy"),
    ]

    class Crash(Exception):
        pass

    def crash(*arguments, **_):
        if places[number][1] != "write" or "results.json" in arguments or number == 1:
            raise Crash
        return original(*arguments)

    original = getattr(*places[number])
    with monkeypatch.context() as patch:
        patch.setattr(*places[number], crash)
        with pytest.raises(Crash):
            run(config, tmp_path / "crashed")
    if number < 5:  # at the last one the results are there already
        run(config, tmp_path / "crashed", resume=True)
    assert_same_outcome(tmp_path / "whole", tmp_path / "crashed")


def test_resume_refuses_other_data_or_another_device(tiny, toy, tmp_path):
    config, path = tiny(), tmp_path / "run"
    with pytest.raises(Interrupted):
        run(config, path, stop=StopAfter(20))
    whole = json.loads((path / "environment.json").read_text())
    for change, expected in [
        ({"data_files": {**whole["data_files"], "labels_train.pkl": "0" * 64}}, "labels_train.pkl"),
        ({"device": "cuda: some GPU"}, "the run began on cpu|began on cuda; resume it with"),
    ]:
        (path / "environment.json").write_text(json.dumps({**whole, **change}))
        with pytest.raises(InputError, match=expected):
            run(config, path, resume=True)
    (path / "environment.json").write_text(json.dumps(whole))
    run(config, path, resume=True)


def test_a_checkpoint_of_another_run_is_refused(tiny, tmp_path):
    with pytest.raises(Interrupted):
        run(tiny(), tmp_path / "run", stop=StopAfter(20))
    files = list((tmp_path / "run" / "checkpoints" / "test").glob("*.pt"))
    assert files
    for file in files:
        torch.save({"gan": {}}, file)
    with pytest.raises(InputError, match="not of this run"):
        run(tiny(), tmp_path / "run", resume=True)


def test_truncated_checkpoint_falls_back(tiny, tmp_path, capsys):
    config = tiny()
    run(config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(config, tmp_path / "cut", stop=StopAfter(30))
    newest = sorted((tmp_path / "cut" / "checkpoints" / "test").glob("*.pt"))
    assert len(newest) == 2
    newest[-1].write_bytes(newest[-1].read_bytes()[:-1000])
    run(config, tmp_path / "cut", resume=True)
    assert "not a whole checkpoint" in capsys.readouterr().err
    assert_same_outcome(tmp_path / "whole", tmp_path / "cut")


def test_run_folder_is_complete_and_owned(tiny, tmp_path):
    config, path = tiny(), tmp_path / "run"
    summary = run(config, path)
    expected = {"config.yaml", "environment.json", "metrics.jsonl", "results.json", "curves.npz"}
    assert expected <= {file.name for file in path.iterdir()}
    environment = json.loads((path / "environment.json").read_text())
    assert all(len(digest) == 64 for digest in environment["data_files"].values())
    assert environment["packages"]["torch"] == torch.__version__
    records = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [record["iteration"] for record in records] == [4, 8, 11]
    best = summary["metrics"]["best_on_test"]
    assert best["top1"] == max(record["top1"] for record in records)
    assert best["ausuc"] == max(record["ausuc"] for record in records)
    assert summary["metrics"]["final"]["top1"] == records[-1]["top1"]
    assert all(0 <= value <= 1 for value in summary["metrics"]["final"].values())
    with pytest.raises(InputError, match="holds a run already"):
        run(config, path)
    with pytest.raises(InputError, match="differs from the configuration"):
        run(tiny(seed=1), path, resume=True)
    with RunFolder(tmp_path / "busy", config), pytest.raises(InputError, match="another process"):
        run(config, tmp_path / "busy", resume=True)


def test_the_figure_follows_the_training_and_the_logger_its_records(tiny, tmp_path, monkeypatch):
    logged = []

    class Recorder(NoLogger):
        def log(self, record, step):
            logged.append((step, record))

    monkeypatch.setattr(trainer, "FIGURE_SECONDS", 0.0)
    monkeypatch.setattr(training, "make_logger", lambda *_: Recorder())
    with pytest.raises(Interrupted):
        run(tiny(), tmp_path / "run", stop=StopAfter(60))
    assert (tmp_path / "run" / "training.png").read_bytes()[:4] == b"\x89PNG"
    records = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").open()]
    assert logged == [
        (r["iteration"], {f"test/{name}": value for name, value in r.items()}) for r in records
    ]
    assert logged


def test_batch_larger_than_the_data(tiny, tmp_path):
    with pytest.raises(InputError, match=r"optimiser.batch_size: 5000 does not fit 1\d+ training"):
        run(tiny(optimiser={"batch_size": 5000}), tmp_path / "run")
