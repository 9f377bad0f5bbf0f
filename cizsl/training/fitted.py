"""Fitting and evaluation of a generator in closed form."""

import time

import torch

from cizsl import build
from cizsl.training import results
from cizsl.training.evaluation import measure
from cizsl.training.records import read_log
from cizsl.training.stage import Progress, StageTraining
from repro.device import precision
from repro.signals import Interrupted, StopRequest


class FittedTrainer(StageTraining):
    """One fit and one evaluation, too short to be resumed; the arguments are the parent's."""

    def run(self, stop: StopRequest) -> Progress:
        """Fit and evaluate, or raise :class:`Interrupted` before."""
        if stop.requested:
            raise Interrupted(f"go on with --resume ({self.folder.path})")
        began, config = time.monotonic(), self.config
        log = read_log(self.folder.path)
        others = [record for record in log if not results.is_of(record, self.label)]
        self.generator = build.feature_generator(config, self.task)
        with precision(config.compute.precision, self.task.seen_text.device):
            evaluation = measure(config, self.generator, self.task, iteration=0)
        scores = evaluation.scores() | self.at_offset(evaluation)
        record = {**self.label, "iteration": 0, **scores}
        state = self.generator_state()
        self.progress.keep(record, evaluation, config.evaluation.select_by, state)
        self.progress.seconds = time.monotonic() - began
        self.folder.write_log("metrics", [*others, record])
        self.logger.log({f"{self.stage}/{k}": v for k, v in record.items()}, 0)
        return self.progress

    def generator_state(self) -> dict[str, torch.Tensor]:
        """Return a copy of what the fit has found."""
        return {name: value.clone() for name, value in self.generator.state_dict().items()}
