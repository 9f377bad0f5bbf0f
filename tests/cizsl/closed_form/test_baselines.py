"""The closed forms against scikit-learn, the primal solution, and the gradient at the optimum."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as SklearnRidge

from cizsl.classifiers import SIMILARITIES, class_centroids
from cizsl.closed_form import baselines
from cizsl.closed_form.baselines import ESZSL, Penalised, Ridge
from cizsl.closed_form.registry import BASELINES
from cizsl.protocols import ZSLTask
from cizsl.training.fit_baselines import measure
from tests.helpers.rounding import assert_same_up_to_rounding

SEEN, UNSEEN, TERMS, FEATURES = 7, 4, 12, 9


@pytest.fixture
def task():
    """A small task in float64: none of its means is 0, none of its deviations 1."""
    random = torch.Generator().manual_seed(0)
    make = {"generator": random, "dtype": torch.float64}
    text = 0.3 + 2 * torch.rand(SEEN + UNSEEN, TERMS, **make)
    labels = torch.cat([torch.arange(SEEN), torch.randint(SEEN, (33,), generator=random)])
    features = 1.5 + 3 * torch.randn(40, FEATURES, **make)
    unseen = torch.arange(UNSEEN).repeat_interleave(5)
    return ZSLTask(
        train_features=features,
        train_labels=labels,
        seen_features=features,
        seen_labels=labels,
        unseen_features=1.5 + 3 * torch.randn(20, FEATURES, **make),
        unseen_labels=unseen,
        seen_text=text[:SEEN],
        unseen_text=text[SEEN:],
        centroids=class_centroids(features, labels, SEEN),
    )


def targets(task):
    return torch.nn.functional.one_hot(task.train_labels, SEEN).double()


def absolute(model, name, penalty):
    """A penalty in units of the mean eigenvalue, as a plain number."""
    return penalty * float(getattr(model, name).unit)


def test_unit_is_the_mean_eigenvalue():
    matrix = torch.tensor([[2.0, 1.0], [1.0, 4.0]], dtype=torch.float64)
    solver = Penalised(matrix)
    assert float(solver.unit) == pytest.approx(3.0)  # half the trace
    right = torch.tensor([[1.0], [5.0]], dtype=torch.float64)
    direct = torch.linalg.solve(matrix + 0.5 * 3.0 * torch.eye(2), right)
    torch.testing.assert_close(solver.solve(0.5, right), direct)


def test_a_matrix_of_zeros_leaves_the_penalty_alone():
    """As centred identical texts have it: no division of zero by zero."""
    right = torch.tensor([[1.0], [5.0]], dtype=torch.float64)
    solver = Penalised(torch.zeros(2, 2, dtype=torch.float64))
    torch.testing.assert_close(solver.solve(0.5, right), 2 * right)


@pytest.mark.parametrize("penalty", [1e-3, 0.7, 50.0])
def test_ridge_is_that_of_sklearn(task, penalty):
    """Predictions for seen and unseen classes, and the coefficients that they imply."""
    model = Ridge(task)
    theirs = SklearnRidge(alpha=absolute(model, "kernel", penalty), solver="cholesky")
    theirs.fit(task.seen_text.numpy(), task.centroids.numpy())
    text = torch.cat([task.seen_text, task.unseen_text])
    ours = model.vectors(penalty)
    np.testing.assert_allclose(ours, theirs.predict(text.numpy()), rtol=1e-9, atol=1e-9)
    centred = task.seen_text - task.seen_text.mean(0)
    coefficients = centred.T @ model.kernel.solve(penalty, model.centroids)
    np.testing.assert_allclose(coefficients.T, theirs.coef_, rtol=1e-8, atol=1e-10)


def test_ridge_learns_nothing_from_a_class_without_images(task):
    """As if it were unseen: its own row of predictions moves there, the others are the same."""
    has = task.train_labels < SEEN - 1
    images = task.train_features[has], task.train_labels[has]
    sparse = replace(
        task, train_features=images[0], train_labels=images[1],
        centroids=class_centroids(*images, SEEN),
    )  # fmt: skip
    fewer = replace(
        sparse, seen_text=task.seen_text[: SEEN - 1],
        unseen_text=torch.cat([task.seen_text[SEEN - 1 :], task.unseen_text]),
        centroids=class_centroids(*images, SEEN - 1),
    )  # fmt: skip
    torch.testing.assert_close(Ridge(sparse).vectors(0.1), Ridge(fewer).vectors(0.1))


def test_ridge_dual_is_primal(task):
    """(T'T + l I)^-1 T'M, which forms the V x V matrix."""
    model, penalty = Ridge(task), 0.4
    text = task.seen_text - task.seen_text.mean(0)
    scaled = absolute(model, "kernel", penalty) * torch.eye(TERMS)
    primal = torch.linalg.solve(text.T @ text + scaled, text.T @ model.centroids)
    unseen = task.unseen_text - task.seen_text.mean(0)
    torch.testing.assert_close(model.vectors(penalty)[SEEN:], model.mean + unseen @ primal)


def eszsl_penalties(model, feature, text):
    return absolute(model, "covariance", feature), absolute(model, "kernel", text)


@pytest.mark.parametrize(("feature", "text"), [(1e-3, 10.0), (0.3, 0.2), (20.0, 1e-3)])
def test_eszsl_dual_is_primal(task, feature, text):
    """Equation 4 with both inverses written out, V x V the second of them."""
    model = ESZSL(task)
    g, s = eszsl_penalties(model, feature, text)
    x, t, y = task.train_features, task.seen_text, targets(task)
    left = torch.linalg.inv(x.T @ x + g * torch.eye(FEATURES))
    right = torch.linalg.inv(t.T @ t + s * torch.eye(TERMS))
    v = left @ x.T @ y @ t @ right
    everything = torch.cat([task.seen_text, task.unseen_text])
    torch.testing.assert_close(model.vectors(feature, text), everything @ v.T)


def test_eszsl_is_the_minimum_of_its_objective(task):
    """The gradient is zero at V and at no V nearby, by automatic differentiation in float64."""
    feature, text = 0.05, 0.3
    model = ESZSL(task)
    g, s = eszsl_penalties(model, feature, text)
    x, t, y = task.train_features, task.seen_text, targets(task)

    def objective(v):
        fit = (x @ v @ t.T - y).square().sum()
        penalties = g * (v @ t.T).square().sum() + s * (x @ v).square().sum()
        return fit + penalties + g * s * v.square().sum()

    # V itself: its rows lie in the span of the seen texts, so it is read off the seen classes
    unit = torch.linalg.lstsq(t, model.vectors(feature, text)[:SEEN]).solution.T
    v, zero = unit.requires_grad_(), torch.zeros_like(unit).requires_grad_()
    (gradient,) = torch.autograd.grad(objective(v), v)
    (at_zero,) = torch.autograd.grad(objective(zero), zero)
    assert gradient.abs().max() < 1e-9 * at_zero.abs().max()
    with torch.no_grad():
        for scale in (0.99, 1.01):
            assert objective(scale * v) > objective(v)


def test_blocks_of_images_are_all_images(task, monkeypatch):
    whole = ESZSL(task).vectors(0.1, 0.1)
    monkeypatch.setattr(baselines, "ROWS", 7)
    torch.testing.assert_close(ESZSL(task).vectors(0.1, 0.1), whole)


def test_no_vocabulary_by_vocabulary_matrix(task):
    """A vocabulary whose square would take 80 GB."""
    wide = torch.zeros(SEEN + UNSEEN, 100_000, dtype=torch.float64)
    wide[:, :TERMS] = torch.cat([task.seen_text, task.unseen_text])
    other = {**vars(task), "seen_text": wide[:SEEN], "unseen_text": wide[SEEN:]}
    for kind, penalties in ((Ridge, (0.1,)), (ESZSL, (0.1, 0.1))):
        same = kind(task).vectors(*penalties)
        torch.testing.assert_close(kind(ZSLTask(**other)).vectors(*penalties), same)


def test_similarities_by_hand():
    x = torch.tensor([[3.0, 4.0]])
    pivots = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    for name, expected in {
        "cosine": [1.0, 0.8],
        "euclidean": [0.0, -(9.0 + 4.0)],
        "product": [25.0, 8.0],
    }.items():
        assert_same_up_to_rounding(SIMILARITIES[name](x, pivots), torch.tensor([expected]), 4)


@pytest.mark.parametrize("name", BASELINES)
def test_a_linear_world_is_solved(name):
    """Features that are a linear map of the text, with little noise: every unseen class is known,
    and every point of the grid has a vector for every class."""
    random = torch.Generator().manual_seed(1)
    text = torch.nn.functional.normalize(torch.randn(30, 20, generator=random), dim=1)
    centroids = text @ torch.randn(20, 16, generator=random) + 0.5
    labels = torch.arange(30).repeat_interleave(20)
    features = centroids[labels] + 0.05 * torch.randn(600, 16, generator=random)
    seen = labels < 25
    task = ZSLTask(
        train_features=features[seen],
        train_labels=labels[seen],
        seen_features=features[seen],
        seen_labels=labels[seen],
        unseen_features=features[~seen],
        unseen_labels=labels[~seen] - 25,
        seen_text=text[:25],
        unseen_text=text[25:],
        centroids=class_centroids(features[seen], labels[seen], 25),
    )
    model = BASELINES[name](task)
    tried = model.search(lambda point: measure(model, point, task).top1)
    assert all(model.fit(**point).vectors.shape == (30, 16) for point, _ in tried[:3])
    assert max(score for _, score in tried) > 0.95
