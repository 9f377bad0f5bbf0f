"""Resumable training of one model on one task."""

import time

import torch

from cizsl.training import live_page, results
from cizsl.training.evaluation import measure, measure_discriminator
from cizsl.training.records import read_log
from cizsl.training.stage import Progress, StageTraining
from cizsl.training.steps import GANSteps, make_steps
from cizsl.training.terms import LossTerms
from repro.device import precision
from repro.errors import InputError
from repro.files import checkpoint
from repro.loop import TrainingLoop
from repro.seeding import global_states, set_global_states
from repro.signals import StopRequest

FIGURE_SECONDS = 30.0  # between two versions of training.png and page.html


class Trainer(StageTraining):
    """Resumable training of a GAN or a score-based generator; arguments as for its parent."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.steps = make_steps(self.config, self.task)
        self.terms = LossTerms(self.folder.path, self.stage)
        self._drawn = time.monotonic()

    def run(self, stop: StopRequest) -> Progress:
        """Train to the end, or raise :class:`Interrupted` with everything saved."""
        self._restore()
        loop, stride = self._loop(stop), self.steps.stride
        if self._has_stalled():
            loop.finish()
        with precision(self.config.compute.precision, self.task.seen_text.device):
            for step in loop:
                iteration, position = divmod(step, stride)
                self.terms.keep(self.steps.step(iteration, position), iteration)
                if position == stride - 1 and self._is_evaluated(iteration):
                    loop.show(self._evaluate(iteration))
                    if self._has_stalled():
                        loop.finish()
        return self.progress

    def _loop(self, stop: StopRequest) -> TrainingLoop:
        candidate = self.label.get("candidate", {})
        values = [f"{key.split('.')[-1]} {value}" for key, value in candidate.items()]
        return TrainingLoop(
            self.progress,
            self.iterations * self.steps.stride,
            self._save,
            stop,
            name=", ".join(["/".join(self.folder.path.parts[-2:]), self.stage, *values]),
            resume=f"go on with --resume ({self.folder.path})",
            save_seconds=self.config.compute.checkpoint_seconds,
            stride=self.steps.stride,
            whole=self.steps.whole,
        )

    def _is_evaluated(self, iteration: int) -> bool:
        settings = self.config.evaluation
        if iteration == self.iterations - 1:
            return True
        if self.stage == "test" and settings.protocol == "strict":
            return False  # one evaluation, at the end
        return iteration % settings.every == 0 and iteration >= settings.start

    def _evaluate(self, iteration: int) -> dict[str, str]:
        """Evaluate and record; return what the progress bar shows."""
        terms = self.terms.numbers()
        evaluation = measure(self.config, self.steps.generator, self.task, iteration)
        scores = evaluation.scores() | self.at_offset(evaluation) | self._own_scores()
        record = {**self.label, "iteration": iteration, **terms, **scores}
        self.progress.keep(record, evaluation, self._criterion(), self.generator_state())
        self.folder.log("metrics", record)
        self.logger.log({f"{self.stage}/{k}": v for k, v in record.items()}, iteration)
        self._draw(iteration + 1)
        return {name: f"{100 * record[name]:.1f}%" for name in ("top1", "ausuc", "harmonic")}

    def _own_scores(self) -> dict[str, float]:
        """The scores of a GAN's discriminator, where it can classify."""
        if not isinstance(self.steps, GANSteps):
            return {}
        return measure_discriminator(self.config, self.steps.gan, self.task)

    def _draw(self, iterations: int) -> None:
        """Write ``training.png`` and ``page.html`` anew, at most every 30 seconds."""
        if time.monotonic() - self._drawn < FIGURE_SECONDS:
            return
        results.draw_training(self.folder, self.label.get("candidate"))
        moment = live_page.Moment(self.stage, iterations, self.iterations, self.progress.seconds)
        records, curve = read_log(self.folder.path), self.progress.curves["final"]
        live_page.write(self.folder, self.config, records, moment, curve.numpy())
        self._drawn = time.monotonic()

    def generator_state(self) -> dict[str, torch.Tensor]:
        """Return a copy of the generator's parameters."""
        return {name: value.clone() for name, value in self.steps.generator.state_dict().items()}

    def _criterion(self) -> str:
        strict = self.config.evaluation.protocol == "strict"
        return self.config.evaluation.select_by if strict else self.config.evaluation.reported[1]

    def _has_stalled(self) -> bool:
        """Whether validation has gone ``patience`` evaluations without a better one."""
        patience, records = self.config.evaluation.patience, self.progress.records
        if self.stage != "validation" or not patience or not records:
            return False
        best = results.best(records, self._criterion())
        return len(records) - 1 - records.index(best) >= patience

    def _save(self) -> None:
        self.terms.require_finite(self.steps.modules(), self.progress.step // self.steps.stride)
        self.progress.terms = self.terms.latest
        state = {
            **self.steps.state_dict(),
            "progress": vars(self.progress),
            "random": global_states(),
        }
        checkpoint.save(self.checkpoints, self.progress.step, state)

    def _restore(self) -> None:
        """Go on from the newest whole checkpoint, if there is one; make the log agree with it."""
        state = checkpoint.load_newest(self.checkpoints, self.task.seen_text.device)
        if state is not None:
            try:
                self.steps.load_state_dict(state)
                set_global_states(state["random"])
                steps = self.iterations * self.steps.stride
                self.progress = Progress(**state["progress"]).checked(steps)
            except Exception as error:  # another state can fail anywhere in torch and numpy
                reason = " ".join(str(error).split())
                raise InputError(f"{self.checkpoints}: not of this run: {reason}") from None
            self.terms.latest = self.progress.terms
        log = read_log(self.folder.path)
        others = [record for record in log if not results.is_of(record, self.label)]
        self.folder.write_log("metrics", others + self.progress.records)
