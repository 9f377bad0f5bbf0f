"""Fitting baselines: the choice sees validation classes only, and the folder says what it did."""

import json
import re

import numpy as np
import pytest
import torch

from cizsl import build
from cizsl.cli.parser import main
from cizsl.closed_form.registry import BASELINES
from cizsl.config import CIZSLConfig
from cizsl.protocols import _for_the_end
from cizsl.training import fit_baselines
from cizsl.training.evaluate_run import evaluate_again
from repro.config import validate
from repro.errors import InputError

pytestmark = pytest.mark.usefixtures("undrawn")

CPU = torch.device("cpu")


@pytest.fixture
def config(toy):
    return validate({"data": {"root": str(toy)}}, CIZSLConfig, "test")


@pytest.fixture
def folders(config, tmp_path):
    return fit_baselines.fit_all(config, "toy.yaml", [], tmp_path / "runs", CPU)


def read(folder):
    return json.loads((folder.path / "results.json").read_text())


def test_the_folder_holds_what_a_run_holds(folders):
    assert [folder.path.name for folder in folders] == [f"toy_{name}" for name in BASELINES]
    for folder in folders:
        names = {path.name for path in folder.path.iterdir()}
        assert {"config.yaml", "environment.json", "results.json", "curves.npz"} <= names
        summary = read(folder)
        assert (summary["protocol"], summary["toy"]) == ("strict", True)
        assert len(json.loads((folder.path / "environment.json").read_text())["data_files"]) == 6
        curves = np.load(folder.path / "curves.npz")
        area = np.trapezoid(*curves["final"])
        assert area == pytest.approx(summary["metrics"]["selected"]["ausuc"], abs=1e-12)
        by_class, scores = summary["by_class"], summary["metrics"]["selected"]
        assert np.mean(by_class["top1"]) == pytest.approx(scores["per_class_top1"], abs=1e-12)
        assert len(by_class["ausuc"]) == summary["unseen_classes"]


def test_the_best_on_validation_classes_is_chosen(folders):
    for folder in folders:
        summary = read(folder)
        candidates = summary["search"]["candidates"]
        task = build.task(folder.settings, build.data(folder.settings), "test", CPU)
        model = BASELINES[folder.settings.baseline](task)
        points = [{key: one[key] for key in summary["chosen"]} for one in candidates]
        assert points and all(model.accepts(point) for point in points)
        best = max(candidates, key=lambda candidate: candidate["ausuc"])
        assert {key: best[key] for key in summary["chosen"]} == summary["chosen"]
        # `evaluate` fits again: the same numbers on both sets of classes
        scores = evaluate_again(folder.path, "val", CPU).scores
        assert scores == pytest.approx({key: best[key] for key in scores}, abs=1e-12)
        scores = evaluate_again(folder.path, "test", CPU).scores
        assert scores == pytest.approx(summary["metrics"]["selected"], abs=1e-12)


def test_the_test_classes_take_no_part_in_the_choice(config, folders, tmp_path, monkeypatch):
    """With the features of the test classes shuffled among themselves, and those of the held-out
    images too, penalties and validation scores stay bit by bit."""
    real = build.data(config)
    settings, rng = config.evaluation, np.random.default_rng(0)
    held = _for_the_end(real, settings.heldout_share, settings.validation_seed)[1].rows
    assert len(held) > 0.05 * len(real.train_labels)
    test, train = rng.permuted(real.test_features), real.train_features.copy()
    train[held] = rng.permuted(train[held])
    scrambled = {**vars(real), "test_features": test, "train_features": train}
    monkeypatch.setattr(build, "data", lambda config: type(real)(**scrambled))
    others = fit_baselines.fit_all(config, "toy.yaml", [], tmp_path / "scrambled", CPU)
    for before, after in zip(folders, others, strict=True):
        first, second = read(before), read(after)
        assert first["search"] == second["search"] and first["chosen"] == second["chosen"]
        assert first["metrics"]["selected"]["top1"] > 3 * second["metrics"]["selected"]["top1"]


def test_ridge_by_hand(config, folders):
    """Numpy, without a decomposition: the chosen penalty, all seen classes, one look."""
    summary = read(folders[0])
    task = build.task(folders[0].settings, build.data(config), "test", CPU)
    text = task.seen_text.double().numpy()
    centred, mean = text - text.mean(0), task.centroids.double().numpy().mean(0)
    kernel = centred @ centred.T
    penalty = summary["chosen"]["penalty"] * np.trace(kernel) / len(kernel)
    solved = np.linalg.solve(kernel + penalty * np.eye(len(kernel)), task.centroids.numpy() - mean)
    pivots = mean + (task.unseen_text.double().numpy() - text.mean(0)) @ centred.T @ solved
    x = task.unseen_features.double().numpy()
    if summary["chosen"]["similarity"] == "cosine":
        lengths = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(pivots, axis=1)
        predicted = (x @ pivots.T / lengths).argmax(1)
    else:
        predicted = ((x[:, None] - pivots) ** 2).sum(2).argmin(1)
    accuracy = (predicted == task.unseen_labels.numpy()).mean()
    # one image between two classes may be answered otherwise in float32
    assert abs(summary["metrics"]["selected"]["top1"] - accuracy) < 1.5 / len(x)
    assert accuracy > 0.3  # chance is 1 / 16


