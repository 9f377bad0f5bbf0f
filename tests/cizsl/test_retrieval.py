"""Retrieval against rankings done by hand and a loop over classes and ranks."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cizsl.evaluate import assess
from cizsl.protocols import ZSLTask
from cizsl.retrieval import SHARES, mean_precision
from cizsl.training import results
from cizsl.training.records import RETRIEVAL


def test_the_run_folder_has_the_same_names():
    assert tuple(SHARES) == RETRIEVAL


def plain_mean_precision(scores, labels):
    """Sort all images for each class, walk down the list."""
    found = {name: [] for name in SHARES}
    for label in range(scores.shape[1]):
        size = sum(1 for other in labels if other == label)
        ranked = sorted(range(len(labels)), key=lambda image: -scores[image, label])
        for name, share in SHARES.items():
            wanted = math.ceil(share * size)
            right = sum(1 for image in ranked[:wanted] if labels[image] == label)
            if size:
                found[name].append(right / wanted)
    return {name: sum(values) / len(values) for name, values in found.items()}


def test_by_hand():
    """Class 0 has four images and ranks 0, 4, 1, 5, ...: 1/1, 1/2, 2/4. Class 1 has three and ranks
    4, 0, 5: k = ceil(0.75), ceil(1.5), 3 gives 1/1, 1/2, 2/3."""
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1])
    scores = torch.tensor(
        [[0.9, 0.8], [0.7, 0.1], [0.2, 0.0], [0.1, 0.2], [0.8, 0.9], [0.6, 0.7], [0.3, 0.3]]
    )
    found = mean_precision(scores, labels)
    assert found["map25"] == pytest.approx((1 + 1) / 2)
    assert found["map50"] == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert found["map100"] == pytest.approx((2 / 4 + 2 / 3) / 2)


def test_perfect_and_worst():
    labels = torch.arange(5).repeat_interleave(6)
    right = torch.nn.functional.one_hot(labels).double()
    assert set(mean_precision(right, labels).values()) == {1.0}
    assert set(mean_precision(-right, labels).values()) == {0.0}


def test_a_random_ranking_finds_the_share_of_the_class():
    """The expected precision of any cut is n_c / N, here 1 / 40, whatever the order of labels."""
    labels = torch.arange(40).repeat_interleave(25)
    random = torch.Generator().manual_seed(0)
    runs = [mean_precision(torch.rand(1000, 40, generator=random), labels) for _ in range(30)]
    for name in SHARES:
        assert np.mean([run[name] for run in runs]) == pytest.approx(1 / 40, abs=0.004)


@given(seed=st.integers(0, 10**6), images=st.integers(1, 40), classes=st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_the_loop_over_classes_and_ranks(seed, images, classes):
    """Classes of any size, some of them empty."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, images)
    scores = random.normal(size=(images, classes))
    ours = mean_precision(torch.from_numpy(scores), torch.from_numpy(labels))
    theirs = plain_mean_precision(scores, labels)
    for name in SHARES:
        assert ours[name] == pytest.approx(theirs[name], abs=1e-12)


def test_a_class_without_images_is_no_query():
    labels = torch.tensor([0, 0, 2])
    scores = torch.tensor([[3.0, 9.0, 0.0], [2.0, 9.0, 0.1], [1.0, 9.0, 5.0]])
    assert set(mean_precision(scores, labels).values()) == {1.0}


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_an_evaluation_ranks_by_the_cosine_with_the_vectors_of_unseen_classes(similarity):
    random = np.random.default_rng(0)
    seen, unseen, dim = 5, 4, 6
    labels = np.arange(unseen).repeat([3, 1, 8, 5])
    vectors, x = random.normal(size=(seen + unseen, dim)), random.normal(size=(len(labels), dim))
    x += vectors[seen + labels]
    tensors = {"train": x, "seen": x, "unseen": x}
    task = ZSLTask(
        **{f"{name}_features": torch.from_numpy(value) for name, value in tensors.items()},
        **{f"{name}_labels": torch.from_numpy(labels) for name in tensors},
        seen_text=torch.zeros(seen, 2),
        unseen_text=torch.zeros(unseen, 2),
        centroids=torch.zeros(seen, dim),
    )
    lengths = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(vectors[seen:], axis=1)
    expected = plain_mean_precision(x @ vectors[seen:].T / lengths, labels)
    found = assess(torch.from_numpy(vectors), task, similarity=similarity).scores()
    assert {name: found[name] for name in SHARES} == pytest.approx(expected, abs=1e-12)
    assert 0.3 < found["map100"] < 1


def test_best_on_test_takes_retrieval_from_the_evaluation_with_the_best_accuracy():
    """And a record of a run from before retrieval was measured has none."""
    names = ("top1", "per_class_top1", "ausuc", "seen", "unseen", "harmonic", *SHARES)
    first = dict.fromkeys(names, 0.5) | {"iteration": 0, "ausuc": 0.1}
    second = dict.fromkeys(names, 0.4) | {"iteration": 10}
    best = results.best_on_test([first, second])
    assert (best["map50"], best["seen"]) == (0.5, 0.4)
    for record in (first, second):
        record.pop("map50")
    assert "map50" not in results.best_on_test([first, second])


@pytest.mark.gpu
def test_on_the_device():
    labels = torch.arange(5).repeat_interleave(7)
    scores = torch.rand(35, 5, generator=torch.Generator().manual_seed(1))
    there = mean_precision(scores.cuda(), labels.cuda())
    assert there == pytest.approx(mean_precision(scores, labels))
