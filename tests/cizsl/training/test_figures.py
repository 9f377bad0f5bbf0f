"""The figures of a run folder: what they say, checked in SVG, where text stays text."""

import numpy as np
import pytest

from cizsl.training import figures
from cizsl.training.records import SCORES

SUMMARY = {"dataset": "NAB", "split": "hard", "toy": True, "method": "CIZSL"}
SUMMARY |= {"protocol": "reference", "seed": 3}
CURVE = np.array([[0.8, 0.4, 0.0], [0.0, 0.3, 0.5]])  # area 0.6 * 0.3 + 0.2 * 0.2 = 0.22


@pytest.fixture(autouse=True)
def text_stays_text():
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none"}):
        yield


def record(stage, iteration, **terms):
    scores = {name: 0.25 for name in SCORES}
    base = {"real": 2.0, "fake": 0.5, "gradient_penalty": 0.1, "adversarial": -0.5}
    base |= {"classification": 0.3, "pivot": 1.0, "l2": 0.2, "l21": 0.1, "creativity": -0.01}
    return {"stage": stage, "iteration": iteration, **base, **scores, **terms}


def test_seen_unseen_says_what_was_run_and_the_area(tmp_path):
    arrays = {"final": CURVE, "best_on_test": CURVE * 1.2}
    figures.seen_unseen(tmp_path / "curve.svg", arrays, SUMMARY)
    drawn = (tmp_path / "curve.svg").read_text()
    for text in ("NAB hard", "TOY DATA", "CIZSL, reference protocol, seed 3"):
        assert text in drawn
    assert "final, on test classes: area 22.00 %" in drawn
    assert f"best on test classes: area {22 * 1.44:.2f} %" in drawn
    assert "selected" not in drawn
    assert "accuracy on seen classes, %" in drawn


def test_real_data_are_not_called_toy(tmp_path):
    figures.seen_unseen(tmp_path / "curve.svg", {"final": CURVE}, {**SUMMARY, "toy": False})
    assert "toy" not in (tmp_path / "curve.svg").read_text().lower()


def test_training_has_a_column_for_each_stage(tmp_path):
    records = [record("validation", i) for i in (30, 40, 50)] + [record("test", 40)]
    figures.training(tmp_path / "training.svg", records)
    drawn = (tmp_path / "training.svg").read_text()
    assert "stage validation, scores on validation classes" in drawn
    assert "stage test, scores on test classes" in drawn
    assert "iteration 40" in drawn


def test_a_single_record_shows_its_numbers(tmp_path):
    figures.training(tmp_path / "training.svg", [record("test", 530, top1=0.4321)])
    drawn = (tmp_path / "training.svg").read_text()
    assert ">43.2<" in drawn  # %
    assert ">1.5<" in drawn  # Wasserstein estimate, 2.0 - 0.5
    assert ">0.01<" in drawn  # a negative term, as its magnitude
    assert "hallucinated" not in drawn  # GAZSL has no such term


@pytest.mark.parametrize("records", [[], [record("test", 30)], [record("test", i) for i in (1, 2)]])
def test_png_files_are_written(tmp_path, records):
    figures.training(tmp_path / "training.png", records)
    figures.seen_unseen(tmp_path / "curve.png", {"final": CURVE}, SUMMARY)
    for name in ("training.png", "curve.png"):
        assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG"
