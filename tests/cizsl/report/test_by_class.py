"""Comparison over unseen classes: parts of the scores, the sign-flip test, and the command."""

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.stats import norm

from cizsl import metrics
from cizsl.cli.parser import main
from cizsl.evaluate import Evaluation
from cizsl.report.compare import compare
from cizsl.report.paired_test import sign_flip_p
from cizsl.training import by_class
from repro.errors import InputError
from tests.helpers.run_folders import write_baseline, write_run


def images(random, labels, is_seen):
    """Random images with many equal margins."""
    seen, unseen = random.integers(0, 4, (2, len(labels))).astype(float)
    right = random.random(len(labels)) < 0.6
    return metrics.Best(seen, unseen, right, labels, labels, is_seen)


@pytest.fixture
def evaluation():
    random = np.random.default_rng(0)
    seen = images(random, random.integers(0, 5, 60), True)
    unseen = images(random, random.choice([5, 6, 8], 50), False)  # class 7 has no image
    right = random.random(50) < 0.4
    curve = metrics.exact_curve(seen, unseen)
    scores = dict.fromkeys(Evaluation.__dataclass_fields__, 0.0)
    scores |= {"curve": curve, "groups": (seen, unseen), "right": right}
    return Evaluation(**{**scores, "ausuc": metrics.ausuc(curve)})


def test_the_area_of_a_class_is_that_of_its_images_alone(evaluation):
    seen, unseen = evaluation.groups
    top1, areas = by_class.accuracies(evaluation)
    for place, label in enumerate((5, 6, 8)):
        own = unseen.labels == label
        fields = ("seen", "unseen", "right", "predicted", "labels")
        alone = replace(unseen, **{name: getattr(unseen, name)[own] for name in fields})
        expected = metrics.ausuc(metrics.exact_curve(seen, alone))
        assert areas[place] == pytest.approx(expected, abs=1e-12)
        assert top1[place] == evaluation.right[own].mean()
    counts = np.bincount(unseen.labels)[[5, 6, 8]]
    assert np.average(areas, weights=counts) == pytest.approx(evaluation.ausuc, abs=1e-12)


@pytest.mark.parametrize("d", [[0.3, -0.1, 0.2, 0.25], [0.1, 0.1, 0, -0.1], [0, 0]])
def test_p_is_the_share_of_all_signs(d):
    signs = np.array(list(product((-1, 1), repeat=len(d))))
    expected = (abs(signs @ np.array(d)) >= abs(sum(d)) - 1e-9).mean()
    assert sign_flip_p(np.array(d, float)) == pytest.approx(expected, abs=1e-12)


def test_p_of_many_classes_is_near_that_of_a_normal_mean():
    """50 differences: the sum of random signs is nearly normal."""
    d = np.random.default_rng(1).normal(0.02, 0.08, 50)
    z = abs(d.sum()) / np.sqrt((d**2).sum())
    assert sign_flip_p(d) == pytest.approx(2 * norm.sf(z), abs=0.01)


@pytest.fixture
def baselines(tmp_path):
    """``make(gains)``: B has 20 % in each class, A ``gains`` more; both without a seed."""

    def make(gains):
        for name, add, method in (("a", gains, "ESZSL"), ("b", np.zeros(len(gains)), "ridge")):
            values = (0.2 + np.asarray(add)).tolist()
            parts = {"top1": values, "ausuc": [value / 2 for value in values]}
            write_baseline(tmp_path / name, method=method, by_class=parts)
        return str(tmp_path / "a"), str(tmp_path / "b")

    return make


def test_two_baselines_are_compared_over_classes(baselines, tmp_path, capsys):
    gains = np.tile([0.1, 0.2, -0.05, 0.15], 10)
    sides = baselines(gains)
    (block,) = compare(*sides, by="class").blocks
    assert (block.count, list(block.differences)) == (40, ["per_class_top1", "ausuc"])
    top1, area = block.differences.values()
    assert top1.mean == pytest.approx(0.1) and area.mean == pytest.approx(0.05)
    assert top1.supported and top1.p and top1.p < 1e-4
    page = tmp_path / "page.html"
    assert main(["table", "--compare", *sides, "--by", "class", "--html", str(page)]) == 0
    said = capsys.readouterr().out
    assert "A against B, class by class" in said and "40 unseen classes" in said
    assert "A is higher in per-class top-1 (by 10.00 points), AUSUC (by 5.00 points)" in said
    assert "class by class" in page.read_text(encoding="utf-8")


def test_runs_of_several_seeds_are_averaged(baselines, tmp_path):
    _, ridge = baselines([0.1] * 3)
    for seed, value in enumerate((0.2, 0.4)):
        parts = {"top1": [value, 0.3, 0.2], "ausuc": [0.1, 0.1, value]}
        write_run(
            tmp_path / "gan" / f"{seed}", seed=seed, protocol="strict", method="GAZSL",
            creativity=None, by_class=parts,
        )  # fmt: skip
    (block,) = compare(str(tmp_path / "gan"), ridge, by="class").blocks
    assert block.differences["per_class_top1"].first == pytest.approx((0.3 + 0.3 + 0.2) / 3)
    assert block.differences["ausuc"].mean == pytest.approx((0.1 + 0.1 + 0.3) / 3 - 0.1)
    assert block.title_of_pairs == "3 unseen classes, runs averaged: 2 of A, 1 of B"


def test_results_without_classes_say_so(baselines, tmp_path, capsys):
    a, b = baselines([0.1] * 3)
    results = tmp_path / "b" / "results.json"
    old = json.loads(results.read_text())
    del old["by_class"]
    results.write_text(json.dumps(old))
    assert main(["table", "--compare", a, b, "--by", "class"]) == 2
    assert "no accuracies by class; run it again" in capsys.readouterr().err
    old["by_class"] = {"top1": [0.1] * 4, "ausuc": [0.1] * 4}
    results.write_text(json.dumps(old))
    with pytest.raises(InputError, match="other unseen classes"):
        compare(a, b, by="class")
    assert main(["table", a, "--by", "class"]) == 2
    assert "--by class needs --compare" in capsys.readouterr().err
