"""A data set of one's own with both kinds of label: two Gaussians in the plane."""

import torch

from sde.analytic import Mixture
from sde.data.dataset import Dataset, DataSpec, Split
from tests.helpers.oracles_sde import generator

MEANS = torch.tensor([[-0.5, 0.1], [0.5, -0.3]])
LAW = Mixture(MEANS, torch.tensor([0.04, 0.09]), torch.tensor([0.4, 0.6]))
SPEC = DataSpec("two_gaussians", (2,), classes=("left", "right"), vector=2)


def two_gaussians(train: int, heldout: int, seed: int) -> Dataset:
    """Draws with the component as the class, and its mean as the vector."""
    parts = []
    for number, count in enumerate((train, heldout)):
        x, label = LAW.labelled_sample(count, generator(2 * seed + number))
        parts.append(Split(SPEC, x, label, MEANS[label]))
    return Dataset(SPEC, *parts)
