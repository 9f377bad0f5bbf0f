"""The page of a run: what it says while the run trains, and when it is complete."""

import math
import re

import numpy as np

from cizsl.config import CIZSLConfig
from cizsl.training import live_page
from cizsl.training.records import SCORES
from repro.run import RunFolder


def record(iteration, **more):
    scores = {name: 0.1 + place / 100 + iteration / 1000 for place, name in enumerate(SCORES)}
    terms = {"gradient_penalty": 2.0, "creativity": math.nan}
    return {"stage": "validation", "iteration": iteration, **terms, **scores, **more}


def page(tmp_path, records, moment, **how):
    with RunFolder(tmp_path / "<b>run" / "seed0", CIZSLConfig(), resume=True) as folder:
        live_page.write(folder, CIZSLConfig(), records, moment, **how)
    return (tmp_path / "<b>run" / "seed0" / "page.html").read_text()


def test_it_says_how_far_the_run_is_and_comes_back(tmp_path):
    moment = live_page.Moment("validation", 50, 150, seconds=60.0)
    content = page(tmp_path, [record(30), record(40)], moment)
    assert "iteration 50 of 150 of the stage validation, 60 s so far, about 2 min left" in content
    assert '<meta http-equiv="refresh" content="30">' in content
    assert (
        "top-1 14.00 %" in content and "Stage validation: scores on validation classes" in content
    )
    assert "<b>" not in content and "&lt;b&gt;run/seed0" in content
    headings = re.findall("<figcaption>(.*?)</figcaption>", content)
    assert headings == ["Scores", "gradient penalty"]  # no chart of a term without finite values


def test_a_complete_run_is_not_loaded_again(tmp_path):
    curve = np.array([[0.9, 0.0], [0.0, 0.4]])
    content = page(tmp_path, [record(30)], None, curve=curve)
    assert "Complete. Last evaluation" in content and "refresh" not in content
    assert "Seen-unseen curve of the last evaluation" in content


def test_a_run_without_an_evaluation_has_a_page(tmp_path):
    content = page(tmp_path, [], live_page.Moment("test", 0, 10, 0.0))
    assert "No evaluation yet." in content and "<figure" not in content
