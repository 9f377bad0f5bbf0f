"""A finished run: its configuration with the values that it selected, its data and its weights."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from cizsl import build
from cizsl.answers import Answers
from cizsl.classifiers import SIMILARITIES
from cizsl.closed_form.registry import BASELINES, Classifier
from cizsl.config import Baseline, CIZSLConfig
from cizsl.data.dataset import ZSLData
from cizsl.protocols import ZSLTask
from cizsl.synthesis import FeatureGenerator
from cizsl.training import fit_baselines
from cizsl.training.evaluation import answer, measure
from cizsl.training.records import Environment, Summary
from repro import config as configuration
from repro.device import precision
from repro.errors import InputError
from repro.files.json_file import read_model
from repro.files.regular_file import open_regular


@dataclass(frozen=True)
class FinishedRun:
    """The folder of a finished run, its results, and its configuration without a search."""

    path: Path
    summary: Summary
    config: CIZSLConfig | Baseline

    def data(self) -> ZSLData:
        """Return the data. Raises :class:`InputError` where they are not those of the run."""
        data = build.data(self.config)
        if data.files != read_model(self.path / "environment.json", Environment).data_files:
            where = self.config.data.root
            raise InputError(f"{self.path}: the data files in {where} are not those of the run")
        return data

    @property
    def iteration(self) -> int:
        """The place of the evaluation that the results report."""
        return self.summary.iterations - 1

    def generator(self, name: str, task: ZSLTask) -> FeatureGenerator:
        """Return the saved ``generator``, or the ``best`` on the validation classes."""
        assert isinstance(self.config, CIZSLConfig)
        return saved_generator(self.path / f"{name}.safetensors", self.config, task)

    def baseline(self, task: ZSLTask) -> Classifier:
        """Return the baseline on a task, and make sure that it has the settings of the run."""
        assert isinstance(self.config, Baseline)
        model, chosen = BASELINES[self.config.baseline](task), self.summary.chosen
        if chosen is None or not model.accepts(chosen):
            raise InputError(f"{self.path / 'results.json'}: chosen: not settings of this baseline")
        return model

    def answers(self, task: ZSLTask) -> Answers:
        """Return the classifiers of the run on the test classes of ``task``."""
        if isinstance(self.config, Baseline):
            return _fitted_answers(self.baseline(task), self.summary.chosen or {}, task)
        generator = self.generator("generator", task)
        with precision(self.config.compute.precision, task.seen_text.device):
            return answer(self.config, generator, task, self.iteration)

    def offset(self, data: ZSLData, device: torch.device) -> float | None:
        """Return the offset that validation classes choose, None where the protocol has none.

        Runs that did not record it evaluate their best generator once more.
        """
        if self.summary.offset is not None or self.config.evaluation.protocol != "strict":
            return self.summary.offset
        if isinstance(self.config, Baseline):
            tasks = fit_baselines.Tasks(self.config, device, data)
            trial = fit_baselines.Trial(self.config, tasks.validation)
            self.baseline(trial.tasks[0])
            return trial.offset(self.summary.chosen or {})
        task = build.task(self.config, data, "validation", device)
        generator = self.generator("best", task)
        with precision(self.config.compute.precision, device):
            return measure(self.config, generator, task, self.iteration).best_offset()


def read(path: Path, root: Path | None = None) -> FinishedRun:
    """Return the finished run in a folder.

    Args: ``path``, the run folder; ``root``, the folder of the data, if they have moved since.

    Raises :class:`InputError` if the folder holds no finished run.
    """
    file = path / "results.json"
    if not file.exists():
        raise InputError(f"{path}: holds no finished run (no results.json)")
    summary = read_model(file, Summary)
    moved = [f"data.root={root}"] if root else []
    if summary.deterministic:
        return FinishedRun(path, summary, configuration.load(path / "config.yaml", Baseline, moved))
    config = configuration.load(path / "config.yaml", CIZSLConfig, moved)
    chosen = summary.search.chosen if summary.search else None
    if not chosen:
        return FinishedRun(path, summary, config)
    try:
        return FinishedRun(path, summary, config.with_values(chosen))
    except (ValueError, KeyError):
        raise InputError(f"{file}: search.chosen: not values of this configuration") from None


def saved_generator(file: Path, config: CIZSLConfig, task: ZSLTask) -> FeatureGenerator:
    """Return the configured generator with the weights in a file.

    Raises :class:`InputError` for weights that cannot be read or do not fit.
    """
    generator = build.feature_generator(config, task)
    try:
        open_regular(file).close()  # a named pipe would never begin
        generator.load_state_dict(load_file(file, str(task.seen_text.device)))
    except (InputError, OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file}: cannot be loaded: {reason}") from None
    return generator


def _fitted_answers(model: Classifier, point: dict, task: ZSLTask) -> Answers:
    """Return the classifiers of a baseline with the settings of one point."""
    num_seen = len(task.seen_text)
    with precision("float32", task.seen_text.device):
        fitted = model.fit(**point)
    similar = partial(SIMILARITIES[fitted.similarity], prototypes_CD=fitted.vectors)
    score = fitted.score or similar
    return Answers(fitted.vectors, lambda features: score(features)[:, num_seen:], score)
