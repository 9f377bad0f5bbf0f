"""From configuration to objects: the only file that knows both."""

import torch

from cizsl import creativity, protocols
from cizsl.batches import BatchSampler
from cizsl.config import Baseline, Choice, CIZSLConfig
from cizsl.data.dataset import ZSLData
from cizsl.data.layouts import load
from cizsl.divergences import DivergenceParameters
from cizsl.gan import GAN
from cizsl.hallucination import require_two
from cizsl.losses import Weights
from cizsl.networks import Discriminator, Generator
from cizsl.protocols import ZSLTask
from repro.seeding import generator, seed_everything

# one stream of random numbers for each purpose
TRAINING, EVALUATION = 0, 1


def data(config: CIZSLConfig | Baseline) -> ZSLData:
    """The dataset of ``config``, raw."""
    where = config.data
    return load(where.root, where.dataset, where.split, where.layout)


def problem(
    config: CIZSLConfig | Baseline, data: ZSLData, phase: str, device: torch.device
) -> ZSLTask:
    """The problem of a phase: ``test``, or ``selection`` (strict protocol, validation classes)."""
    settings, normalisation = config.evaluation, config.data.normalisation
    if settings.protocol == "reference":
        return protocols.reference_problem(data, normalisation, device)
    carve = (data, normalisation, device, settings.heldout_share, settings.validation_seed)
    if phase == "selection":
        return protocols.validation_problem(*carve, settings.validation_share)
    return protocols.strict_test_problem(*carve)


def baseline(config: CIZSLConfig, name: str) -> Baseline:
    """The baseline ``name`` on the data and validation classes of an experiment."""
    shared = {key: getattr(config.evaluation, key) for key in Choice.model_fields}
    choice = Choice(**{**shared, "protocol": "strict"})
    return Baseline(baseline=name, data=config.data, evaluation=choice)


def blank_generator(config: CIZSLConfig, problem: ZSLTask) -> Generator:
    """A generator of the configured widths, on the problem's device."""
    text, features = problem.seen_text, problem.train_features
    model = config.model
    widths = (model.noise_dim, model.text_embed_dim, model.hidden_dim)
    return Generator(text.shape[1], features.shape[1], *widths).to(text.device)


def gan(config: CIZSLConfig, problem: ZSLTask) -> GAN:
    """Networks with seeded weights, and their optimisers."""
    seed_everything(config.seed)
    features, text, creative = problem.train_features, problem.seen_text, config.creativity
    asked = creativity.resolve(creative.divergence, creative.form)
    num_logits = len(text) + (asked.extra_logits if asked else 0)
    loss = config.loss
    return GAN(
        blank_generator(config, problem),
        Discriminator(features.shape[1], num_logits, config.model.hidden_dim).to(text.device),
        DivergenceParameters(creative.alpha, creative.beta).to(text.device),
        features=features,
        labels=problem.train_labels,
        text=text,
        centroids=problem.centroids,
        creativity=asked,
        weights=Weights(
            gradient_penalty=loss.gradient_penalty,
            classification=loss.classification,
            pivot=loss.pivot,
            l2=loss.l2,
            l21=loss.l21,
            hallucinated_realness=creative.realness,
            creativity=creative.weight,
        ),
        learning_rate=config.optimiser.learning_rate,
        betas=config.optimiser.betas,
        divergence_betas=config.optimiser.divergence_betas,
        published_pivot=loss.published_pivot,
        compile=config.compute.compile,
    )


def sampler(config: CIZSLConfig, problem: ZSLTask) -> BatchSampler:
    """Return the sampler of the training batches."""
    device, creative = problem.seen_text.device, config.creativity
    classes = torch.nonzero(problem.seen_text.any(1)).ravel()
    if creative.divergence != "none" and not creative.published_pairs:
        require_two(classes)
    return BatchSampler(
        problem.train_labels,
        classes,
        config.optimiser.batch_size,
        config.model.noise_dim,
        config.creativity.mixing,
        generator(config.seed, device, TRAINING),
        config.creativity.published_pairs,
        config.optimiser.published_order,
    )


def evaluation_stream(config: CIZSLConfig, iteration: int, device: torch.device) -> torch.Generator:
    """Evaluations have their own numbers, so that looking does not change training."""
    return generator(config.seed, device, EVALUATION, iteration)
