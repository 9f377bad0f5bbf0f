"""The benchmarks start on a plain copy of the files, found by PYTHONPATH alone."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import bench_cizsl
from benchmarks.sizes import Size, aligned, iteration_bytes, iteration_flop
from cizsl.closed_form.gaussian_classifier import START
from cizsl.data.layouts import load
from cizsl.protocols import ZSLTask
from tests.helpers.waiting import ENOUGH

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("bench", "quality", "diagnose")
SCRIPTS = sorted(path for kind in KINDS for path in ROOT.glob(f"benchmarks/{kind}_*.py"))
HELP = """
import contextlib, io, runpy, sys
import cizsl, tests.helpers.oracles
for script in sys.argv[1:]:
    sys.path[0] = script.rpartition("/")[0]  # as when it is started by its path
    sys.argv, said = [script, "--help"], io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(said):
        runpy.run_path(script, run_name="__main__")
    assert "usage" in said.getvalue(), script
print(cizsl.__file__, tests.helpers.oracles.__file__)
"""


def test_every_benchmark_starts_without_an_installation(tmp_path):
    assert len(SCRIPTS) >= 6
    done = subprocess.run(
        [sys.executable, "-c", HELP, *map(str, SCRIPTS)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=ENOUGH,
    )
    assert done.returncode == 0, done.stderr
    assert all(Path(path).is_relative_to(ROOT) for path in done.stdout.split())


def test_the_comparison_of_validations():
    """Whole families are held out, and ranks and losses are those of small examples."""
    script = runpy.run_path(str(ROOT / "benchmarks/quality_validation.py"))
    data = load("data", "CUB-compact", "hard", "compact")
    rest = script["held_out"](data, "family", 3)
    gone = np.isin(data.seen_ids, rest.unseen_ids)
    assert 32 <= gone.sum() < 64  # a fifth of 160 classes, filled up to whole families
    assert not np.isin(data.families[gone], data.families[~gone]).any()
    assert sorted([*rest.seen_ids, *rest.unseen_ids]) == sorted(data.seen_ids)
    image = np.flatnonzero(data.seen_ids[data.train_labels] == rest.unseen_ids[0])[0]
    np.testing.assert_array_equal(
        rest.test_features[rest.test_labels == 0][0], data.train_features[image]
    )
    outer = np.array([[0.1, 0.2, 0.3], [0.3, 0.1, 0.2]])
    agreeing, opposite = outer[:, None], -outer[:, None]
    found = script["compare"](outer, {"class": agreeing, "family": opposite})
    np.testing.assert_allclose(found.correlation["class"], 1)
    np.testing.assert_allclose(found.correlation["family"], -1)
    np.testing.assert_allclose(found.loss["class"], 0)
    np.testing.assert_allclose(found.loss["family"], [0.2, 0.2])


class Products(TorchDispatchMode):
    """Adds up the operations of matrix products while code runs."""

    flop = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function._schema.name in ("aten::mm", "aten::addmm", "aten::addmm_"):
            a, b = args[-2:]
            self.flop += 2 * a.shape[0] * a.shape[1] * b.shape[1]
        return function(*args, **(kwargs or {}))


def test_the_products_of_an_iteration_are_those_that_it_takes():
    """Counted while one runs; products with one column are in neither count."""
    size = Size(B=64, D=96, H=80, R=48, V=300, train=200, test=20)
    gan, sampler = bench_cizsl.build(size, bench_cizsl.random_task(size, torch.device("cpu")))
    with Products() as found:
        bench_cizsl.our_iteration(gan, sampler)()
    assert found.flop == pytest.approx(iteration_flop(size), rel=0.01)
    wide = aligned(size, 64)
    assert (wide.H, wide.V, wide.Z, wide.D) == (128, 320, 128, 96)
    assert iteration_bytes(wide) > iteration_bytes(size) > 4 * 7 * 5 * size.H * size.D


def test_the_diagnosis_of_texts_takes_means_from_where_it_says():
    """Texts that are the real means predict them; all images of a class give their mean; and texts
    from all classes are those of the classifier."""
    script = runpy.run_path(str(ROOT / "benchmarks/diagnose_text.py"))
    random = torch.Generator().manual_seed(0)
    centres = 3 * torch.randn(20, 6, generator=random)
    labels = torch.arange(20).repeat_interleave(12)
    features = centres[labels] + torch.randn(240, 6, generator=random)
    seen = labels < 15
    task = ZSLTask(
        features[seen], labels[seen], features[seen], labels[seen], features[~seen],
        labels[~seen] - 15, torch.randn(15, 4, generator=random),
        torch.randn(5, 4, generator=random),
        torch.stack([features[labels == c].mean(0) for c in range(15)]), (4,),
    )  # fmt: skip
    learnt, tested = script["halves"](task.unseen_labels, np.random.default_rng(0))
    assert sorted(torch.cat([learnt, tested]).tolist()) == list(range(60))
    assert task.unseen_labels[learnt].bincount().tolist() == [6] * 5
    every = torch.arange(60)
    means = script["means_of"](task, every)
    expected = torch.stack([features[labels == c].double().mean(0) for c in range(15, 20)])
    torch.testing.assert_close(means, expected)
    settings = {**START, "text_weights": [1.0]}
    from_texts = script["measured"](task, tested, settings)
    again = script["of_texts"](task, settings, torch.arange(15))
    assert (script["measured"](task, tested, settings, again) == from_texts).all()
    real = script["measured"](task, tested, settings, means)
    own = script["own_means_as_texts"](task, means)
    regressed = script["measured"](own, tested, {**settings, "penalty": 1e-6})
    assert real[0] > 0.9 and regressed[0] == pytest.approx(real[0], abs=0.04)
    assert from_texts[0] < 0.6  # random texts
