"""The exact curve, the published grid and the k-NN against loops and recorded evaluations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cizsl import classifiers, metrics
from tests.helpers.oracles import plain_curve, plain_knn

SETS = ["random", "hardish", "paper_nSample60_K20", "ties"]


def scores(seed, seen=30, unseen=20, num_seen=4, num_unseen=3, levels=None):
    """Random scores and labels; ``levels`` rounds the scores, so that ties abound."""
    random = np.random.default_rng(seed)
    tables = []
    for count, low, high in ((seen, 0, num_seen), (unseen, num_seen, num_seen + num_unseen)):
        table = random.uniform(-1, 1, (count, num_seen + num_unseen))
        labels = random.integers(low, high, count)
        table[np.arange(count), labels] += 0.3
        tables += [np.round(table * levels) / levels if levels else table, labels]
    return tables, num_seen


def as_tensors(tables):
    return [torch.from_numpy(table) for table in tables]


@given(seed=st.integers(0, 10**6), levels=st.sampled_from([None, 2, 8]))
@settings(max_examples=60, deadline=None)
def test_exact_curve_is_the_loop_over_every_offset_that_matters(seed, levels):
    """One dense copy and argmax for an offset inside every interval between margins."""
    tables, num_seen = scores(seed, levels=levels)
    margins = np.unique(
        np.concatenate([t[:, :num_seen].max(1) - t[:, num_seen:].max(1) for t in tables[::2]])
    )
    offsets = np.concatenate([[-9], (margins[1:] + margins[:-1]) / 2, [9]])
    seen, unseen = plain_curve(*tables, num_seen, offsets)
    curve = metrics.seen_unseen_curve(*as_tensors(tables), num_seen)
    everything = sorted(set(zip(curve.unseen, curve.seen, strict=True)))
    assert everything == sorted(set(zip(unseen, seen, strict=True)))
    assert metrics.ausuc(curve) == pytest.approx(np.trapezoid(seen, unseen), abs=1e-12)
    assert (np.diff(curve.seen) <= 0).all() and (np.diff(curve.unseen) >= 0).all()


@given(seed=st.integers(0, 10**6), levels=st.sampled_from([None, 4]))
@settings(max_examples=40, deadline=None)
def test_best_offset_is_the_best_of_a_loop(seed, levels):
    """H at the chosen offset equals the highest H of offsets inside every interval."""
    tables, num_seen = scores(seed, levels=levels)
    x, y, other, labels = as_tensors(tables)
    parts = [
        metrics.best_scores(x, y, num_seen, is_seen=True),
        metrics.best_scores(other, labels, num_seen, is_seen=False),
    ]
    margins = np.unique(np.concatenate([best.margins for best in parts]))
    offsets = np.concatenate([[-9], (margins[1:] + margins[:-1]) / 2, [9]])
    chosen = metrics.best_offset(*parts)
    h = [plain_h(*tables, num_seen, offset) for offset in (chosen, *offsets)]
    assert h[0][2] == pytest.approx(max(one[2] for one in h), abs=1e-12)
    for offset, expected in zip((chosen, *offsets), h, strict=True):
        assert metrics.accuracies_at(*parts, offset) == pytest.approx(expected[:2], abs=1e-12)


def test_accuracies_never_exceed_one():
    """A sum of the weights of all images exceeds 1 by rounding for a fifth of these numbers."""
    for count in range(2, 60):
        labels = torch.arange(count).repeat(7)
        best = metrics.best_scores(torch.eye(count + 1)[labels], labels, count, is_seen=True)
        assert metrics.accuracies_at(best, best, -1.0) == (1.0, 0.0)


def plain_h(seen_table, seen_labels, unseen_table, unseen_labels, num_seen, offset):
    """Seen and unseen accuracy, averages over classes, and H by one argmax over all classes."""
    found = []
    for table, labels in ((seen_table, seen_labels), (unseen_table, unseen_labels)):
        moved = table.astype(float)
        moved[:, num_seen:] += offset
        right = moved.argmax(1) == labels
        found.append(np.mean([right[labels == c].mean() for c in np.unique(labels)]))
    return *found, metrics.harmonic_mean(*found)


@given(seed=st.integers(0, 10**6), levels=st.sampled_from([None, 4]))
@settings(max_examples=20, deadline=None)
def test_published_curve_is_the_loop_over_the_grid(seed, levels):
    tables, num_seen = scores(seed, levels=levels)
    seen, unseen = plain_curve(*tables, num_seen, metrics.PUBLISHED_OFFSETS)
    curve = metrics.published_curve(*as_tensors(tables), num_seen)
    np.testing.assert_array_equal(curve.seen, seen)
    np.testing.assert_array_equal(curve.unseen, unseen)


def test_area_by_hand():
    """Margins of seen images 0.5 and -0.1, of unseen ones -0.3 and 0.2, all right within their
    group: the curve goes (0, 1), (1/2, 1), (1/2, 1/2), (1, 1/2), (1, 0), and its area is 3/4."""
    seen = torch.tensor([[0.9, 0.1, 0.4], [0.2, 0.3, 0.4]])
    unseen = torch.tensor([[0.1, 0.2, 0.5], [0.6, 0.1, 0.4]])
    seen_labels, unseen_labels = torch.tensor([0, 1]), torch.tensor([2, 2])
    curve = metrics.seen_unseen_curve(seen, seen_labels, unseen, unseen_labels, 2)
    np.testing.assert_allclose(curve.unseen, [0, 0.5, 0.5, 1, 1])
    np.testing.assert_allclose(curve.seen, [1, 1, 0.5, 0.5, 0])
    assert metrics.ausuc(curve) == pytest.approx(0.5 * 1 + 0.5 * 0.5)


def test_accuracies_by_hand():
    predicted, labels = torch.tensor([0, 0, 1, 1, 3]), torch.tensor([0, 0, 0, 1, 1])
    assert metrics.top1(predicted, labels) == pytest.approx(3 / 5)
    assert metrics.per_class_top1(predicted, labels) == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert metrics.per_class_top1(predicted, 2 * labels) == pytest.approx((2 / 3 + 0) / 2)
    assert metrics.harmonic_mean(0.2, 0.6) == pytest.approx(0.3)
    assert metrics.harmonic_mean(0.0, 0.0) == 0.0


@given(seed=st.integers(0, 10**6), k=st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_knn_is_the_full_sort(seed, k):
    random = np.random.default_rng(seed)
    synthetic, features = random.normal(size=(30, 6)), random.normal(size=(25, 6))
    labels = random.integers(0, 5, 30)
    ours = classifiers.knn(*(torch.from_numpy(x) for x in (synthetic, labels, features)), k)
    np.testing.assert_array_equal(ours.numpy(), plain_knn(synthetic, labels, features, k))


def test_knn_in_blocks_is_knn_at_once(monkeypatch):
    torch.manual_seed(0)
    bank, labels, features = torch.randn(50, 8), torch.randint(7, (50,)), torch.randn(40, 8)
    whole = classifiers.knn(bank, labels, features)
    monkeypatch.setattr(classifiers, "BLOCK_ENTRIES", 150)
    assert torch.equal(classifiers.knn(bank, labels, features), whole)


@pytest.mark.parametrize("name", SETS)
def test_recorded_evaluations_exactly(golden, name):
    """Predictions, accuracy, the 400-point curve and its area, ties included."""
    arrays = np.load(golden("cizsl/evaluations.npz"))
    part = {key.split("/")[1]: arrays[key] for key in arrays if key.startswith(name + "/")}
    samples, k = int(part["nSample"]), int(part["Knn"])
    tensors = {n: torch.from_numpy(part[n].astype(np.float64)) for n in part if part[n].ndim == 2}
    seen_y, unseen_y = (torch.from_numpy(part[n].astype(np.int64)) for n in ("seen_y", "unseen_y"))
    bank = tensors["gen_test"]
    labels = torch.arange(len(bank) // samples).repeat_interleave(samples)
    predicted = classifiers.knn(bank, labels, tensors["unseen_x"], k)
    np.testing.assert_array_equal(predicted.numpy(), part["knn_preds"])
    assert 100 * metrics.top1(predicted, unseen_y) == pytest.approx(part["test_acc_percent"])

    everything = tensors["gen_all"]
    num_classes = len(everything) // samples
    num_seen = num_classes - len(bank) // samples
    labels = torch.arange(num_classes).repeat_interleave(samples)
    tables = []
    for x, y in (("seen_x", seen_y), ("unseen_x", unseen_y + num_seen)):
        tables += [classifiers.pivot_scores(everything, labels, tensors[x], num_classes), y]
    curve = metrics.published_curve(*tables, num_seen)
    np.testing.assert_array_equal(curve.seen, part["acc_S_T"])
    np.testing.assert_array_equal(curve.unseen, part["acc_U_T"])
    assert 100 * metrics.ausuc(curve) == pytest.approx(float(part["auc_percent"]), rel=1e-12)
    np.testing.assert_array_equal(metrics.PUBLISHED_OFFSETS, part["lambdas"])
    # the exact area differs from the grid's by no more than the grid is coarse
    exact = metrics.ausuc(metrics.seen_unseen_curve(*tables, num_seen))
    assert exact == pytest.approx(metrics.ausuc(curve), abs=0.02)
