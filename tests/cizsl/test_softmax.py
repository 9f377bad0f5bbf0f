"""The softmax classifier against scikit-learn, and T1, u, s, H against the obvious computation."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from cizsl import protocols, softmax, synthesis
from cizsl.data import gbu
from cizsl.evaluate import evaluate
from cizsl.networks import Generator
from cizsl.prepare import toy_gbu
from tests.helpers.oracles import plain_knn


def blobs(seed=0, images=90, dim=7, classes=4, dtype=torch.float64):
    """Overlapping classes of different sizes, far from the origin."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, images, p=[0.4, 0.3, 0.2, 0.1])
    x = 3 + rng.normal(size=(classes, dim))[labels] + 1.2 * rng.normal(size=(images, dim))
    return torch.tensor(x, dtype=dtype), torch.from_numpy(labels)


@pytest.mark.parametrize("penalty", [1e-3, 0.1])
def test_it_is_scikit_learns_logistic_regression(penalty):
    """A line search compares values of the objective f, which float64 rounds by eps f: steps from
    gradients below sqrt(2 L eps f) = 2e-8 (L = 1 the curvature, f = 1) cannot be told from none.
    So 1e-7 is asked for. The penalty makes f strongly convex: |W - W*| <= |gradient| / penalty."""
    x, y = blobs()
    mine = softmax.fit(x, y, 4, weight_decay=penalty, tolerance=1e-7)
    theirs = LogisticRegression(C=1 / (penalty * len(x)), tol=1e-9, solver="newton-cg")
    theirs.fit(x.numpy(), y.numpy())
    assert mine.slope <= 1e-7
    error = mine.slope * math.sqrt(mine.weight.numel() + mine.bias.numel()) / penalty
    assert error < 1e-3  # of weights of size 1
    np.testing.assert_allclose(mine.weight, theirs.coef_, rtol=0, atol=error)
    expected = theirs.predict_log_proba(x.numpy())
    np.testing.assert_allclose(mine.log_probabilities(x), expected, rtol=0, atol=10 * error)


def test_the_gradient_vanishes_where_it_stops(monkeypatch):
    """(1/M) X'(P - Y) + lambda W and its bias, by numpy, whatever the products are made in: with
    products in float32 (MANY = 0) the line search stops between 1e-7 and 4e-6."""
    x, y = blobs(1, images=3000, dtype=torch.float32)
    for many, tolerance in ((2**21, 1e-3), (2**21, 1e-6), (0, 2e-5)):
        monkeypatch.setattr(softmax, "MANY", many)
        found = softmax.fit(x, y, 4, weight_decay=0.01, tolerance=tolerance)
        p = np.exp(found.log_probabilities(x).double().numpy()) - np.eye(4)[y]
        centred = x.numpy() - x.numpy().mean(0)  # where the fit takes place
        gradient = p.T @ centred / len(x) + 0.01 * found.weight.numpy()
        slope = max(abs(gradient).max(), abs(p.mean(0)).max())
        assert found.slope <= tolerance
        assert slope == pytest.approx(found.slope, rel=0.1, abs=1e-6)


def test_it_says_so_where_it_did_not_converge():
    x, y = blobs()
    with pytest.warns(RuntimeWarning, match=r"largest gradient of .*, not 1e-09 as asked for"):
        softmax.fit(x, y, 4, tolerance=1e-9, max_steps=3)


def test_the_same_every_time_and_a_class_without_images_is_never_answered():
    x, y = blobs(2, dtype=torch.float32)
    one, two = (softmax.fit(x, y, 6) for _ in range(2))
    assert torch.equal(one.weight, two.weight) and torch.equal(one.bias, two.bias)
    assert one.log_probabilities(x).argmax(1).max() < 4


@pytest.mark.gpu
def test_on_the_gpu_it_is_the_same_classifier():
    x, y = blobs(3, images=500, dtype=torch.float32)
    cpu, gpu = softmax.fit(x, y, 4), softmax.fit(x.cuda(), y.cuda(), 4)
    torch.testing.assert_close(gpu.weight.cpu(), cpu.weight, rtol=1e-2, atol=1e-3)


