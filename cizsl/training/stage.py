"""What a training on the task of one stage consists of, however it learns."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cizsl.config import CIZSLConfig
from cizsl.evaluate import Evaluation
from cizsl.protocols import ZSLTask
from cizsl.training import by_class, results
from cizsl.training.records import TrainingRecord
from repro.files.json_file import as_model
from repro.loggers import Logger, NoLogger
from repro.run import RunFolder

BY_CLASS = "by_class"  # (2, U) of the last evaluation


@dataclass
class Progress:
    """How far a training is: the part of a checkpoint besides networks and sampler."""

    step: int = 0
    seconds: float = 0.0
    terms: dict = field(default_factory=dict)  # the latest of every loss term, on the device
    records: list = field(default_factory=list)  # one dict for each evaluation
    curves: dict = field(default_factory=dict)  # "final", "best": (2, P) seen and unseen; BY_CLASS
    best: dict = field(default_factory=dict)  # the generator at the best evaluation

    def keep(self, record: dict, evaluation: Evaluation, criterion: str, state: dict) -> None:
        """Add the record of an evaluation, and keep the generator's state if it is the best."""
        self.records.append(record)
        curve = torch.tensor([evaluation.curve.seen.tolist(), evaluation.curve.unseen.tolist()])
        self.curves["final"] = curve
        self.curves[BY_CLASS] = torch.from_numpy(by_class.accuracies(evaluation))
        if results.best(self.records, criterion) is record:
            self.curves["best"], self.best = curve, state

    def checked(self, steps: int) -> "Progress":
        """Return self, of a training of so many steps.

        Raises ValueError or TypeError where a checkpoint holds something else.
        """
        for name, expected in vars(Progress()).items():
            if not isinstance(value := getattr(self, name), type(expected)):
                raise TypeError(f"{name}: expected {type(expected).__name__}, got {type(value)}")
        for record in self.records:
            as_model(record, TrainingRecord, "record")
        if not (0 <= self.step <= steps and 0 <= self.seconds < math.inf):
            raise ValueError(f"step {self.step} of {steps}, after {self.seconds} seconds")
        if self.step == steps and not self.records:
            raise ValueError("no evaluation of a training at its end")
        self._check_tensors()
        return self

    def _check_tensors(self) -> None:
        tensors = [*self.terms.values(), *self.curves.values(), *self.best.values()]
        if not all(isinstance(value, Tensor) for value in tensors):
            raise TypeError("terms, curves and weights: expected tensors")
        if any(term.ndim for term in self.terms.values()):
            raise ValueError("terms: expected single numbers")
        if self.records and not {"final", "best"} <= self.curves.keys():
            raise ValueError("curves: final or best is missing")
        if any(curve.ndim != 2 or len(curve) != 2 for curve in self.curves.values()):
            raise ValueError("curves: expected the shape (2, P)")


class StageTraining:
    """Parent of the trainings on the task of a stage, "validation" or "test".

    Args:
        stage: see :mod:`cizsl.training.run`.
        config: the configuration; its ``search`` is not read.
        task: the training images, and the images of the evaluations.
        folder: the run folder, which this process owns.
        iterations: how long to train.
        candidate: the searched values by dotted key, where this is one of several trainings.
        name: of the folder of its checkpoints, below ``checkpoints/<stage>``.
        logger: receives every record.
        offset: of the unseen scores, at which the test is measured too; validation chose it.
    """

    def __init__(
        self,
        stage: str,
        config: CIZSLConfig,
        task: ZSLTask,
        folder: RunFolder,
        iterations: int,
        candidate: dict | None = None,
        name: str = "",
        logger: Logger | None = None,
        offset: float | None = None,
    ):
        self.stage, self.config, self.task, self.folder = stage, config, task, folder
        self.iterations, self.offset = iterations, offset
        self.label: dict[str, Any] = {"stage": stage}
        if candidate:
            self.label["candidate"] = candidate
        self.checkpoints = folder.checkpoints / stage / name
        self.logger, self.progress = logger or NoLogger(), Progress()

    def at_offset(self, evaluation: Evaluation) -> dict[str, float]:
        """Return the best offset of a validation, or what the test has at the chosen one."""
        if self.stage == "validation":
            return {"offset": evaluation.best_offset()}
        return {} if self.offset is None else evaluation.calibrated(self.offset)
