"""Fitting of the baselines: penalties selected on validation classes, one evaluation at the end.

This is the strict protocol, with penalties in the place of iterations: settings are fitted on the
validation task, those with the best ``evaluation.select_by`` are fitted again on all seen classes
(without the held-out images that measure seen accuracy) and evaluated once on the test classes.
This takes seconds and involves no random number.

Twenty or thirty validation classes decide with an error of several points. So a choice may rest on
the mean over several draws of them, ``evaluation.validation_splits``.
"""

import statistics
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from cizsl import build
from cizsl.closed_form.registry import BASELINES, TITLES, Classifier
from cizsl.config import Baseline, BaselineEvaluation, CIZSLConfig
from cizsl.data.dataset import ZSLData
from cizsl.evaluate import Evaluation, assess
from cizsl.metrics import Curve
from cizsl.protocols import ZSLTask
from cizsl.training import by_class, results, toy_data
from repro.device import precision
from repro.environment import environment
from repro.run import RunFolder
from repro.run_names import default_folder

# the overrides that name a baseline's folder: those of settings that it has
KEYS = [key for key in BaselineEvaluation.model_fields if key != "protocol"]
NAMED_BY = ("data.", *(f"evaluation.{key}=" for key in KEYS))


def fit_all(
    config: CIZSLConfig, source: str, overrides: list[str], runs: Path, device: torch.device
) -> list[RunFolder]:
    """Fit every baseline on the data of a configuration; return their run folders.

    Args:
        config: the file ``source`` with ``overrides``.
        source, overrides: name the run folders.
        runs: the folder of the run folders; complete ones are left as they are.
        device: where to fit.
    """
    shared = [text for text in overrides if text.startswith(NAMED_BY)]
    folders, tasks = [], None
    for name in BASELINES:
        path = default_folder(f"{Path(source).stem}_{name}.yaml", shared, 0, runs).parent
        with RunFolder(path, build.baseline(config, name), resume=True) as folder:
            if not folder.complete:
                tasks = tasks or Tasks(folder.settings, device)
                fit(folder.settings, folder, device, tasks)
        folders.append(folder)
    return folders


class Tasks:
    """The data of a configuration and its tasks, each made when it is first asked for.

    Baselines that differ in nothing but their method share them. ``data``: where it is read
    already.
    """

    def __init__(self, config: Baseline, device: torch.device, data: ZSLData | None = None):
        self.config, self.device = config, device
        if data is not None:
            self.data = data

    @cached_property
    def data(self) -> ZSLData:
        """The dataset; a toy one is made where it is missing."""
        toy_data.make_if_missing(self.config.data)
        return build.data(self.config)

    @cached_property
    def validation(self) -> list[ZSLTask]:
        """One task for each draw; the classes that the data name are the only draw."""
        named = self.data.validation_classes is not None
        count = 1 if named else self.config.evaluation.validation_splits
        return [
            build.task(self.config, self.data, "validation", self.device, i) for i in range(count)
        ]

    @cached_property
    def test(self) -> ZSLTask:
        """The task with all seen classes and the test classes."""
        return build.task(self.config, self.data, "test", self.device)


def fit(
    config: Baseline, folder: RunFolder, device: torch.device, tasks: Tasks | None = None
) -> dict:
    """Select, fit and evaluate once; return the content of ``results.json``.

    Args:
        config: of the baseline.
        folder: the run folder, which this process owns.
        device: where to fit.
        tasks: of the same data and protocol; made where they are not given.
    """
    tasks = tasks or Tasks(config, device)
    data = tasks.data
    began = time.monotonic()
    criterion = config.evaluation.select_by
    folder.record_environment(environment(device, data.files))
    trial = Trial(config, tasks.validation)
    tried = trial.models[0].search(trial.score)
    chosen, _ = max(tried, key=lambda one: one[1])
    task = tasks.test
    test = measure(BASELINES[config.baseline](task), chosen, task)
    offset = trial.offset(chosen)
    scores = test.scores() | test.calibrated(offset)
    summary = results.outline(config, data, device, time.monotonic() - began) | {
        "method": TITLES[config.baseline],
        "seed": 0,
        "deterministic": True,
        "iterations": 0,
        "chosen": chosen,
        "search": {
            "select_by": criterion,
            "candidates": [{**point, **trial.scores(point)} for point, _ in tried],
        },
        "offset": offset,
        "metrics": {"final": scores, "selected": scores},
        "by_class": by_class.entry(by_class.accuracies(test)),
    }
    drawn = {"validation": trial.draws(chosen)[0].curve, "final": test.curve}
    curves = {name: torch.from_numpy(np.stack([c.seen, c.unseen])) for name, c in drawn.items()}
    results.write(folder, summary, curves)
    return summary


@dataclass(frozen=True)
class Draw:
    """What is kept of an evaluation on one draw of validation classes, which images are not."""

    scores: dict[str, float]
    offset: float
    curve: Curve


class Trial:
    """A baseline on the draws of validation classes that a configuration asks for.

    ``models``: one for each draw.
    """

    def __init__(self, config: Baseline, tasks: list[ZSLTask]):
        self.criterion = config.evaluation.select_by
        self.tasks = tasks
        self.models = [BASELINES[config.baseline](task) for task in tasks]
        self._known: list[tuple[dict, list[Draw]]] = []

    def draws(self, point: dict) -> list[Draw]:
        """Return what was measured at one point, on each draw."""
        for known, found in self._known:
            if known == point:
                return found
        pairs = zip(self.models, self.tasks, strict=True)
        each = [measure(model, point, task) for model, task in pairs]
        found = [Draw(one.scores(), one.best_offset(), one.curve) for one in each]
        self._known.append((point, found))
        return self._known[-1][1]

    def scores(self, point: dict) -> dict[str, float]:
        """Return the mean of every metric over the draws."""
        each = [draw.scores for draw in self.draws(point)]
        return {name: statistics.fmean(one[name] for one in each) for name in each[0]}

    def offset(self, point: dict) -> float:
        """Return the mean over the draws of the best offset."""
        return statistics.fmean(draw.offset for draw in self.draws(point))

    def score(self, point: dict) -> float:
        """Return the mean of the criterion over the draws."""
        return self.scores(point)[self.criterion]


def measure(model: Classifier, point: dict, task: ZSLTask) -> Evaluation:
    """Return every metric of a baseline with the settings of one point."""
    with precision("float32", task.seen_text.device):
        fitted, num_seen = model.fit(**point), len(task.seen_text)
        predicted = None
        if fitted.score is not None:
            predicted = fitted.score(task.unseen_features)[:, num_seen:].argmax(1)
        return assess(
            fitted.vectors.to(task.train_features.dtype),
            task,
            similarity=fitted.similarity,
            score=fitted.score,
            predicted_N=predicted,
        )
