"""Pages: hostile names stand escaped, a live page follows the training, and nothing else is said
than what was found."""

import json
import math
import os
import re
import shutil

import numpy as np
import pytest
import torch

from repro.files import checkpoint
from repro.run import RunFolder
from sde.evaluation.evaluate import evaluate
from sde.trained_model import load
from sde.training import callbacks
from sde.training.live_page import Status, write
from sde.training.train import train
from tests.helpers.waiting import bounded
from tests.sde.conftest import CPU, StopAfter, run, tiny_config

HOSTILE = "<img src=x onerror=alert(1)>.npz"
FEW = ["evaluation.samples=20", "evaluation.likelihoods=4", "evaluation.compare=[ddim]"]
HUGE = b'{"iterations": 1%s}' % (b"0" * 400)  # no float is as large
RECORD = {"iteration": 30, "loss": 0.5, "heldout_loss": 0.25, "gradient_norm": 1.0}
RECORD["learning_rate"] = 1e-3


def test_a_data_file_with_a_hostile_name_is_escaped(tmp_path):
    pixels = np.random.default_rng(0).integers(256, size=(60, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / HOSTILE, images=pixels)
    config = tiny_config(
        data={"name": "npz", "path": str(tmp_path / HOSTILE), "heldout": 20},
        optimiser={"iterations": 2},
        evaluation={"every": 1},
    )
    run(config, tmp_path / "run")
    page, _ = evaluate(load(tmp_path / "run", CPU, FEW), tmp_path / "run")
    text = page.read_text()
    assert "&lt;img src=x onerror=alert(1)&gt;.npz" in text
    assert "<img src=x" not in text and not re.search(r"<[^>]*onerror", text)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text).group(1)
    assert "script-src 'none'" in policy and "default-src 'none'" in policy


def test_the_page_begins_with_what_was_found(plane_run, tmp_path):
    page, results = evaluate(load(plane_run, CPU, FEW), tmp_path)
    energy = results["distances"]["energy_distance"]
    lead = re.search(r'class="lead">([^.]+\.[^.]+)', page.read_text()).group(1)
    assert lead.startswith("The samples lie at squared energy distance")
    assert f"{energy['value']:.2g}"[:3] in lead


@pytest.mark.parametrize(
    ("left", "finished", "said"),
    [
        (None, False, "Iteration 30 of 120 (25 %): held-out loss 0.25, training loss 0.5."),
        (45.2, False, "training loss 0.5; about 45 s left."),
        (600.0, False, "about 10 min left"),
        (9000.0, False, "about 2.5 h left"),
        (None, True, "Training ended after 120 iterations: held-out loss 0.25"),
    ],
)
def test_a_live_page_says_how_far_the_training_is(tmp_path, left, finished, said):
    (tmp_path / "training").mkdir()
    for step in (10, 30):
        (tmp_path / "training" / f"samples_{step:08d}.png").write_bytes(b"%d" % step)
    text = write(tmp_path, Status("<b>", 120, [RECORD], left, finished)).read_text()
    assert said in text and "<h1>&lt;b&gt;</h1>" in text
    assert "samples_00000030" in text and "base64,MzA=" in text
    assert ('http-equiv="refresh"' in text) == (not finished)


def test_training_rewrites_the_page_at_every_record_and_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "CURVE_SECONDS", 0.0)
    seen, real = [], write

    def spy(folder, status):
        seen.append((len(status.records), status.seconds_left, status.finished))
        return real(folder, status)

    monkeypatch.setattr("sde.training.live_page.write", spy)
    with RunFolder(tmp_path / "run", tiny_config()) as folder:
        train(tiny_config(), folder, CPU, StopAfter(math.inf))
    assert [(count, finished) for count, _, finished in seen] == [
        (1, False), (2, False), (3, False), (3, True)
    ]  # fmt: skip
    assert seen[0][1] is None and seen[1][1] > 0 and seen[2][1] == 0
    assert "Training ended after 12 iterations" in (tmp_path / "run" / "page.html").read_text()


@pytest.mark.usefixtures("undrawn")
def test_what_differs_from_the_runs_own_results_is_said(plane_run, tmp_path, capsys):
    """Once nothing, the second time nothing, and then the loss of weights that were changed."""
    folder = tmp_path / "run"
    shutil.copytree(plane_run, folder)
    for _ in range(2):
        evaluate(load(folder, CPU, FEW), folder)
        assert "warning" not in capsys.readouterr().err
    (file,) = (folder / "checkpoints").glob("*.pt")
    state = checkpoint.load(file)
    for value in state["average"].values():
        if value.is_floating_point():
            value.add_(0.5)
    torch.save(state, file)
    evaluate(load(folder, CPU, FEW), folder)
    said = capsys.readouterr().err
    assert "results.json: heldout_loss was " in said and ", is now " in said
    assert said.count("warning: ") > 1  # the evaluation before differs, too


@pytest.mark.parametrize("file", ["results.json", "environment.json"])
@pytest.mark.parametrize(
    "content", [b"5", b"null", b"[1]", b'{"evaluation": 7, "imported": 3}', HUGE]
)
def test_damaged_records_never_give_a_traceback(plane_run, tmp_path, file, content, capsys):
    folder = tmp_path / "run"
    shutil.copytree(plane_run, folder)
    (folder / file).write_bytes(content)
    from sde.cli.parser import main

    code = main(["evaluate", str(folder), *FEW])
    said = capsys.readouterr().err
    assert code in (0, 2) and "Traceback" not in said
    if file == "results.json" and not content.startswith(b"{"):
        assert code == 2 and "results.json: expected a JSON object" in said
    if code == 0:
        assert json.loads((folder / "results.json").read_text())["evaluation"]["distances"]


def test_results_that_are_a_named_pipe_are_not_waited_for(tmp_path, capsys):
    from sde.cli.parser import main

    os.mkfifo(tmp_path / "results.json")
    with bounded():
        assert main(["table", str(tmp_path)]) == 2
    assert "results.json: not a regular file" in capsys.readouterr().err
