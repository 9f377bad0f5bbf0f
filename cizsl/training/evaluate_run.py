"""The evaluation a configuration asks for: during training, and of a finished run."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from cizsl import build
from cizsl.baselines import BASELINES
from cizsl.config import Baseline, CIZSLConfig
from cizsl.evaluate import Evaluation, evaluate
from cizsl.networks import Generator
from cizsl.protocols import ZSLTask
from cizsl.training import fit_baselines
from repro import config as configuration
from repro.device import precision
from repro.errors import InputError

PUBLISHED = ("reference", "pivot")  # protocol and scores of the published grid of offsets


def measure(
    config: CIZSLConfig, generator: Generator, problem: ZSLTask, iteration: int
) -> Evaluation:
    """Evaluate ``generator`` as ``config`` says; ``iteration`` chooses the random numbers."""
    settings = config.evaluation
    return evaluate(
        generator,
        problem,
        build.evaluation_stream(config, iteration, problem.seen_text.device),
        samples=settings.samples,
        neighbours=settings.neighbours,
        curve="grid" if (settings.protocol, settings.generalised) == PUBLISHED else "exact",
        classifier=settings.classifier,
        penalty=settings.penalty,
        generalised=settings.generalised == "classifier",
    )


def evaluate_again(
    path: Path, split: str, device: torch.device, root: Path | None = None
) -> tuple[str, dict[str, float]]:
    """Evaluate the saved generator of a finished run, or fit a baseline again.

    ``split="test"``: the final generator on the test classes, with the numbers of the run's own
    last evaluation, so it gives the same result. ``split="val"``: the generator that selection
    found best, on the validation classes (strict protocol only). ``root``: where the data lie, if
    they have moved since. Returns a description and the scores. Raises :class:`InputError` if the
    folder holds no finished run or no such split.
    """
    try:
        summary = json.loads((path / "results.json").read_text())
        iteration = int(summary["iterations"]) - 1
        began = json.loads((path / "environment.json").read_text())["data_files"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path}: holds no finished run (no readable results.json)") from None
    kind, moved = (
        Baseline if "chosen" in summary else CIZSLConfig,
        [f"data.root={root}"] if root else [],
    )
    config = configuration.load(path / "config.yaml", kind, moved)
    protocol = config.evaluation.protocol
    if split == "val" and protocol != "strict":
        raise InputError(f"{path}: the reference protocol has no validation classes")
    phase, name = ("test", "generator") if split == "test" else ("selection", "best")
    data = build.data(config)
    if data.files != began:
        raise InputError(f"{path}: the data files in {config.data.root} are not those of the run")
    problem = build.problem(config, data, phase, device)
    where = f"{protocol} protocol, {'test' if split == 'test' else 'validation'} classes"
    if isinstance(config, Baseline):  # fitted again: that takes seconds
        model = BASELINES[config.baseline](problem)
        return where, fit_baselines.measure(model, summary["chosen"], problem).scores()
    generator = _saved(path / f"{name}.safetensors", config, problem)
    with precision(config.compute.precision, device):
        evaluation = measure(config, generator, problem, iteration)
    drew = f" (other random numbers: it ran on {summary['device']})"
    note = drew if summary["device"] != device.type else ""
    return f"{where}, iteration {iteration}{note}", evaluation.scores()


def _saved(file: Path, config: CIZSLConfig, problem: ZSLTask) -> Generator:
    generator = build.blank_generator(config, problem)
    try:
        generator.load_state_dict(load_file(file, str(problem.seen_text.device)))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file}: cannot be loaded: {reason}") from None
    return generator