def test_a_choice_over_several_draws_takes_the_mean_of_their_scores(config, tmp_path):
    """Three draws of validation classes: every recorded score is the mean of three fits."""
    evaluation = config.evaluation.model_copy(update={"validation_splits": 3})
    several = config.model_copy(update={"evaluation": evaluation})
    folder = fit_baselines.fit_all(several, "toy.yaml", [], tmp_path, CPU)[0]
    summary, data = read(folder), build.data(config)
    tasks = [build.task(folder.settings, data, "validation", CPU, number) for number in range(3)]
    drawn = {tuple(task.unseen_text.sum(1).tolist()) for task in tasks}
    assert len(drawn) == 3  # different classes
    for candidate in summary["search"]["candidates"][::5]:
        point = {key: candidate[key] for key in summary["chosen"]}
        top1 = [fit_baselines.measure(BASELINES["ridge"](t), point, t).top1 for t in tasks]
        assert candidate["top1"] == pytest.approx(np.mean(top1), abs=1e-12)
    best = max(summary["search"]["candidates"], key=lambda one: one["ausuc"])
    assert {key: best[key] for key in summary["chosen"]} == summary["chosen"]
    scores = evaluate_again(folder.path, "val", CPU).scores
    assert scores == pytest.approx({key: best[key] for key in scores}, abs=1e-12)


def test_what_is_complete_is_left_alone(config, folders):
    before = [(folder.path / "results.json").stat().st_mtime_ns for folder in folders]
    again = fit_baselines.fit_all(config, "toy.yaml", [], folders[0].path.parent, CPU)
    assert [(folder.path / "results.json").stat().st_mtime_ns for folder in again] == before


def test_other_data_settings_are_another_folder(config, tmp_path, toy):
    overrides = ["data.normalisation=l2", "optimiser.iterations=7", "seed=3"]
    values = {"data": {"root": str(toy), "normalisation": "l2"}, "seed": 3}
    other = validate(values, CIZSLConfig, "test")
    folders = fit_baselines.fit_all(other, "toy.yaml", overrides, tmp_path, CPU)
    assert folders[0].path.name == "toy_ridge-data.normalisation-l2"
    assert folders[0].settings.data.normalisation == "l2"


@pytest.mark.parametrize("override", ["validation_seed=3", "heldout_share=0.2", "select_by=top1"])
def test_another_choice_is_another_folder(config, tmp_path, toy, override):
    key, value = override.split("=")
    other = {"data": {"root": str(toy)}, "evaluation": {key: value}}
    fit_baselines.fit_all(config, "toy.yaml", ["evaluation.protocol=strict"], tmp_path, CPU)
    folders = fit_baselines.fit_all(
        validate(other, CIZSLConfig, "test"), "toy.yaml", [f"evaluation.{override}"], tmp_path, CPU
    )
    assert folders[0].path.name == f"toy_ridge-evaluation.{key}-{value}"


def test_an_experiment_of_the_reference_protocol_has_strict_baselines(toy):
    values = {"data": {"root": str(toy)}, "evaluation": {"protocol": "reference"}}
    baseline = build.baseline(validate(values, CIZSLConfig, "test"), "ridge")
    assert baseline.evaluation.protocol == "strict"


def test_missing_data_are_one_line(tmp_path):
    config = validate({"data": {"root": str(tmp_path)}}, CIZSLConfig, "test")
    with pytest.raises(InputError, match="CUB2011"):
        fit_baselines.fit_all(config, "toy.yaml", [], tmp_path / "runs", CPU)


def test_the_command(toy, tmp_path, capsys):
    """Two configurations in one command; the table has all baselines of both as rows."""
    configs = [f"toy_{cell}" for cell in ("cub_easy", "nab_hard")]
    out = ["--out", str(tmp_path), "--device", "cpu"]
    assert main(["baselines", *configs, f"data.root={toy}", *out]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 8
    assert "ridge regression (penalty" in printed[0] and "on CUB easy (toy): top-1" in printed[0]
    assert "ESZSL (feature penalty" in printed[5] and "on NAB hard (toy): top-1" in printed[5]
    assert "Gaussian classifier (penalty" in printed[7]
    assert main(["table", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"\| A1 +\| ridge regression +\|", printed)
    for wrong in (["seed=1"], ["none.yaml"], [*configs, "optimser.seed=1"]):
        assert main(["baselines", *wrong, *out]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
