"""The Gaussian classes as a classifier: its grid of settings, and its fit to a task."""

from collections.abc import Callable
from functools import cache
from itertools import product

import torch
from torch import Tensor

from cizsl.closed_form import class_means
from cizsl.closed_form.gaussian import (
    ROWS,
    Discriminants,
    GaussianClasses,
    discriminants,
    within_covariance,
)
from cizsl.protocols import ZSLTask

PENALTIES = (0.03, 0.1, 0.3, 1.0)
SHRINKAGES = (0.1, 0.5)
SPREADS = (0.0, 0.3, 1.0)


class Gaussian:
    """Classify by the density of the Gaussian classes of :mod:`cizsl.closed_form.gaussian`.

    A seen class without training images takes part with the mean that its text predicts.
    """

    grid = tuple(
        {"penalty": penalty, "shrinkage": shrinkage, "spread": spread}
        for penalty, shrinkage, spread in product(PENALTIES, SHRINKAGES, SPREADS)
    )

    def __init__(self, task: ZSLTask):
        self.task = task
        self.learnt = torch.bincount(task.train_labels, minlength=len(task.seen_text)) > 0
        self.within = within_covariance(task.train_features, task.train_labels, task.centroids)
        self._space: Callable[[float], Discriminants] = cache(
            lambda shrinkage: discriminants(self.within, task.centroids[self.learnt], shrinkage)
        )

    def fit(self, penalty: float, shrinkage: float, spread: float) -> GaussianClasses:
        """Return the Gaussians of all classes at one point of the grid."""
        task, learnt = self.task, self.learnt
        centroids = task.centroids[learnt].double()
        texts = torch.cat([task.seen_text[~learnt], task.unseen_text])
        means = class_means.predict(task.seen_text[learnt], texts, centroids, penalty)
        model = GaussianClasses(self._space(shrinkage), centroids, means, spread)
        order = torch.empty(len(learnt), dtype=torch.long, device=learnt.device)
        order[learnt] = torch.arange(int(learnt.sum()), device=learnt.device)
        order[~learnt] = torch.arange(int(learnt.sum()), len(learnt), device=learnt.device)
        unseen = torch.arange(len(learnt), len(model.mean), device=learnt.device)
        return model.reordered(torch.cat([order, unseen]))

    def vectors(self, **point: float) -> Tensor:
        """Return the mean of every class in feature space, seen ones first: (C, D)."""
        model = self.fit(**point)
        return model.space.decode(model.mean @ model.axes.T)

    def scores(self, **point: float) -> Callable[[Tensor], Tensor]:
        """Return the log densities of all classes as a function of features: (N, D) -> (N, C)."""
        model = self.fit(**point)
        return lambda features: torch.cat([model.log_density(x) for x in features.split(ROWS)])
