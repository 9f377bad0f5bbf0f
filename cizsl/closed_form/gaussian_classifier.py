"""The Gaussian classes as a classifier: the candidates of its settings, and its fit to a task.

Least squares predict means that are too close to the mean of all classes, since a text says only
part of what its class looks like. ``scale`` moves each predicted mean away from the mean g of the
centroids, g + scale (m - g). With ``shrunk``, the covariance within classes is the shrunk one, and
not only in the choice of the coordinates.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from cizsl.closed_form import class_means
from cizsl.closed_form.baselines import Fitted
from cizsl.closed_form.gaussian import GaussianClasses
from cizsl.closed_form.search import Tried, one_at_a_time
from cizsl.data.discriminants import ROWS, Discriminants, discriminants, within_covariance
from cizsl.protocols import ZSLTask

PENALTIES = (0.03, 0.1, 0.3, 1.0)
SHRINKAGES = (0.1, 0.5)
SPREADS = (0.0, 0.3, 1.0)
SCALES = (1.0, 1.3, 1.6)
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)  # of every text but the first, which has 1
CANDIDATES: dict[str, tuple] = {
    "penalty": PENALTIES,
    "shrinkage": SHRINKAGES,
    "spread": SPREADS,
    "scale": SCALES,
    "shrunk": (True, False),
}
START = {"penalty": 0.1, "shrinkage": 0.5, "spread": 0.3, "scale": 1.0, "shrunk": True}


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

    def search(self, score: Callable[[dict], float]) -> Tried:
        """Return the settings tried, one changed at a time, and their scores."""
        moves = [_change(name, values) for name, values in CANDIDATES.items()]
        moves += [_reweigh(place) for place in range(1, len(self.widths))]
        return one_at_a_time(self.start, moves, score)

    @property
    def start(self) -> dict[str, Any]:
        """The settings from which the search starts: all texts have the same weight."""
        count = len(self.widths)
        return START | ({"text_weights": [1.0] * count} if count > 1 else {})

    def accepts(self, point: dict) -> bool:
        """Return whether a point is one that the search may find."""
        settings, weights = {**point}, point.get("text_weights", [1.0])
        settings.pop("text_weights", None)
        return (
            settings.keys() == CANDIDATES.keys()
            and all(settings[name] in values for name, values in CANDIDATES.items())
            and len(weights) == len(self.widths)
            and all(weight in WEIGHTS for weight in weights)
        )

    def fit(self, **point) -> Fitted:
        """Return the classifier at one point of the grid."""
        model = self.classes(**point)
        vectors = model.space.decode(model.mean @ model.axes.T)

        def score(features: Tensor) -> Tensor:
            return torch.cat([model.log_density(x) for x in features.split(ROWS)])

        return Fitted(vectors, "cosine", score)

    def classes(
        self,
        penalty: float,
        shrinkage: float,
        spread: float,
        scale: float = 1.0,
        shrunk: bool = False,
        text_weights: Sequence[float] = (1.0,),
    ) -> GaussianClasses:
        """Return the Gaussians of all classes, seen ones first."""
        task, learnt = self.task, self.learnt
        texts = task.seen_text, task.unseen_text
        seen, unseen = class_means.side_by_side(*texts, self.widths, text_weights)
        centroids = task.centroids[learnt].double()
        others = torch.cat([seen[~learnt], unseen])
        means = class_means.predict(seen[learnt], others, centroids, penalty)
        means = means.scaled(scale, centroids.mean(0))
        space = self._space(shrinkage)
        if shrunk:  # in these coordinates it is the identity
            space = replace(space, within=torch.eye(len(space.within)).to(space.within))
        model = GaussianClasses(space, centroids, means, spread)
        return model.reordered(self._order(len(unseen)))

    def _order(self, num_unseen: int) -> Tensor:
        """Return the places of all classes among the learnt ones, then the others."""
        first, rest = torch.where(self.learnt)[0], torch.where(~self.learnt)[0]
        unseen = len(self.learnt) + torch.arange(num_unseen, device=first.device)
        return torch.argsort(torch.cat([first, rest, unseen]))


def _change(name: str, values: tuple) -> Callable[[dict], list[dict]]:
    return lambda point: [{**point, name: value} for value in values]


def _reweigh(place: int) -> Callable[[dict], list[dict]]:
    """Return the change of the weight of the text at one place."""

    def points(point: dict) -> list[dict]:
        before, after = point["text_weights"][:place], point["text_weights"][place + 1 :]
        return [{**point, "text_weights": [*before, weight, *after]} for weight in WEIGHTS]

    return points
