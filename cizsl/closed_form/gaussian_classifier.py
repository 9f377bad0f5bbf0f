"""The Gaussian classes as a classifier: its grid of settings, and its fit to a task."""

from collections.abc import Callable
from functools import cache
from itertools import product

import torch
from torch import Tensor

from cizsl.closed_form import class_means
from cizsl.closed_form.baselines import Fitted
from cizsl.closed_form.gaussian import GaussianClasses
from cizsl.data.discriminants import ROWS, Discriminants, discriminants, within_covariance
from cizsl.protocols import ZSLTask

PENALTIES = (0.03, 0.1, 0.3, 1.0)
SHRINKAGES = (0.1, 0.5)
SPREADS = (0.0, 0.3, 1.0)
WEIGHTS = (0.0, 0.25, 0.5, 1.0)  # of every text but the first, which has 1


class Gaussian:
    """Classifier by the density of the Gaussian classes of :mod:`cizsl.closed_form.gaussian`.

    A seen class without training images takes part with the mean that its text predicts.
    """

    def __init__(self, task: ZSLTask):
        self.task = task
        self.widths = task.text_blocks or (task.seen_text.shape[1],)
        self.learnt = torch.bincount(task.train_labels, minlength=len(task.seen_text)) > 0
        self.within = within_covariance(task.train_features, task.train_labels, task.centroids)
        self._space: Callable[[float], Discriminants] = cache(
            lambda shrinkage: discriminants(self.within, task.centroids[self.learnt], shrinkage)
        )

    @property
    def grid(self) -> list[dict]:
        """The settings to choose from; the weights of the texts where there are several."""
        others = product(WEIGHTS, repeat=len(self.widths) - 1)
        texts = [{"text_weights": [1.0, *weights]} if weights else {} for weights in others]
        return [
            {"penalty": penalty, "shrinkage": shrinkage, "spread": spread, **text}
            for penalty, shrinkage, spread, text in product(PENALTIES, SHRINKAGES, SPREADS, texts)
        ]

    def fit(self, **point) -> Fitted:
        """Return the classifier at one point of the grid."""
        model = self.classes(**point)
        vectors = model.space.decode(model.mean @ model.axes.T)

        def score(features: Tensor) -> Tensor:
            return torch.cat([model.log_density(x) for x in features.split(ROWS)])

        return Fitted(vectors, "cosine", score)

    def classes(
        self, penalty: float, shrinkage: float, spread: float, text_weights=(1.0,)
    ) -> GaussianClasses:
        """Return the Gaussians of all classes, seen ones first."""
        task, learnt = self.task, self.learnt
        texts = task.seen_text, task.unseen_text
        seen, unseen = class_means.side_by_side(*texts, self.widths, text_weights)
        centroids = task.centroids[learnt].double()
        others = torch.cat([seen[~learnt], unseen])
        means = class_means.predict(seen[learnt], others, centroids, penalty)
        model = GaussianClasses(self._space(shrinkage), centroids, means, spread)
        return model.reordered(self._order(len(unseen)))

    def _order(self, num_unseen: int) -> Tensor:
        """Return the places of all classes among the learnt ones, then the others."""
        first, rest = torch.where(self.learnt)[0], torch.where(~self.learnt)[0]
        unseen = len(self.learnt) + torch.arange(num_unseen, device=first.device)
        return torch.argsort(torch.cat([first, rest, unseen]))
