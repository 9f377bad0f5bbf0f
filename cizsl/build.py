"""Objects from a configuration, which networks, losses, samplers and tasks never see: they take
plain keywords. Besides this module only :mod:`cizsl.training` reads settings.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch

from cizsl import creativity
from cizsl.batches import BatchSampler, WalkSizes
from cizsl.closed_form.gaussian_generator import GaussianGenerator
from cizsl.config import Baseline, BaselineEvaluation, CIZSLConfig
from cizsl.divergences import EXACT, DivergenceParameters
from cizsl.gan import GAN
from cizsl.hallucination import require_two
from cizsl.heads import HEADS, Head
from cizsl.losses import Weights
from cizsl.networks import Discriminator, Generator
from cizsl.protocols import ZSLTask
from cizsl.tasks import data as data
from cizsl.tasks import normaliser as normaliser
from cizsl.tasks import task as task
from cizsl.walks.random_walk import PUBLISHED_FLOOR, RandomWalk
from cizsl.walks.terms import WalkTerms
from repro.seeding import generator, seed_everything

if TYPE_CHECKING:
    from cizsl.score.generator import ScoreGenerator
    from cizsl.score.training import ScoreSteps

Network = TypeVar("Network", Generator, Discriminator)

# one stream of random numbers for each purpose
TRAINING, EVALUATION = 0, 1


def baseline(config: CIZSLConfig, name: str) -> Baseline:
    """Return the configuration of baseline ``name`` on the data and validation classes of
    ``config``."""
    shared = {key: getattr(config.evaluation, key) for key in BaselineEvaluation.model_fields}
    evaluation = BaselineEvaluation(**{**shared, "protocol": "strict"})
    return Baseline.model_validate(
        {"baseline": name, "data": config.data, "evaluation": evaluation}
    )


def feature_generator(
    config: CIZSLConfig, task: ZSLTask
) -> Generator | GaussianGenerator | ScoreGenerator:
    """Return the configured generator, on the task's device: a GAN's untrained, a Gaussian fitted,
    and the score-based one fitted and not yet trained."""
    if config.generator == "gaussian":
        return GaussianGenerator(task, **config.gaussian.model_dump())
    if config.generator == "score":
        return score_generator(config, task)
    return blank_generator(config, task)


def blank_generator(config: CIZSLConfig, task: ZSLTask) -> Generator:
    """Return a GAN's generator of the configured widths, on the task's device."""
    text, features, model = task.seen_text, task.train_features, config.model
    widths = (model.noise_dim, model.text_embed_dim, model.hidden_dim, model.output)
    made = Generator(text.shape[1], features.shape[1], *widths)
    return _aligned(made, config, text.device)


def _aligned(module: Network, config: CIZSLConfig, device: torch.device) -> Network:
    """Move a network to the device, widened as ``compute.align`` says."""
    if (multiple := config.compute.alignment(device.type)) > 1:
        module.align(multiple)
    return module.to(device)


def score_generator(config: CIZSLConfig, task: ZSLTask) -> ScoreGenerator:
    """Return the score-based generator before its training: that of the Gaussians."""
    from cizsl.score.generator import ScoreGenerator  # imports sde

    settings = config.score
    divergence = partial(EXACT[settings.divergence], alpha=settings.alpha, beta=settings.beta)
    return ScoreGenerator(
        GaussianGenerator(task, **config.gaussian.model_dump()),
        task.train_features,
        task.train_labels,
        hidden_dim=settings.hidden_dim,
        depth=settings.depth,
        evaluations=settings.evaluations,
        guidance=settings.guidance,
        away=settings.away,
        neighbours=settings.neighbours,
        entropy=settings.entropy,
        divergence=divergence,
    )


def score_steps(config: CIZSLConfig, task: ZSLTask) -> ScoreSteps:
    """Return the steps that train the score-based generator, with seeded weights."""
    from cizsl.score.training import ScoreSteps  # imports sde

    seed_everything(config.seed)
    return ScoreSteps(
        score_generator(config, task),
        batch_size=config.optimiser.batch_size,
        learning_rate=config.optimiser.learning_rate,
        virtual=config.score.classes == "virtual",
        null_share=config.score.null_share,
        rng=generator(config.seed, task.seen_text.device, TRAINING),
    )


def weights(config: CIZSLConfig) -> Weights:
    """Return the weights of the loss terms."""
    loss = config.loss
    return Weights(
        gradient_penalty=loss.gradient_penalty,
        classification=loss.classification,
        pivot=loss.pivot,
        l2=loss.l2,
        l21=loss.l21,
        hallucinated_adversarial=config.creativity.adversarial,
        creativity=config.creativity.weight,
        critic_imitative=config.walk.critic_imitative,
        critic_real=config.walk.critic_real,
        generator_imitative=config.walk.generator_imitative,
    )


def head(config: CIZSLConfig, task: ZSLTask, extra: int) -> Head:
    """Return the map from the discriminator's outputs to class logits.

    Args: ``extra``, the logits beside those of the seen classes that the creativity loss needs.
    """
    classes, vocabulary = task.seen_text.shape
    width = config.model.text_embed_dim or vocabulary
    return HEADS[config.head.kind](classes, extra, width, config.head.scale or None)


def walk_terms(config: CIZSLConfig) -> WalkTerms:
    """Return the terms of random walks."""
    walk = config.walk
    losses = RandomWalk(
        walk.steps,
        walk.decay,
        walk.scale,
        walk.visit,
        walk.similarity,
        PUBLISHED_FLOOR if walk.reference_compat else None,
    )
    return WalkTerms(losses, walk.space, walk.constant_prototypes)


def gan(config: CIZSLConfig, task: ZSLTask) -> GAN:
    """Return networks with seeded weights, and their optimisers."""
    seed_everything(config.seed)
    features, text, asked = task.train_features, task.seen_text, config.creativity
    loss = creativity.resolve(asked.divergence, asked.form)
    classify = head(config, task, loss.extra_logits if loss else 0)
    discriminator = Discriminator(features.shape[1], classify.width, config.model.hidden_dim)
    return GAN(
        blank_generator(config, task),
        _aligned(discriminator, config, text.device),
        DivergenceParameters(asked.alpha, asked.beta).to(text.device),
        features=features,
        labels=task.train_labels,
        text=text,
        centroids=task.centroids,
        creativity=loss,
        weights=weights(config),
        head=classify,
        detach_texts=config.head.constant_texts,
        walks=walk_terms(config) if loss and loss.walks else None,
        max_grad_norm=config.optimiser.max_grad_norm,
        learning_rate=config.optimiser.learning_rate,
        betas=config.optimiser.betas,
        divergence_betas=config.optimiser.divergence_betas,
        reference_compat=config.loss.reference_compat,
        compile=config.compute.compile,
    )


def sampler(config: CIZSLConfig, task: ZSLTask) -> BatchSampler:
    """Return the sampler of the training batches.

    Raises :class:`InputError` where there are fewer images than a batch has, or fewer than two
    classes with a text to hallucinate from.
    """
    device, asked = task.seen_text.device, config.creativity
    classes = torch.nonzero(task.seen_text.any(1)).ravel()
    if asked.divergence != "none" and not asked.reference_compat:
        require_two(classes)
    return BatchSampler(
        task.train_labels,
        classes,
        config.optimiser.batch_size,
        config.model.noise_dim,
        asked.mixing,
        generator(config.seed, device, TRAINING),
        shuffled_pairs=asked.reference_compat,
        reference_compat=config.optimiser.reference_compat,
        walks=_walk_sizes(config, task),
    )


def _walk_sizes(config: CIZSLConfig, task: ZSLTask) -> WalkSizes | None:
    loss = creativity.resolve(config.creativity.divergence, config.creativity.form)
    if loss is None or not loss.walks:
        return None
    return WalkSizes(len(task.seen_text), config.walk.samples, config.walk.reference_compat)


def evaluation_rng(config: CIZSLConfig, iteration: int, device: torch.device) -> torch.Generator:
    """Return the random numbers of one evaluation, which no training step draws from.

    Those of a score-based generator are the same at every iteration, so that durations of training
    are compared on the same noise.
    """
    iteration = 0 if config.generator == "score" else iteration
    return generator(config.seed, device, EVALUATION, iteration)
