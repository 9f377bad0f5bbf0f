"""The bilinear softmax: the minimum of its objective, and logistic regression as a special case."""

import dataclasses

import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy

from cizsl.closed_form.bilinear import Bilinear
from tests.cizsl.closed_form.test_gaussian_classifier import task

DECAY = 1e-3


def double(one):
    """The task in float64, with features of another length than one."""
    parts = {f"{side}_features": getattr(one, f"{side}_features").double() for side in SIDES}
    return dataclasses.replace(one, **parts, seen_text=one.seen_text.double())


SIDES = ("train", "seen", "unseen")


def test_the_gradient_in_the_whole_matrix_is_zero_at_the_minimum():
    """Autograd in W (D x V), which the fit never forms: W = B T is optimal among all W."""
    one = double(task(noise=0.3))
    model = Bilinear(one)
    vectors = model.vectors(DECAY, tolerance=1e-7)  # W t of the classes
    length = one.seen_text.square().sum(1).mean().sqrt()
    texts, x = one.seen_text / length, one.train_features / model.unit
    W = (torch.linalg.pinv(texts) @ vectors[:10] * model.unit).T  # the W of the span of the texts
    W.requires_grad_()
    loss = cross_entropy(x @ W @ texts.T, one.train_labels) + DECAY / 2 * W.square().sum()
    (slope,) = torch.autograd.grad(loss, W)
    assert slope.abs().max() < 1e-6 < 1e-3 < W.abs().max()
    others = one.unseen_text.double() / length
    torch.testing.assert_close(others @ W.T / model.unit, vectors[10:])


def test_with_orthogonal_texts_it_is_logistic_regression():
    """T = I: the columns of W are the weights of the classes."""
    one = double(task())
    eye = torch.eye(10, dtype=torch.float64)
    one = dataclasses.replace(one, seen_text=eye, unseen_text=eye[:4])
    model = Bilinear(one)
    ours = model.vectors(DECAY, tolerance=1e-7)[:10] * model.unit
    x, labels = one.train_features / model.unit, one.train_labels
    options = {"C": 1 / (DECAY * len(x)), "fit_intercept": False, "tol": 1e-10, "max_iter": 5000}
    theirs = LogisticRegression(**options).fit(x.numpy(), labels.numpy()).coef_
    torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=1e-4, atol=1e-4)
