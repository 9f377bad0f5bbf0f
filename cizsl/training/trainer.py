"""One training on one problem: a flat loop over steps that can stop after any of them and go on as
if it had not.
"""

import sys
import time
from dataclasses import dataclass, field

import torch
from tqdm import tqdm

from cizsl import build
from cizsl.config import CIZSLConfig
from cizsl.gan import GAN
from cizsl.protocols import ZSLTask
from cizsl.training import results
from cizsl.training.evaluate_run import measure
from repro import checkpoint
from repro.device import precision
from repro.errors import InputError
from repro.run import RunFolder
from repro.seeding import global_states, set_global_states
from repro.signals import Interrupted, StopRequest


class Diverged(InputError):
    """A loss term or a weight is not finite."""


@dataclass
class Progress:
    """How far a phase is: everything besides networks and draws that a checkpoint holds."""

    step: int = 0
    seconds: float = 0.0
    terms: dict = field(default_factory=dict)  # the latest of every loss term, on the device
    records: list = field(default_factory=list)  # one dict for each evaluation
    curves: dict = field(default_factory=dict)  # "final", "best": (2, P) seen and unseen
    best: dict = field(default_factory=dict)  # the generator at the best evaluation


class Trainer:
    """One training on one problem: ``selection`` or ``test``; see :meth:`run`.

    A ``candidate`` is one of several trainings of its phase, which differ in the creativity weight.
    """

    def __init__(
        self,
        name: str,
        config: CIZSLConfig,
        problem: ZSLTask,
        folder: RunFolder,
        iterations: int,
        candidate: bool = False,
    ):
        self.name, self.config, self.problem, self.folder = name, config, problem, folder
        self.iterations = iterations
        self.label, self.checkpoints = {"phase": name}, folder.checkpoints / name
        if candidate:
            weight = config.creativity.weight
            self.label["weight"] = weight
            self.checkpoints /= f"weight_{weight}"
        self.gan: GAN = build.gan(config, problem)
        self.sampler = build.sampler(config, problem)
        self.progress = Progress()
        self.device = problem.seen_text.device
        self._broken: dict[tuple[str, ...], torch.Tensor] = {}  # see _keep

    def run(self, stop: StopRequest) -> Progress:
        """Train to the end, or raise :class:`Interrupted` with everything saved."""
        self._restore()
        gan, sampler, progress = self.gan, self.sampler, self.progress
        critic_steps = self.config.optimiser.critic_steps
        started = saved = time.monotonic()
        before = progress.seconds
        with self._bar() as bar, precision(self.config.compute.precision, self.device):
            end = self.iterations * (critic_steps + 1)
            for step in range(progress.step, progress.step if self._has_stalled() else end):
                progress.seconds = before + time.monotonic() - started
                if stop.requested:
                    self._save()
                    raise Interrupted(f"go on with --resume ({self.folder.path})")

                iteration, position = divmod(step, critic_steps + 1)
                if position < critic_steps:
                    self._keep(gan.critic_step(sampler.critic_batch(gan.teaches_critic)), iteration)
                    progress.step += 1
                    continue

                self._keep(gan.generator_step(sampler.generator_batch(gan.hallucinates)), iteration)
                progress.step += 1
                bar.update()
                if self._is_evaluated(iteration):
                    bar.set_postfix(self._evaluate(iteration))
                    if self._has_stalled():
                        break
                if time.monotonic() - saved >= self.config.compute.checkpoint_seconds:
                    self._save()
                    saved = time.monotonic()
        progress.seconds = before + time.monotonic() - started
        self._save()
        return progress

    def _is_evaluated(self, iteration: int) -> bool:
        settings = self.config.evaluation
        if iteration == self.iterations - 1:
            return True
        if self.name == "test" and settings.protocol == "strict":
            return False  # one look, at the end
        return iteration % settings.every == 0 and iteration >= settings.start

    def _evaluate(self, iteration: int) -> dict[str, str]:
        """Evaluate, record, and return what the progress bar shows."""
        terms = self._finite_terms()
        evaluation = measure(self.config, self.gan.generator, self.problem, iteration)
        record = {**self.label, "iteration": iteration, **terms, **evaluation.scores()}
        self.progress.records.append(record)
        self.folder.log("metrics", record)
        curve = torch.tensor([evaluation.curve.seen.tolist(), evaluation.curve.unseen.tolist()])
        self.progress.curves["final"] = curve
        if results.best(self.progress.records, self._criterion()) is record:
            self.progress.curves["best"] = curve
            self.progress.best = self.generator_state()
        return {name: f"{100 * record[name]:.1f}%" for name in ("top1", "ausuc", "harmonic")}

    def generator_state(self) -> dict[str, torch.Tensor]:
        """A copy of the generator's parameters."""
        return {name: value.clone() for name, value in self.gan.generator.state_dict().items()}

    def _criterion(self) -> str:
        strict = self.config.evaluation.protocol == "strict"
        return self.config.evaluation.select_by if strict else self.config.evaluation.reported[1]

    def _has_stalled(self) -> bool:
        """Whether selection has gone ``patience`` evaluations without a better one."""
        patience, records = self.config.evaluation.patience, self.progress.records
        if self.name != "selection" or not patience or not records:
            return False
        best = results.best(records, self._criterion())
        return len(records) - 1 - records.index(best) >= patience

    def _keep(self, terms: dict[str, torch.Tensor], iteration: int) -> None:
        """Keep the latest terms and, of each, the iteration and value (2, terms) when it was first
        not finite, -1 before; on the device, without waiting for it."""
        self.progress.terms |= terms
        values = torch.stack([term.float() for term in terms.values()])
        before = self._broken.get(tuple(terms), torch.full_like(values.expand(2, -1), -1))
        now = torch.stack([torch.full_like(values, iteration), values])
        first = (before[0] < 0) & ~values.isfinite()
        self._broken[tuple(terms)] = torch.where(first, now, before)

    def _finite_terms(self) -> dict[str, float]:
        """The loss terms as numbers: the one place where training waits for the device."""
        broken = [
            (iteration, name, value)
            for names, table in self._broken.items()
            for name, iteration, value in zip(names, *table.tolist(), strict=True)
            if iteration >= 0
        ]
        if broken:
            iteration, name, value = min(broken, key=lambda item: item[0])
            raise Diverged(
                f"{self.folder.path}: the loss term '{name}' is {value} at iteration "
                f"{iteration:.0f} of phase '{self.name}'; the checkpoints are from before that"
            )
        names = list(self.progress.terms)
        values = torch.stack([self.progress.terms[name].float() for name in names]).tolist()
        return dict(zip(names, values, strict=True))

    def _save(self) -> None:
        iteration = self.progress.step // (self.config.optimiser.critic_steps + 1)
        if self.progress.terms:
            self._finite_terms()
        for name, module in self.gan.modules().items():
            if not all(parameter.isfinite().all() for parameter in module.parameters()):
                raise Diverged(
                    f"{self.folder.path}: weights of the {name} are not finite at iteration "
                    f"{iteration} of phase '{self.name}'; the checkpoints are from before that"
                )
        state = {
            "gan": self.gan.state_dict(),
            "sampler": self.sampler.state_dict(),
            "progress": vars(self.progress),
            "random": global_states(),
        }
        checkpoint.save(self.checkpoints, self.progress.step, state)

    def _restore(self) -> None:
        """Go on from the newest whole checkpoint, if there is one; make the log agree with it."""
        state = checkpoint.load_newest(self.checkpoints, self.device)
        if state is not None:
            try:
                self.gan.load_state_dict(state["gan"])
                self.sampler.load_state_dict(state["sampler"])
                set_global_states(state["random"])
                self.progress = Progress(**state["progress"])
            except (KeyError, TypeError, ValueError, RuntimeError) as error:
                reason = " ".join(str(error).split())
                raise InputError(f"{self.checkpoints}: not of this run: {reason}") from None
        names = ("phase", "weight")
        others = [
            record
            for record in self.folder.read_log("metrics")
            if {name: record[name] for name in names if name in record} != self.label
        ]
        self.folder.write_log("metrics", others + self.progress.records)

    def _bar(self) -> tqdm:
        done = self.progress.step // (self.config.optimiser.critic_steps + 1)
        return tqdm(
            desc=" ".join(["/".join(self.folder.path.parts[-2:]), *map(str, self.label.values())]),
            total=self.iterations,
            initial=done,
            unit="it",
            mininterval=0.5 if sys.stderr.isatty() else 30,
            dynamic_ncols=True,
        )
