"""What a generator says of images: a classifier for the unseen classes, and one for all classes.

Synthetic features of the unseen classes train a k-NN or a softmax for zero-shot recognition. All
classes compete by the cosine with their prototypes, which are mean synthetic features. In the
attribute benchmarks all classes compete by the same kind of classifier instead: for the seen
classes a k-NN learns from synthetic features, as in GAZSL's code, and a softmax from the real
training images, as in f-CLSWGAN. A generator with densities can classify without samples.

Source: GAZSL (arXiv:1712.01381), section 4; f-CLSWGAN (arXiv:1712.00981), section 3.3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from cizsl import classifiers, softmax, synthesis
from cizsl.protocols import ZSLTask
from cizsl.synthesis import DensityGenerator, FeatureGenerator
from repro.device import precision


@dataclass(frozen=True, eq=False)
class Answers:
    """Two classifiers of features and the prototypes of all classes, seen ones first.

    vectors: prototypes (C, D). classify: maps features (N, D) to scores of the unseen classes
    (N, U). score: maps them to scores of all classes (N, C).
    """

    vectors: Tensor
    classify: Callable[[Tensor], Tensor]
    score: Callable[[Tensor], Tensor]


@torch.no_grad()
def from_samples(
    generator: FeatureGenerator,
    task: ZSLTask,
    rng: torch.Generator,
    *,
    samples: int = 60,
    neighbours: int = 20,
    classifier: str = "knn",
    weight_decay: float = 1e-4,
    generalised: bool = False,
) -> Answers:
    """Return the classifiers that learn from synthetic features.

    Args:
        generator: makes the synthetic features.
        task: texts, and the images from which a softmax learns the seen classes.
        rng: random numbers of the noise.
        samples: synthetic features for each class.
        neighbours: k of the k-NN.
        classifier: "knn" or "softmax".
        weight_decay: of the softmax.
        generalised: whether all classes compete by the classifier, and not by prototypes.
    """
    learn = _learner(classifier, neighbours, weight_decay)
    if keeps_seen := generalised and classifier == "knn":
        seen = synthesis.synthesise(generator, task.seen_text, samples, rng)
    else:  # the seen classes only need their prototypes, so their samples are not kept
        seen = synthesis.prototypes(generator, task.seen_text, samples, rng)
    unseen = synthesis.synthesise(generator, task.unseen_text, samples, rng)
    prototypes = torch.cat([seen.mean(1) if keeps_seen else seen, unseen.mean(1)])
    training_set, labels = _labelled(unseen)
    with precision("float32", unseen.device):  # exact, whatever training uses
        classify = learn(training_set, labels, len(unseen))
        score = partial(classifiers.cosine, prototypes_CD=prototypes)
        if generalised:
            real = task.train_features, task.train_labels
            seen_set, seen_labels = _labelled(seen) if keeps_seen else real
            labels = torch.cat([seen_labels, labels + len(task.seen_text)])
            score = learn(torch.cat([seen_set, training_set]), labels, len(prototypes))
    return Answers(prototypes, classify, score)


@torch.no_grad()
def from_densities(
    generator: DensityGenerator,
    task: ZSLTask,
    rng: torch.Generator,
    *,
    generalised: bool = False,
) -> Answers:
    """Return the classifiers by the densities of the classes, without samples.

    Args: as for :func:`from_samples`; ``generalised``: whether all classes compete by their
    densities, and not by prototypes.
    """
    num_seen, text = len(task.seen_text), torch.cat([task.seen_text, task.unseen_text])
    density = _remembering(generator.log_density(text, num_seen, rng))
    with precision("float32", text.device):
        prototypes = generator.prototypes(text)
    score = density if generalised else partial(classifiers.cosine, prototypes_CD=prototypes)
    return Answers(prototypes, lambda x: density(x)[:, num_seen:], score)


def _remembering(score: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return ``score`` with its last two answers kept: an evaluation asks twice about the images of
    unseen classes, and once in between about those of seen ones."""
    kept: list[tuple[Tensor, Tensor]] = []

    def ask(x: Tensor) -> Tensor:
        for asked, answer in kept:
            if asked.data_ptr() == x.data_ptr() and asked.shape == x.shape:
                return answer
        kept.append((x, score(x)))
        del kept[:-2]
        return kept[-1][1]

    return ask


def _learner(classifier: str, neighbours: int, weight_decay: float) -> Callable:
    """Return what learns from features (M, D), labels (M,) and the number of classes."""
    if classifier == "knn":
        return partial(_voting, neighbours=neighbours)
    return partial(_softmax, weight_decay=weight_decay)


def _labelled(synthetic: Tensor) -> tuple[Tensor, Tensor]:
    """(C, samples, D) as rows (M, D) with their classes (M,)."""
    classes = torch.arange(len(synthetic), device=synthetic.device)
    return synthetic.flatten(0, 1), classes.repeat_interleave(synthetic.shape[1])


def _voting(features, labels, num_classes: int, neighbours: int) -> Callable[[Tensor], Tensor]:
    return lambda x: classifiers.votes(features, labels, x, num_classes, neighbours)


def _softmax(features, labels, num_classes: int, weight_decay: float) -> Callable[[Tensor], Tensor]:
    return softmax.fit(features, labels, num_classes, weight_decay=weight_decay).log_probabilities
