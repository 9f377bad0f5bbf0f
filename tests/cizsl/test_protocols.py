"""What each protocol may see, and that validation never meets the test classes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cizsl import protocols
from cizsl.data.birds import load_birds
from repro.errors import InputError
from tests.helpers.rounding import assert_same_up_to_rounding, float32_bound

CPU = torch.device("cpu")


@pytest.fixture
def data(toy):
    return load_birds(toy, "CUB", "easy")


def rows(tensor):
    """Feature rows as a set of byte strings: who is in there."""
    return {row.tobytes() for row in tensor.numpy()}


def test_reference_sees_everything_as_published(data):
    task = protocols.reference_task(data, "none", CPU)
    np.testing.assert_array_equal(task.train_features, data.train_features)
    assert task.seen_features is task.train_features
    np.testing.assert_array_equal(task.unseen_features, data.test_features)
    np.testing.assert_array_equal(task.unseen_labels, data.test_labels)


def test_strict_test_holds_out_a_share_of_every_class(data):
    task = protocols.strict_test_task(data, "none", CPU, heldout=0.1, seed=0)
    train, seen = rows(task.train_features), rows(task.seen_features)
    assert not train & seen and train | seen == rows(torch.from_numpy(data.train_features))
    total = np.bincount(data.train_labels)
    held = torch.bincount(task.seen_labels).numpy()
    np.testing.assert_array_equal(held, np.maximum(1, np.round(0.1 * total)))


def test_validation_never_meets_the_test_classes(data):
    task = protocols.validation_task(data, "none", CPU, 0.1, 0, 0.2)
    test = rows(torch.from_numpy(data.test_features))
    parts = [rows(p) for p in (task.train_features, task.seen_features, task.unseen_features)]
    for i, part in enumerate(parts):
        assert not part & test
        assert all(not part & other for other in parts[i + 1 :])
    # the images that measure seen accuracy at the end take no part in any choice
    final = protocols.strict_test_task(data, "none", CPU, 0.1, 0)
    held = rows(final.seen_features)
    assert all(not part & held for part in parts)
    assert sum(map(len, parts)) == len(data.train_labels) - len(held)
    texts = [rows(t) for t in (task.seen_text, task.unseen_text)]
    assert not texts[0] & texts[1]
    assert texts[0] | texts[1] == rows(torch.from_numpy(data.seen_text))
    assert len(task.unseen_text) == round(0.2 * data.num_seen)


def test_validation_classes_have_images(data):
    """Half of the classes lose theirs: none of these validates, for any seed."""
    keep = data.train_labels % 2 == 0
    fewer = replace(
        data, train_features=data.train_features[keep], train_labels=data.train_labels[keep]
    )
    texts = rows(torch.from_numpy(data.seen_text[::2]))
    for seed in range(10):
        task = protocols.validation_task(fewer, "none", CPU, 0.1, seed, 0.2)
        assert rows(task.unseen_text) <= texts
        assert torch.bincount(task.unseen_labels, minlength=len(task.unseen_text)).min() > 0


def test_where_no_class_can_spare_an_image_that_is_said(data):
    first = np.unique(data.train_labels, return_index=True)[1]
    single = replace(
        data, train_features=data.train_features[first], train_labels=data.train_labels[first]
    )
    with pytest.raises(InputError, match="no seen class has a second image"):
        protocols.strict_test_task(single, "none", CPU, 0.1, 0)


def test_labels_still_belong_to_their_text(data):
    """After relabelling, the class of an image is the class whose text stands at its label."""
    task = protocols.validation_task(data, "none", CPU, 0.1, 0, 0.2)
    where = {
        row.tobytes(): label
        for row, label in zip(data.train_features, data.train_labels, strict=True)
    }
    for features, labels, text in (
        (task.train_features, task.train_labels, task.seen_text),
        (task.unseen_features, task.unseen_labels, task.unseen_text),
    ):
        for row, label in zip(features.numpy(), labels, strict=True):
            np.testing.assert_array_equal(text[label], data.seen_text[where[row.tobytes()]])


def test_the_carving_is_committed(data):
    """The seed alone decides; these classes are part of every strict number."""
    chosen = protocols.validation_classes(150, 0.2, 0)
    assert chosen[:8].tolist() == [5, 13, 16, 39, 42, 52, 53, 54] and len(chosen) == 30
    assert not np.array_equal(chosen, protocols.validation_classes(150, 0.2, 1))
    with pytest.raises(InputError, match="too few"):
        protocols.validation_classes(3, 0.5, 0)


@pytest.mark.parametrize("kind", ["published", "standardise"])
def test_statistics_come_from_training_images_only(data, kind):
    """Changing test images changes no training feature and no other test feature."""
    changed = data.test_features.copy()
    changed[0] += 100
    other = type(data)(**{**vars(data), "test_features": changed})
    for build in (
        lambda d: protocols.reference_task(d, kind, CPU),
        lambda d: protocols.strict_test_task(d, kind, CPU, 0.1, 0),
    ):
        one, two = build(data), build(other)
        assert torch.equal(one.train_features, two.train_features)
        assert torch.equal(one.unseen_features[1:], two.unseen_features[1:])
        assert torch.equal(one.seen_features, two.seen_features)


def test_published_normalisation_divides_by_the_variance(data):
    task = protocols.reference_task(data, "published", CPU)
    x = data.train_features.astype(np.float64)
    expected = (x - x.mean()) / x.var()
    # mean and variance in float32 are sums over all numbers; a centroid, over its images
    close = {"rtol": 0, "atol": float32_bound(len(x), abs(expected).max())}
    np.testing.assert_allclose(task.train_features, expected, **close)
    for label in (0, 7):
        rows = task.train_labels == label
        mean = task.train_features[rows].mean(0)
        assert_same_up_to_rounding(task.centroids[label], mean, rows.sum().item())


def test_whole_families_validate():
    """About the asked share of classes, of families that keep no member for training."""
    families = np.repeat(np.arange(12), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 10, 10])
    for seed in range(20):
        chosen = protocols.validation_classes(50, 0.2, seed, families)
        inside = np.isin(families, families[chosen])
        np.testing.assert_array_equal(np.flatnonzero(inside), chosen)
        assert 10 <= len(chosen) <= 19  # the last family drawn may be one of ten
    drawn = (protocols.validation_classes(50, 0.2, seed, families) for seed in range(20))
    assert len({tuple(chosen) for chosen in drawn}) > 10
