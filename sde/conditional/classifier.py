"""Classifier of noisy examples, P(label | x_t, t), for classifier guidance.

    loss = E -log P(label | x_t, t),   x_t = scale x_0 + std z

t is drawn such that log(std / scale) is uniform, so that every decade of noise counts equally. The
network is given x_t scaled to unit variance, and log(std / scale). It is trained on the labels of
the data of a finished run and saved in the run as ``classifier.pt``. Source: Song et al. 2021
(arXiv:2011.13456), section 5 and appendix I.1.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from repro.errors import InputError
from repro.files import checkpoint
from repro.seeding import seed_everything
from sde import build
from sde.broadcast import per_sample
from sde.conditional import guidance
from sde.data.labels import class_number
from sde.losses import importance_times
from sde.networks import MLP
from sde.processes import SDE
from sde.reverse import ScoreFn
from sde.score import CONDITIONINGS, SIGMA_DATA
from sde.trained_model import TrainedModel

FILE = "classifier.pt"
EPS = 1e-3  # the smallest time trained on
LEARNING_RATE, BATCH, HIDDEN, DEPTH = 1e-3, 256, 256, 3
TESTED_AT = (0.01, 0.2, 0.4, 0.6)  # times


class NoisyClassifier(nn.Module):
    """(x (B, *event), t (B,)) -> logits (B, C). Final."""

    def __init__(self, sde: SDE, shape: tuple[int, ...], num_classes: int):
        super().__init__()
        self.sde = sde
        self.network = MLP(shape, hidden_dim=HIDDEN, depth=DEPTH, outputs=num_classes)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        scale, std = self.sde.scale(t), self.sde.std(t)
        unit = per_sample(1 / ((scale * SIGMA_DATA) ** 2 + std**2).sqrt(), x)
        return self.network(x * unit, CONDITIONINGS["log_noise"](self.sde, t).to(x.dtype))


def train(trained: TrainedModel, iterations: int = 3000) -> tuple[Path, dict[float, float]]:
    """Train on the labels of the model's data, and write ``classifier.pt``.

    Returns its path, and the accuracy on held-out examples at a few times. Raises InputError for
    data without labels.
    """
    split, classes = trained.data.train, trained.data.spec.classes
    if split.labels is None:
        raise InputError(f"{trained.data.spec.name}: the examples have no labels")
    if iterations < 1:
        raise InputError(f"iterations must be at least 1; got {iterations}")
    seed_everything(trained.config.seed)
    classifier = NoisyClassifier(trained.sde, trained.shape, len(classes)).to(trained.device)
    optimiser = torch.optim.Adam(classifier.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, iterations)
    rng = trained.stream(build.TRAINING, 1)
    for _ in tqdm(range(iterations), desc="classifier"):
        x0, label = split.draw_labelled(BATCH, rng)
        u = torch.rand(len(x0), generator=rng, device=trained.device)
        x = _noisy(trained.sde, x0, importance_times(trained.sde, u, EPS), rng)
        loss = nn.functional.cross_entropy(classifier(*x), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    path = trained.folder / FILE
    state = {"weights": classifier.state_dict(), "classes": list(classes), "step": trained.step}
    checkpoint.write(path, state)
    return path, {time: _accuracy(trained, classifier, time) for time in TESTED_AT}


def load(trained: TrainedModel) -> tuple[NoisyClassifier, list[str]]:
    """Return the classifier of a run, and the names of its classes.

    Raises InputError where there is none, or where it belongs to other data.
    """
    path = trained.folder / FILE
    if not path.exists():
        raise InputError(f"{path}: no such file; train one with: sde classifier {trained.folder}")
    state = checkpoint.load(path, trained.device)
    try:
        classes = state["classes"]
        classifier = NoisyClassifier(trained.sde, trained.shape, len(classes)).to(trained.device)
        classifier.load_state_dict(state["weights"])
    except (KeyError, TypeError, RuntimeError):
        raise InputError(f"{path}: not a classifier of this run's data; train it anew") from None
    return classifier.eval().requires_grad_(False), classes


def of_class(trained: TrainedModel, name: str, strength: float) -> ScoreFn:
    """Return the score given a class, by its name or number. Raises InputError for others."""
    classifier, classes = load(trained)
    how: dict[str, Any] = dict(label=class_number(name, classes), strength=strength)
    return guidance.class_conditional(trained.score_fn, classifier, **how)


def _noisy(sde: SDE, x0: Tensor, t: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    mean, std = sde.marginal(x0, t)
    z = torch.randn(x0.shape, generator=rng, device=x0.device)
    return mean + per_sample(std, x0) * z, t


@torch.no_grad()
def _accuracy(trained: TrainedModel, classifier: NoisyClassifier, time: float) -> float:
    rng = trained.stream(build.EVALUATION, 4)
    x0, label = trained.data.heldout.draw_labelled(2000, rng)
    x = _noisy(trained.sde, x0, x0.new_full((len(x0),), time), rng)
    return (classifier(*x).argmax(1) == label).double().mean().item()
