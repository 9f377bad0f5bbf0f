"""The Gaussian classifier on tasks with several texts, and with classes without images."""

import dataclasses

import pytest
import torch

from cizsl.classifiers import class_centroids
from cizsl.closed_form import class_means
from cizsl.closed_form.gaussian_classifier import Gaussian
from cizsl.protocols import ZSLTask
from cizsl.training.fit_baselines import measure


def task(noise=5.0):
    """Ten seen and four unseen classes: the second text says what the classes look like."""
    g = torch.Generator().manual_seed(2)
    said, other = torch.randn(14, 12, generator=g), torch.randn(14, 9, generator=g)
    centroids = said @ torch.randn(12, 10, generator=g)
    labels = torch.arange(14).repeat_interleave(25)
    features = centroids[labels] + 0.5 * torch.randn(350, 10, generator=g)
    text, seen = torch.cat([noise * other, said], 1), labels < 10
    return ZSLTask(
        train_features=features[seen],
        train_labels=labels[seen],
        seen_features=features[seen],
        seen_labels=labels[seen],
        unseen_features=features[~seen],
        unseen_labels=labels[~seen] - 10,
        seen_text=text[:10],
        unseen_text=text[10:],
        centroids=class_centroids(features[seen], labels[seen], 10),
        text_blocks=(9, 12),
    )


def test_texts_side_by_side_have_the_weighted_mean_of_the_products():
    one = task()
    seen, unseen = class_means.side_by_side(one.seen_text, one.unseen_text, (9, 12), (1.0, 0.5))
    expected = 0.0
    for columns, weight in ((slice(9), 1.0), (slice(9, 21), 0.5)):
        a = one.seen_text[:, columns].double()
        b = one.unseen_text[:, columns].double() - a.mean(0)
        a = a - a.mean(0)
        expected = expected + weight * b @ a.T / a.square().sum(1).mean()
    torch.testing.assert_close(unseen @ seen.T, expected)


def test_the_text_that_helps_is_found():
    one = task()
    model = Gaussian(one)
    tried = model.search(lambda point: measure(model, point, one).top1)
    chosen, score = max(tried, key=lambda found: found[1])
    without = {**chosen, "text_weights": [1.0, 0.0]}
    assert chosen["text_weights"][1] == 2.0 and score > measure(model, without, one).top1 + 0.2
    assert all(model.accepts(point) for point, _ in tried)
    assert not model.accepts({**chosen, "penalty": 7.0})
    assert not model.accepts({**chosen, "text_weights": [1.0]})


@pytest.mark.parametrize("scale", [1.0, 1.6])
def test_the_scale_moves_predicted_means_away_from_the_mean_of_the_centroids(scale):
    point = {"penalty": 0.1, "shrinkage": 0.5, "spread": 0.3, "text_weights": [1.0, 1.0]}
    one = task()
    centre = one.centroids.double().mean(0)
    plain = Gaussian(one).fit(**point).vectors
    moved = Gaussian(one).fit(**point, scale=scale).vectors
    torch.testing.assert_close(moved[:10], plain[:10])  # seen classes keep their centroids
    torch.testing.assert_close(moved[10:] - centre, scale * (plain[10:] - centre))


def test_a_seen_class_without_images_is_predicted_in_its_place():
    """Class 3 has no images: its vector is the prediction of its text, the others stay in order."""
    one = task()
    there = one.train_labels != 3
    centroids = one.centroids.clone()
    centroids[3] = 0
    less = dataclasses.replace(
        one,
        train_features=one.train_features[there],
        train_labels=one.train_labels[there],
        centroids=centroids,
    )
    point = {"penalty": 0.1, "shrinkage": 0.1, "spread": 0.3, "text_weights": [1.0, 1.0]}
    vectors = Gaussian(less).fit(**point).vectors
    learnt = torch.arange(10) != 3
    torch.testing.assert_close(vectors[:10][learnt], centroids[learnt].double())
    seen, unseen = class_means.side_by_side(less.seen_text, less.unseen_text, (9, 12), (1.0, 1.0))
    means = class_means.predict(
        seen[learnt], torch.cat([seen[3:4], unseen]), centroids[learnt], 0.1
    ).unseen
    space = Gaussian(less)._space(0.1)  # only these coordinates of a prediction are kept
    torch.testing.assert_close(space.encode(vectors[3:4]), space.encode(means[:1]))
    torch.testing.assert_close(space.encode(vectors[10:]), space.encode(means[1:]))
