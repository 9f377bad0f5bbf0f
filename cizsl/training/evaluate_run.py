"""The evaluation that a configuration asks for: during training, and of a finished run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from cizsl import build
from cizsl.answers import Answers, from_densities, from_samples
from cizsl.closed_form.registry import BASELINES
from cizsl.config import Baseline, CIZSLConfig
from cizsl.evaluate import (
    Evaluation,
    assess_answers,
    embedding_norms,
    evaluate_discriminator,
)
from cizsl.gan import GAN
from cizsl.protocols import ZSLTask
from cizsl.synthesis import DensityGenerator, FeatureGenerator
from cizsl.training import fit_baselines, records, results
from cizsl.training.records import Environment, Summary
from repro import config as configuration
from repro.device import precision
from repro.errors import InputError
from repro.files.json_file import read_model
from repro.files.regular_file import open_regular

PUBLISHED = ("reference", "pivot")  # protocol and scores of the published grid of offsets


@dataclass(frozen=True)
class Reevaluation:
    """A finished run, evaluated again.

    ``where`` describes classes and iteration. ``scores`` are fractions in [0, 1]; ``recorded`` are
    those that the run itself recorded, as far as it did. ``other_device``: whether the run was on
    another kind of device, with other random numbers.
    """

    where: str
    scores: dict[str, float]
    recorded: dict[str, float]
    other_device: bool = False

    @property
    def differing(self) -> list[str]:
        """Names of the scores that differ from the recorded ones."""
        return [n for n, v in self.scores.items() if n in self.recorded and self.recorded[n] != v]


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


def evaluate_again(
    path: Path, split: str, device: torch.device, root: Path | None = None
) -> Reevaluation:
    """Evaluate the saved generator of a finished run, or fit a baseline again.

    Args:
        path: the run folder.
        split: "test" evaluates the final generator on the test classes, with the random numbers of
            the run's last evaluation; "val" the generator that was best on the validation classes
            (strict protocol only).
        device: where to evaluate.
        root: folder of the data, if they have moved since.

    Raises :class:`InputError` if the folder holds no finished run or the run has no such split.
    """
    summary, config = _finished(path, root)
    protocol = config.evaluation.protocol
    if split == "val" and protocol != "strict":
        raise InputError(f"{path}: the reference protocol has no validation classes")
    data = build.data(config)
    if data.files != read_model(path / "environment.json", Environment).data_files:
        raise InputError(f"{path}: the data files in {config.data.root} are not those of the run")
    task = build.task(config, data, "test" if split == "test" else "validation", device)
    where = f"{protocol} protocol, {'test' if split == 'test' else 'validation'} classes"
    recorded = _recorded(path, summary, config, split)
    if isinstance(config, Baseline):  # fitted again: that takes seconds
        model, chosen = BASELINES[config.baseline](task), summary.chosen
        if chosen is None or not model.accepts(chosen):
            raise InputError(f"{path / 'results.json'}: chosen: not settings of this baseline")
        if split == "test":
            scores = _scores(fit_baselines.measure(model, chosen, task), summary.offset)
        else:
            scores = fit_baselines.Trial(config, data, device).scores(chosen)
        return Reevaluation(where, scores, recorded)
    name = "generator" if split == "test" else "best"
    generator = saved_generator(path / f"{name}.safetensors", config, task)
    iteration = summary.iterations - 1
    with precision(config.compute.precision, device):
        evaluation = measure(config, generator, task, iteration)
    scores = _scores(evaluation, summary.offset if split == "test" else None)
    elsewhere = summary.device != device.type
    note = f" (other random numbers: it ran on {summary.device})" if elsewhere else ""
    return Reevaluation(f"{where}, iteration {iteration}{note}", scores, recorded, elsewhere)


def _scores(evaluation: Evaluation, offset: float | None) -> dict[str, float]:
    """Return the scores, with those at an offset where there is one."""
    return evaluation.scores() | ({} if offset is None else evaluation.calibrated(offset))


def _finished(path: Path, root: Path | None) -> tuple[Summary, CIZSLConfig | Baseline]:
    """Return the results of a run, and its configuration with the values that it selected."""
    file = path / "results.json"
    if not file.exists():
        raise InputError(f"{path}: holds no finished run (no results.json)")
    summary = read_model(file, Summary)
    moved = [f"data.root={root}"] if root else []
    if summary.deterministic:
        return summary, configuration.load(path / "config.yaml", Baseline, moved)
    config = configuration.load(path / "config.yaml", CIZSLConfig, moved)
    chosen = summary.search.chosen if summary.search else None
    if not chosen:
        return summary, config
    try:
        return summary, config.with_values(chosen)
    except (ValueError, KeyError):
        raise InputError(f"{file}: search.chosen: not values of this configuration") from None


def _recorded(
    path: Path, summary: Summary, config: CIZSLConfig | Baseline, split: str
) -> dict[str, float]:
    """Return the scores that the run recorded of the same evaluation, as far as it did."""
    if split == "test":
        return summary.metrics["final"].model_dump(exclude_none=True)
    if isinstance(config, Baseline):
        tried = summary.search.candidates if summary.search else []
        chosen = summary.chosen or {}
        found = [one for one in tried if chosen.items() <= one.items()]
    else:
        label: dict[str, Any] = {"stage": "validation"}
        if summary.search and summary.search.chosen:
            label["candidate"] = summary.search.chosen
        log = [one for one in records.read_log(path) if results.is_of(one, label)]
        found = [one for one in log if one["iteration"] == summary.iterations - 1]
    return results.scores(found[-1]) if found else {}


def saved_generator(file: Path, config: CIZSLConfig, task: ZSLTask) -> FeatureGenerator:
    """Return the generator with the weights in a file, which :class:`InputError` refuses where they
    are of another configuration."""
    generator = build.feature_generator(config, task)
    try:
        open_regular(file).close()  # a named pipe would never begin
        generator.load_state_dict(load_file(file, str(task.seen_text.device)))
    except (InputError, OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file}: cannot be loaded: {reason}") from None
    return generator