class LinearGenerator(Generator):
    """Class means by ridge regression from text, and correlated noise: it knows a little."""

    def __init__(self, task):
        torch.nn.Module.__init__(self)
        self.noise_dim = 9
        text, means = task.seen_text, task.centroids
        self.offset = text.mean(0), means.mean(0)
        centred = text - self.offset[0]
        gram = centred.T @ centred + 0.2 * torch.eye(text.shape[1])
        self.map = torch.linalg.solve(gram, centred.T @ (means - self.offset[1]))
        random = torch.Generator().manual_seed(2)
        self.spread = 0.05 * torch.randn(self.noise_dim, means.shape[1], generator=random)

    def project(self, text):
        return (text - self.offset[0]) @ self.map + self.offset[1]

    def decode(self, z, rows):
        return rows + z @ self.spread


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """A task with seen test images, a generator, and what it draws."""
    root = tmp_path_factory.mktemp("gbu")
    toy_gbu.make_gbu_toy(root)
    cpu = torch.device("cpu")
    task = protocols.reference_task(gbu.load_gbu(root), "minmax", cpu)
    generator, random = LinearGenerator(task), torch.Generator().manual_seed(1)
    texts = task.seen_text, task.unseen_text
    seen, unseen = (synthesis.synthesise(generator, text, 15, random) for text in texts)
    return task, generator, seen.numpy(), unseen.numpy()


def rated(task, predict_unseen, predict_all):
    """T1, u, s, H: means over classes, class by class, in python."""

    def mean_over_classes(predicted, labels):
        return np.mean([np.mean(predicted[labels == c] == c) for c in np.unique(labels)])

    num_seen = len(task.seen_text)
    x, labels = task.unseen_features.numpy(), task.unseen_labels.numpy()
    t1 = mean_over_classes(predict_unseen(x), labels)
    u = mean_over_classes(predict_all(x), labels + num_seen)
    s = mean_over_classes(predict_all(task.seen_features.numpy()), task.seen_labels.numpy())
    return t1, u, s, 2 * u * s / (u + s)


def measured(setting, **settings):
    task, generator, _, _ = setting
    random = torch.Generator().manual_seed(1)
    found = evaluate(generator, task, random, samples=15, generalised=True, **settings)
    return found.per_class_top1, found.unseen, found.seen, found.harmonic


def test_gbu_numbers_of_the_knn(setting):
    """All classes are synthetic, as in GAZSL's code for the attribute benchmarks."""
    task, _, seen, unseen = setting
    bank = np.concatenate([seen, unseen]).reshape(-1, seen.shape[2])
    labels = np.repeat(np.arange(len(seen) + len(unseen)), 15)
    expected = rated(
        task,
        lambda x: plain_knn(unseen.reshape(-1, x.shape[1]), labels[: 15 * len(unseen)], x, 7),
        lambda x: plain_knn(bank, labels, x, 7),
    )
    assert measured(setting, neighbours=7) == pytest.approx(expected, abs=1e-9)
    assert 0.1 < expected[1] < 0.9 and 0.1 < expected[2] < 0.9  # else it would test little


def test_gbu_numbers_of_the_softmax(setting):
    """Seen classes are real training images, unseen ones synthetic, as in f-CLSWGAN."""
    task, _, seen, unseen = setting
    fake, num_seen = unseen.reshape(-1, unseen.shape[2]), len(seen)
    fake_labels = np.repeat(np.arange(len(unseen)), 15)
    x = np.concatenate([task.train_features.numpy(), fake]).astype(float)
    y = np.concatenate([task.train_labels.numpy(), num_seen + fake_labels])

    def fitted(x, y):
        model = LogisticRegression(C=1 / (1e-3 * len(x)), tol=1e-8, max_iter=10_000)
        return model.fit(x, y).predict

    expected = rated(task, fitted(fake.astype(float), fake_labels), fitted(x, y))
    found = measured(setting, classifier="softmax", weight_decay=1e-3)
    assert found == pytest.approx(expected, abs=0.005)  # an image between two classes may differ
    assert measured(setting, classifier="softmax", weight_decay=1.0) != pytest.approx(
        found, abs=0.02
    )


def test_pivots_stay_what_lets_classes_compete_for_the_birds(setting):
    """The classifier changes zero-shot accuracy only, unless it is asked for more."""
    task, generator, _, _ = setting
    first, second = (
        evaluate(generator, task, torch.Generator().manual_seed(1), samples=15, classifier=name)
        for name in ("knn", "softmax")
    )
    assert first.top1 != second.top1
    for name in ("ausuc", "seen", "unseen", "harmonic", "map50"):
        assert getattr(first, name) == getattr(second, name)
