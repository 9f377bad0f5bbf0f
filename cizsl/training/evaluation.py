"""The evaluation that a configuration asks for."""

from typing import cast

from cizsl import build
from cizsl.answers import Answers, from_densities, from_samples
from cizsl.config import CIZSLConfig
from cizsl.evaluate import Evaluation, assess_answers, embedding_norms, evaluate_discriminator
from cizsl.gan import GAN
from cizsl.protocols import ZSLTask
from cizsl.synthesis import DensityGenerator, FeatureGenerator
from cizsl.training import records

PUBLISHED = ("reference", "pivot")  # protocol and scores of the published grid of offsets


def answer(
    config: CIZSLConfig, generator: FeatureGenerator, task: ZSLTask, iteration: int
) -> Answers:
    """Return the classifiers that ``config`` asks for; ``iteration`` determines the random
    numbers."""
    settings = config.evaluation
    rng = build.evaluation_rng(config, iteration, task.seen_text.device)
    generalised = settings.generalised == "classifier"
    if settings.classifier == "diffusion":
        able = cast(DensityGenerator, generator)  # the configuration has been checked
        return from_densities(able, task, rng, generalised=generalised)
    return from_samples(
        generator,
        task,
        rng,
        samples=settings.samples,
        neighbours=settings.neighbours,
        classifier=settings.classifier,
        weight_decay=settings.weight_decay,
        generalised=generalised,
    )


def measure(
    config: CIZSLConfig, generator: FeatureGenerator, task: ZSLTask, iteration: int
) -> Evaluation:
    """Evaluate ``generator`` as ``config`` says; ``iteration`` determines the random numbers."""
    return assess_answers(answer(config, generator, task, iteration), task, _curve(config))


def measure_discriminator(config: CIZSLConfig, gan: GAN, task: ZSLTask) -> dict[str, float]:
    """Return the scores of the discriminator's own classifier, and the mean lengths of s(x) and
    e(t), by names for a record; nothing where it cannot classify unseen classes."""
    if not gan.head.uses_text:
        return {}
    networks = gan.discriminator, gan.head, gan.generator, task
    scores = evaluate_discriminator(*networks, curve=_curve(config)).scores()
    image, text = embedding_norms(*networks)
    found = scores | {"image_norm": image, "text_norm": text}
    return {f"{records.DISCRIMINATOR}_{name}": value for name, value in found.items()}


def _curve(config: CIZSLConfig) -> str:
    settings = config.evaluation
    return "grid" if (settings.protocol, settings.generalised) == PUBLISHED else "exact"
