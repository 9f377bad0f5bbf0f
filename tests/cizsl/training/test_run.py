"""Runs: what a folder holds, interruption, resumption to the bit, and learning."""

import json
import math
import re
import shutil
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cizsl.cli.parser import main
from cizsl.config import CIZSLConfig
from cizsl.gan import GAN
from cizsl.training import run as training
from cizsl.training import trainer
from cizsl.training.evaluate_run import evaluate_again
from cizsl.training.run import train
from repro.config import validate
from repro.errors import InputError
from repro.loggers import NoLogger
from repro.run import RunFolder
from repro.signals import Interrupted, StopRequest
from tests.helpers.killing import kill_at_random_moments

CPU = torch.device("cpu")


def run(config, path, resume=False, stop=None):
    with RunFolder(path, config, resume) as folder, StopRequest() as never:
        return train(config, folder, CPU, stop or never)


class StopAfter:
    """A stop request that comes after so many looks at it."""

    def __init__(self, looks):
        self.looks = looks

    @property
    def requested(self):
        self.looks -= 1
        return self.looks < 0


def outcome(path):
    """Everything a run leaves that must not depend on interruptions."""
    results = json.loads((path / "results.json").read_text())
    results.pop("seconds")
    weights = {
        f"{file.name}/{name}": tensor
        for file in sorted(path.glob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }
    curves = dict(np.load(path / "curves.npz"))
    return results, (path / "metrics.jsonl").read_text(), weights, curves


def assert_same_outcome(one, other):
    for mine, theirs in zip(outcome(one)[:2], outcome(other)[:2], strict=True):
        assert mine == theirs
    for mine, theirs in zip(outcome(one)[2:], outcome(other)[2:], strict=True):
        assert mine.keys() == theirs.keys()
        assert all(np.array_equal(mine[name], theirs[name]) for name in mine)


VARIANTS = {
    "reference": {},
    "strict": {"evaluation": {"protocol": "strict"}},
    "learned": {"creativity": {"form": "published", "alpha": "learned", "beta": "learned"}},
    "new_class": {"creativity": {"divergence": "new_class"}},
    "gazsl": {"creativity": {"divergence": "none"}},
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


def test_evaluate_again_repeats_the_run(tiny, tmp_path):
    config = tiny(evaluation={"protocol": "strict"})
    summary = run(config, tmp_path / "run")
    scores = evaluate_again(tmp_path / "run", "test", CPU).scores
    assert scores == summary["metrics"]["selected"]
    validation = evaluate_again(tmp_path / "run", "val", CPU).scores
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    selection = [record for record in records if record["stage"] == "validation"]
    best = max(selection, key=lambda record: record["ausuc"])
    assert validation == {name: best[name] for name in validation}
    assert best["iteration"] + 1 == summary["iterations"]
    assert [r["iteration"] for r in records if r["stage"] == "test"] == [best["iteration"]]
    with pytest.raises(InputError, match="no finished run"):
        evaluate_again(tmp_path, "test", CPU)


def test_evaluate_says_where_the_weights_give_other_numbers(tiny, tmp_path, capsys):
    """The signs of some saved weights flip: the file is whole, the numbers are not."""
    folder = tmp_path / "run"
    run(tiny(evaluation={"protocol": "strict"}), folder)
    assert main(["evaluate", str(folder), "--device", "cpu"]) == 0
    assert "recorded other numbers" not in capsys.readouterr().out
    file = folder / "generator.safetensors"
    content = bytearray(file.read_bytes())
    signs = slice(-1, -4000, -4)  # the byte of sign and exponent, little-endian
    content[signs] = bytes(byte ^ 0x80 for byte in content[signs])
    file.write_bytes(content)
    assert main(["evaluate", str(folder), "--device", "cpu"]) == 1
    said = capsys.readouterr().out
    recorded = 100 * json.loads((folder / "results.json").read_text())["metrics"]["final"]["ausuc"]
    assert "the run itself recorded other numbers" in said and f"ausuc {recorded:.3f} %" in said


@pytest.mark.parametrize("name", ["results.json", "environment.json", "config.yaml"])
@pytest.mark.parametrize("content", ["7", "[]", "null", "[[[[", '{"metrics": 1e308}', "{}"])
def test_a_damaged_run_is_evaluated_with_one_line(tmp_path, finished, name, content):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    (folder / name).write_text(content)
    with pytest.raises(InputError) as error:
        evaluate_again(folder, "val", CPU)
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def finished(toy, tmp_path_factory):
    """A finished run of the strict protocol, with a search."""
    values = {"data": {"root": str(toy)}, "model": {"hidden_dim": 8, "text_embed_dim": 8}}
    values |= {"optimiser": {"batch_size": 32, "iterations": 3, "critic_steps": 1}}
    values |= {"evaluation": {"start": 1, "every": 1, "samples": 2}}
    config = validate(values | {"search": {"model.noise_dim": [2, 3]}}, CIZSLConfig, "test")
    run(config, path := tmp_path_factory.mktemp("finished") / "run")
    return path


def test_a_searched_run_is_evaluated_with_what_it_selected(finished):
    for split in ("val", "test"):
        again = evaluate_again(finished, split, CPU)
        assert again.recorded.keys() == again.scores.keys() and not again.differing


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


def test_batch_larger_than_the_data(tiny, tmp_path):
    with pytest.raises(InputError, match=r"optimiser.batch_size: 5000 does not fit 1\d+ training"):
        run(tiny(optimiser={"batch_size": 5000}), tmp_path / "run")
