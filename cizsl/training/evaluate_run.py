"""Another evaluation of a finished run, compared with what the run recorded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cizsl import build
from cizsl.config import Baseline
from cizsl.evaluate import Evaluation
from cizsl.training import finished, fit_baselines, records, results
from cizsl.training.evaluation import measure
from cizsl.training.finished import FinishedRun
from repro.device import precision
from repro.errors import InputError


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
    run = finished.read(path, root)
    config, protocol = run.config, run.config.evaluation.protocol
    if split == "val" and protocol != "strict":
        raise InputError(f"{path}: the reference protocol has no validation classes")
    data = run.data()
    task = build.task(config, data, "test" if split == "test" else "validation", device)
    where = f"{protocol} protocol, {'test' if split == 'test' else 'validation'} classes"
    recorded = _recorded(run, split)
    offset = run.summary.offset if split == "test" else None
    if isinstance(config, Baseline):  # fitted again: that takes seconds
        model, chosen = run.baseline(task), run.summary.chosen or {}
        if split == "test":
            scores = _scores(fit_baselines.measure(model, chosen, task), offset)
        else:
            tasks = fit_baselines.Tasks(config, device, data).validation
            scores = fit_baselines.Trial(config, tasks).scores(chosen)
        return Reevaluation(where, scores, recorded)
    generator = run.generator("generator" if split == "test" else "best", task)
    with precision(config.compute.precision, device):
        scores = _scores(measure(config, generator, task, run.iteration), offset)
    elsewhere = run.summary.device != device.type
    note = f" (other random numbers: it ran on {run.summary.device})" if elsewhere else ""
    return Reevaluation(f"{where}, iteration {run.iteration}{note}", scores, recorded, elsewhere)


def _scores(evaluation: Evaluation, offset: float | None) -> dict[str, float]:
    """Return the scores, with those at an offset where there is one."""
    return evaluation.scores() | ({} if offset is None else evaluation.calibrated(offset))


def _recorded(run: FinishedRun, split: str) -> dict[str, float]:
    """Return the scores that the run recorded of the same evaluation, as far as it did."""
    summary = run.summary
    if split == "test":
        return summary.metrics["final"].model_dump(exclude_none=True)
    if isinstance(run.config, Baseline):
        tried = summary.search.candidates if summary.search else []
        chosen = summary.chosen or {}
        found = [one for one in tried if chosen.items() <= one.items()]
    else:
        label: dict[str, Any] = {"stage": "validation"}
        if summary.search and summary.search.chosen:
            label["candidate"] = summary.search.chosen
        log = [one for one in records.read_log(run.path) if results.is_of(one, label)]
        found = [one for one in log if one["iteration"] == run.iteration]
    return results.scores(found[-1]) if found else {}
