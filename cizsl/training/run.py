"""Training: ``train`` runs a configuration in a run folder.

The reference protocol is one phase, ``test``. The strict one has two: ``selection`` trains on the
validation problem and finds the best iteration, and the creativity weight where there is a choice;
``test`` trains that long on all seen classes and evaluates once.
"""

import shutil

import torch
from safetensors.torch import save as serialise

from cizsl import build
from cizsl.config import CIZSLConfig
from cizsl.data.dataset import ZSLData
from cizsl.training import results
from cizsl.training.selection import select
from cizsl.training.trainer import Trainer
from repro import checkpoint
from repro.environment import environment
from repro.run import RunFolder
from repro.signals import StopRequest


def train(config: CIZSLConfig, folder: RunFolder, device: torch.device, stop: StopRequest) -> dict:
    """Run ``config`` in ``folder`` (already claimed) and return what ``results.json`` holds."""
    data: ZSLData = build.data(config)
    iterations, seconds, weights, curves, candidates = config.optimiser.iterations, 0.0, {}, {}, []
    strict = config.evaluation.protocol == "strict"
    problem = build.problem(config, data, "selection" if strict else "test", device)
    build.sampler(config, problem)  # refuses too few data, before the run counts as begun
    folder.record_environment(environment(device, data.files))
    if strict:
        chosen = select(
            config,
            folder,
            lambda each: Trainer("selection", each, problem, folder, iterations, config.searches),
            stop,
        )
        config, seconds, candidates = chosen.config, chosen.seconds, chosen.candidates
        weights["best"], curves["selection"] = chosen.progress.best, chosen.progress.curves["best"]
        iterations = chosen.record["iteration"] + 1
        problem = build.problem(config, data, "test", device)
    current = Trainer("test", config, problem, folder, iterations)
    progress = current.run(stop)
    seconds += progress.seconds
    weights["generator"], curves["final"] = current.generator_state(), progress.curves["final"]
    if not strict:
        weights["best"], curves["best_on_test"] = progress.best, progress.curves["best"]
    for name, state in weights.items():
        data_bytes = serialise(state)
        checkpoint.write_atomically(
            folder.path / f"{name}.safetensors", lambda file, text=data_bytes: file.write(text)
        )
    summary = results.summarise(config, data, progress.records, iterations, seconds, device)
    if candidates:
        summary["search"] = {"select_by": config.evaluation.select_by, "candidates": candidates}
    results.write(folder, summary, curves)
    tidy(folder)
    return summary


def tidy(folder: RunFolder) -> None:
    """Of a complete run, keep the last checkpoint only: each has three copies of the weights."""
    checkpoint.prune(folder.checkpoints / "selection", keep=0)
    for candidate in (folder.checkpoints / "selection").glob("weight_*"):
        shutil.rmtree(candidate)
    checkpoint.prune(folder.checkpoints / "test", keep=1)
