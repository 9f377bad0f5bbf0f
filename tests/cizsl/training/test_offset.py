"""Accuracies at an offset that validation classes chose (calibrated stacking)."""

import json
import shutil

import numpy as np
import pytest
import torch

from cizsl import build
from cizsl.cli.parser import main
from cizsl.closed_form.baselines import Ridge
from cizsl.metrics import harmonic_mean
from cizsl.training import fit_baselines
from cizsl.training.evaluate_run import evaluate_again
from cizsl.training.evaluation import answer
from cizsl.training.finished import saved_generator
from repro.config import load
from repro.run import RunFolder
from tests.cizsl.training.runs import CPU, run

pytestmark = pytest.mark.usefixtures("undrawn")


def tables(folder, stage, name):
    """Scores of all classes (N, C), seen ones first, and labels: of seen images, of unseen ones."""
    config = load(folder / "config.yaml", build.CIZSLConfig)
    task = build.task(config, build.data(config), stage, CPU)
    generator = saved_generator(folder / f"{name}.safetensors", config, task)
    score, num_seen = answer(config, generator, task, 0).score, len(task.seen_text)
    seen = score(task.seen_features).double(), task.seen_labels
    unseen = score(task.unseen_features).double(), task.unseen_labels + num_seen
    return (seen, unseen), num_seen


def plain(groups, num_seen, offset):
    """Seen and unseen accuracy and H by one argmax over all classes for each image."""
    found = []
    for table, labels in groups:
        moved = table + offset * (torch.arange(table.shape[1]) >= num_seen)
        right = (moved.argmax(1) == labels).double()
        found.append(np.mean([right[labels == c].mean() for c in labels.unique()]))
    return *found, harmonic_mean(*found)


def test_the_validation_classes_choose_the_offset_of_the_test(finished_strict):
    """No offset of a fine grid is better on the validation classes; the test is measured there."""
    results = json.loads((finished_strict / "results.json").read_text())
    offset, scores = results["offset"], results["metrics"]["selected"]
    validation = tables(finished_strict, "validation", "best")
    grid = np.linspace(offset - 0.3, offset + 0.3, 41)
    highest = max(plain(*validation, other)[2] for other in grid)
    assert plain(*validation, offset)[2] >= highest - 1e-12
    names = ("calibrated_seen", "calibrated_unseen", "calibrated_harmonic")
    expected = plain(*tables(finished_strict, "test", "generator"), offset)
    assert [scores[name] for name in names] == pytest.approx(expected, abs=1e-12)
    assert scores["calibrated_harmonic"] > scores["harmonic"] and offset > 0
    by_class = results["by_class"]["top1"]
    assert np.mean(by_class) == pytest.approx(scores["per_class_top1"], abs=1e-12)


def test_commands_show_them(finished_strict, capsys, tmp_path):
    recorded = json.loads((finished_strict / "results.json").read_text())["metrics"]["final"]
    shown = f"{100 * recorded['calibrated_harmonic']:.2f}"
    again = evaluate_again(finished_strict, "test", CPU)
    assert not again.differing and f"{100 * again.scores['calibrated_harmonic']:.2f}" == shown
    files = [f"--{form}={tmp_path / form}" for form in ("html", "csv")]
    assert main(["table", str(finished_strict), *files]) == 0
    printed = capsys.readouterr().out
    assert "H at offset" in printed and shown in printed
    assert all(shown in (tmp_path / form).read_text() for form in ("html", "csv"))


def test_an_older_run_is_read(finished_strict, tmp_path, capsys):
    """Runs before this had neither the offset nor what is measured at it."""
    folder = tmp_path / "old"
    shutil.copytree(finished_strict, folder)
    results = json.loads((folder / "results.json").read_text())
    del results["offset"]
    for scores in results["metrics"].values():
        for name in [name for name in scores if name.startswith("calibrated")]:
            del scores[name]
    (folder / "results.json").write_text(json.dumps(results))
    again = evaluate_again(folder, "test", CPU)
    assert not again.differing and "calibrated_harmonic" not in again.scores
    assert main(["table", str(folder)]) == 0
    assert "offset" not in capsys.readouterr().out


def test_a_baseline_takes_the_mean_over_the_draws(toy, tmp_path):
    values = [f"data.root={toy}", "evaluation.validation_splits=2"]
    config = load("configs/cizsl/toy/toy_cub_easy_strict.yaml", build.CIZSLConfig, values)
    ridge = build.baseline(config, "ridge")
    with RunFolder(tmp_path / "ridge", ridge) as folder:
        summary = fit_baselines.fit(ridge, folder, CPU)
    data, offsets = build.data(ridge), []
    for number in range(2):
        task = build.task(ridge, data, "validation", CPU, number)
        found = fit_baselines.measure(Ridge(task), summary["chosen"], task)
        offsets.append(found.best_offset())
    assert summary["offset"] == pytest.approx(np.mean(offsets), abs=1e-12)
    again = evaluate_again(tmp_path / "ridge", "test", CPU)
    assert not again.differing and "calibrated_harmonic" in again.scores


def test_the_reference_protocol_has_none(tiny, tmp_path):
    """It has no validation classes that could choose."""
    summary = run(tiny(generator="gaussian"), tmp_path / "run")
    assert "offset" not in summary and "calibrated" not in json.dumps(summary["metrics"])
