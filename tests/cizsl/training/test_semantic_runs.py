"""Whole runs of CIZSL-v2 and GRaWD: names, records, and the discriminator's own classifier."""

import json

import pytest
import torch

from cizsl import build, metrics
from cizsl.config import CIZSLConfig
from cizsl.evaluate import evaluate_discriminator
from cizsl.report.markdown import report
from cizsl.report.runs import collect
from repro import config as configuration
from repro.locate import find
from tests.cizsl.training.runs import CPU, run

pytestmark = pytest.mark.usefixtures("undrawn")

GRAWD = {"creativity": {"divergence": "random_walk", "adversarial": 0}, "walk": {"samples": 2}}


def test_the_discriminator_classifies_by_text(tiny):
    """Top-1 and the area of its curve by loops over images and offsets of plain logits."""
    config = tiny(head={"kind": "semantic"})
    task = build.task(config, build.data(config), "test", CPU)
    gan = build.gan(config, task)
    found = evaluate_discriminator(gan.discriminator, gan.head, gan.generator, task)
    every = torch.cat([task.seen_text, task.unseen_text])
    with torch.no_grad():
        texts = gan.generator.get_submodule("text_projection")(every)
        seen, unseen = (
            gan.discriminator.classifier(gan.discriminator.shared(x).relu()) @ texts.T
            for x in (task.seen_features, task.unseen_features)
        )
    num_seen = len(task.seen_text)
    right = [
        int(row[num_seen:].argmax() == label)
        for row, label in zip(unseen, task.unseen_labels, strict=True)
    ]
    assert found.top1 == pytest.approx(sum(right) / len(right))
    curve = metrics.seen_unseen_curve(
        seen,
        task.seen_labels,
        unseen,
        task.unseen_labels + num_seen,
        num_seen,
    )
    assert found.ausuc == pytest.approx(metrics.ausuc(curve), abs=1e-6)


@pytest.mark.parametrize("protocol", ["reference", "strict"])
def test_a_semantic_run_reports_its_discriminator(tiny, tmp_path, protocol):
    """The last record's scores, in results.json and in a line of the table of their own."""
    run(tiny(head={"kind": "semantic"}, evaluation={"protocol": protocol}), tmp_path / "run")
    results = json.loads((tmp_path / "run/results.json").read_text())
    last = json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[-1])
    own = results["metrics"]["discriminator"]
    assert results["method"] == "CIZSL-v2" and own["top1"] == last["discriminator_top1"]
    assert last["discriminator_image_norm"] > 0 and last["discriminator_text_norm"] > 0
    text = report(collect([tmp_path]))
    (line,) = [row for row in text.splitlines() if "the discriminator's own classifier" in row]
    assert f"{100 * own['top1']:.2f}" in line and f"{100 * own['ausuc']:.2f}" in line
    assert "CIZSL-v2, Sharma-Mittal, exact form" in text


def test_a_run_of_walks(tiny, tmp_path):
    run(tiny(**GRAWD), tmp_path / "run")
    last = json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[-1])
    assert {"critic_imitative", "critic_real", "generator_imitative"} <= last.keys()
    assert last["creativity_to_least"] > 1 - 1e-6  # float32, of sums of a thousand logarithms
    assert "discriminator_top1" not in last
    assert "GRaWD, random walks, exact form" in report(collect([tmp_path]))


CELLS = [f"{data}_{split}" for data in ("cub", "nab") for split in ("easy", "hard")]


@pytest.mark.parametrize("cell", [*CELLS, "compact_easy", "compact_hard"])
@pytest.mark.parametrize(("suffix", "method"), [("cizslv2", "CIZSL-v2"), ("grawd", "GRaWD")])
def test_configurations_of_both_methods(cell, suffix, method):
    config = configuration.load(find(f"{cell}_{suffix}", "cizsl"), CIZSLConfig, [])
    protocol = "strict" if cell.startswith("compact") else "reference"
    assert config.method == method and config.evaluation.protocol == protocol
    weights = dict(
        zip(CELLS, {"cizslv2": (1, 0.1, 0.001, 1), "grawd": (1, 0.01, 1, 0.1)}[suffix], strict=True)
    )
    assert config.creativity.weight == weights.get(cell, 0.1)
