"""Lines of the training log: read through a typed model, so that others are refused."""

import json
import os

import numpy as np
import pytest

from cizsl.training.records import SCORES, latest_record, read_curve, read_log, read_results
from repro.errors import InputError
from tests.helpers.waiting import bounded

LINE = {"stage": "test", "iteration": 3, "real": 1.0, "fake": 0.5, "pivot": 2.0}
LINE |= dict.fromkeys(SCORES, 0.25)


@pytest.mark.parametrize("term", [-2.0, float("inf")])
def test_a_line_is_read_as_it_was_written(tmp_path, term):
    """A training that diverges logs infinite terms before it stops."""
    line = LINE | {"pivot": term}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    assert read_log(tmp_path) == [line]


@pytest.mark.parametrize(
    "changed",
    [{"stage": None}, {"iteration": -1}, {"pivot": "high"}, {"fake": []}, {"top1": 1e308}],
)
def test_a_line_of_other_content_is_refused_by_its_key(tmp_path, changed):
    (tmp_path / "metrics.jsonl").write_text(json.dumps(LINE | changed) + "\n")
    with pytest.raises(InputError, match=f"metrics.jsonl, line 1: {next(iter(changed))}: "):
        read_log(tmp_path)


@pytest.mark.parametrize("name", LINE)
def test_only_loss_terms_may_be_missing(tmp_path, name):
    line = {key: value for key, value in LINE.items() if key != name}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    if name in ("pivot", "real", "fake"):
        assert read_log(tmp_path) == [line]
    else:
        with pytest.raises(InputError, match=f"metrics.jsonl, line 1: {name}: Field required"):
            read_log(tmp_path)


@pytest.mark.parametrize("bad", [1, 3])
def test_the_message_names_the_line(tmp_path, bad):
    """Also where the line is no JSON; and all mistakes of a line are one message."""
    lines = [json.dumps(LINE)] * 4
    lines[bad - 1] = json.dumps(LINE | {"top1": 2, "seen": "x"})
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=f"metrics.jsonl, line {bad}: top1: .*; .*seen: ") as error:
        read_log(tmp_path)
    assert not hasattr(error.value, "problems")
    lines[bad - 1] = "{"
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=f"metrics.jsonl, line {bad}: not JSON"):
        read_log(tmp_path)


def test_a_results_file_of_other_content_is_one_message(tmp_path):
    (tmp_path / "results.json").write_text('{"seed": -1, "split": "easy"}')
    with pytest.raises(InputError, match=r"dataset: .*; .*protocol: ") as error:
        read_results(tmp_path)
    assert not hasattr(error.value, "problems")


def test_no_reader_waits_for_a_named_pipe(tmp_path):
    for name in ("metrics.jsonl", "curves.npz"):
        os.mkfifo(tmp_path / name)
    with bounded():
        assert latest_record(tmp_path) is None
        with pytest.raises(InputError, match=r"curves\.npz: .*not a regular file"):
            read_curve(tmp_path / "curves.npz", "final")


def test_a_curve_is_read_as_it_was_written(tmp_path):
    curve = np.array([[0.9, 0.5, 0.0], [0.0, 0.25, 0.4]])
    np.savez(tmp_path / "curves.npz", final=curve, other=np.array([None]))
    assert np.array_equal(read_curve(tmp_path / "curves.npz", "final"), curve)


def test_the_weights_of_several_texts_are_read(tmp_path):
    """A baseline on a dataset with three texts of a class chose a weight for each."""
    chosen = {"penalty": 0.1, "text_weights": [1.0, 0.25, 0.5], "similarity": "cosine"}
    scores = dict.fromkeys(SCORES, 0.5)
    summary = {
        "dataset": "CUB-compact-descriptions",
        "split": "easy",
        "protocol": "strict",
        "method": "Gaussian classifier",
        "seed": 0,
        "iterations": 0,
        "seconds": 1.0,
        "device": "cpu",
        "deterministic": True,
        "chosen": chosen,
        "metrics": {"final": scores, "selected": scores},
    }
    (tmp_path / "results.json").write_text(json.dumps(summary))
    assert read_results(tmp_path)["chosen"] == chosen
