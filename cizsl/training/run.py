"""Training: ``train`` runs a configuration in a run folder.

The reference protocol has one stage, "test". The strict one has two: "validation" trains on the
validation task and selects the number of iterations, and the hyper-parameters that are searched;
"test" trains that long on all seen classes and evaluates once.
"""

import shutil
from contextlib import closing
from functools import lru_cache

import torch
from safetensors.torch import save as serialise

from cizsl import build
from cizsl.closed_form.gaussian_generator import require_weights
from cizsl.config import CIZSLConfig
from cizsl.data.dataset import ZSLData
from cizsl.protocols import ZSLTask
from cizsl.training import by_class, results, toy_data
from cizsl.training.fitted import FittedTrainer
from cizsl.training.selection import STAGE, Selection, select
from cizsl.training.stage import BY_CLASS
from cizsl.training.trainer import Trainer
from repro.environment import environment
from repro.files import checkpoint
from repro.loggers import Logger, make_logger, require_installed
from repro.run import RunFolder
from repro.signals import StopRequest


def train(config: CIZSLConfig, folder: RunFolder, device: torch.device, stop: StopRequest) -> dict:
    """Train and evaluate; return the content of ``results.json``.

    Args:
        config: the resolved configuration.
        folder: the run folder, which this process owns.
        device: where to train.
        stop: a request to end early; the run can then be resumed.

    Raises :class:`Interrupted` after a stop request, and :class:`InputError` for bad data and for
    a training that diverges.
    """
    require_installed(config.compute.logger)
    toy_data.make_if_missing(config.data)
    data = build.data(config)
    strict = config.evaluation.protocol == "strict"
    _require_enough(config, data, STAGE if strict else "test", device)
    folder.record_environment(environment(device, data.files))
    content = config.model_dump(mode="json")
    with closing(make_logger(config.compute.logger, folder.path, content)) as logger:
        selected = _select(config, folder, data, device, stop, logger) if strict else None
        config = selected.config if selected else config
        iterations = selected.record["iteration"] + 1 if selected else config.optimiser.iterations
        task = build.task(config, data, "test", device)
        offset = selected.record.get("offset") if selected else None
        kind = _trainer(config)
        trainer = kind("test", config, task, folder, iterations, logger=logger, offset=offset)
        progress = trainer.run(stop)
    seconds = progress.seconds + (selected.seconds if selected else 0)
    records = progress.records
    summary = results.summarise(config, data, records, iterations, seconds, device, offset)
    if selected and selected.search:
        summary["search"] = selected.search
    if selected and (found := progress.curves.get(BY_CLASS)) is not None:
        summary["by_class"] = by_class.entry(found.numpy())
    best = selected.progress if selected else progress
    _write_weights(folder, generator=trainer.generator_state(), best=best.best)
    curves = {"final": progress.curves["final"]}
    curves[STAGE if selected else "best_on_test"] = best.curves["best"]
    results.write(folder, summary, curves)
    tidy(folder)
    return summary


def _require_enough(config: CIZSLConfig, data: ZSLData, stage: str, device: torch.device) -> None:
    """Raise :class:`InputError` for data that do not suffice, before the run counts as begun."""
    task = build.task(config, data, stage, device)
    if config.generator == "gan":
        build.sampler(config, task)
        return
    for trial in config.trials():
        require_weights(len(task.text_blocks), trial.gaussian.text_weights)


def _trainer(config: CIZSLConfig) -> type[Trainer] | type[FittedTrainer]:
    return FittedTrainer if config.generator == "gaussian" else Trainer


def _select(
    config: CIZSLConfig,
    folder: RunFolder,
    data: ZSLData,
    device: torch.device,
    stop: StopRequest,
    logger: Logger,
) -> Selection:
    @lru_cache(maxsize=1)  # of the keys that may be searched, a task depends on this one alone
    def validation_task(normalisation: str) -> ZSLTask:
        values = {"data.normalisation": normalisation}
        return build.task(config.with_values(values), data, STAGE, device)

    def make(trial: CIZSLConfig, candidate: dict, name: str) -> Trainer | FittedTrainer:
        task = validation_task(trial.data.normalisation)
        iterations = trial.optimiser.iterations
        kind = _trainer(trial)
        return kind(STAGE, trial, task, folder, iterations, candidate, name, logger)

    return select(config, folder, make, stop)


def _write_weights(folder: RunFolder, **states: dict[str, torch.Tensor]) -> None:
    """Write ``<name>.safetensors`` for each state."""
    for name, state in states.items():
        content = serialise(state)
        checkpoint.write_atomically(
            folder.path / f"{name}.safetensors", lambda file, content=content: file.write(content)
        )


def tidy(folder: RunFolder) -> None:
    """Keep the last checkpoint only of a complete run: each has three copies of the weights."""
    checkpoint.prune(folder.checkpoints / STAGE, keep=0)
    for candidate in (folder.checkpoints / STAGE).glob("candidate_*"):
        shutil.rmtree(candidate)
    checkpoint.prune(folder.checkpoints / "test", keep=1)
