"""Class accuracy of samples: whether a classifier of real examples finds the class asked for.

The classifier is a logistic regression on the values of training examples. Its accuracy on held-out
examples stands beside that of the samples: a perfect model without guidance would reach it. Each
sample has the label of a held-out example, and all weights of guidance start from the same noise.
Accuracy rises with the weight while the samples lose variety, which distances and recall show.
"""

import warnings
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from repro.distributed import SINGLE_PROCESS, DistributedContext
from repro.errors import InputError
from sde import build, metrics
from sde.conditional.classes import Guidance, draw_conditional
from sde.data.dataset import Split
from sde.trained_model import TrainedModel

FITTED = 5000  # training examples of the classifier, at most
ITERATIONS = 500  # of its solver, at most
PART = 2_000_000  # its stream of noise, far from those of the other measurements


@dataclass(frozen=True)
class ClassAccuracy:
    """Samples of every class at one weight of guidance."""

    guidance: float
    accuracy: float  # share that is classified as the class asked for
    energy_distance: float  # squared, to the held-out examples
    precision: float
    recall: float
    samples: int
    nfe: int  # evaluations of the guided score, of two networks each where the weight is not 1


def class_accuracy(
    trained: TrainedModel, ranks: DistributedContext = SINGLE_PROCESS
) -> tuple[dict, dict[float, Tensor]] | None:
    """Measure samples of every class at the weights of ``evaluation.guidance``.

    Returns, on the leader, what ``results.json`` holds, and the samples (N, *event) of each weight
    on the CPU, in the order of their labels. Raises InputError for held-out examples without
    labels.
    """
    settings, sampling = trained.config.evaluation, trained.config.sampling
    classify, fitted = _classifier(trained)
    real = trained.data.heldout.points(trained.stream(build.EVALUATION, 1))
    labels = _labels(trained.data.heldout)
    right = (classify(real) == labels).double().mean().item()
    asked = _labels(trained.data.heldout.some(settings.samples)).sort().values

    def row(weight: float) -> tuple[ClassAccuracy, Tensor]:
        away = (settings.guidance_interval, settings.guidance_negative)
        guidance = Guidance(weight) if weight == 1 else Guidance(weight, *away)
        how = (sampling.sampler, sampling.steps, asked, guidance)
        drawn = draw_conditional(trained, *how, count=len(asked), part=PART)
        found = (classify(drawn.x) == asked).double().mean().item()
        shares = metrics.precision_recall(real, drawn.x)
        energy = metrics.energy_distance(real, drawn.x).value
        counts = (len(asked), drawn.nfe)
        numbers = (weight, found, energy, shares.precision, shares.recall, *counts)
        return ClassAccuracy(*numbers), drawn.x.cpu()

    rows = ranks.scatter_map(row, list(settings.guidance), "guidance")
    if rows is None:
        return None
    results = {
        "classifier": "logistic regression on values",
        "fitted": fitted,
        "interval": settings.guidance_interval,
        "negative": settings.guidance_negative,
        "heldout": len(labels),
        "heldout_accuracy": right,
        "rows": [asdict(measured) for measured, _ in rows],
    }
    return results, {measured.guidance: x for measured, x in rows}


def _classifier(trained: TrainedModel):
    """A function from examples (N, *event) to classes (N,), and how many it was fitted to."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    split = trained.data.train.some(FITTED)
    x = split.points(trained.stream(build.EVALUATION, 5))
    model = LogisticRegression(max_iter=ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its accuracy is reported
        model.fit(x.flatten(1).cpu().numpy(), _labels(split).cpu().numpy())

    def classify(x: Tensor) -> Tensor:
        found = model.predict(x.flatten(1).cpu().numpy())
        return torch.as_tensor(found, device=x.device)

    return classify, len(split)


def _labels(split: Split) -> Tensor:
    if split.labels is None:
        raise InputError(f"{split.spec.name}: the examples have no labels")
    return split.labels
