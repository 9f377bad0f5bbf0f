"""Training of a score model: resumable, on one process or several.

An iteration draws examples, times and noise, takes a gradient step on the loss, and updates the
moving average of the weights, which is what is sampled, evaluated and measured on held-out
examples. With torchrun every rank draws the same numbers and takes its share of each batch, in
``compute.gradient_accumulation`` parts, so that the batch does not depend on the number of ranks.
"""

import contextlib
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from tqdm import tqdm

from repro import checkpoint
from repro.device import precision
from repro.distributed import SINGLE_PROCESS, DistributedContext
from repro.errors import InputError
from repro.run import RunFolder, environment
from repro.seeding import global_states, seed_of, set_global_states
from repro.signals import Interrupted, StopRequest
from sde import build
from sde.callbacks import TrainingCallbacks
from sde.config.run import SDEConfig
from sde.trained_model import require_same_model

HELD_OUT_DRAWS = 1024
HELD_OUT_AT_ONCE = 256
DIVERGED = 1e6  # times the loss at the start: a loss that is finite, but of nothing


@dataclass
class Progress:
    """How far a run is: everything besides weights and draws that a checkpoint holds."""

    step: int = 0
    seconds: float = 0.0
    first: float | None = None  # the held-out loss before training
    total: Tensor | None = None  # sum of the losses since the last record, on the device
    records: list = field(default_factory=list)


class Training:
    """One training in a run folder, which the leader has claimed; see :meth:`run`."""

    def __init__(
        self,
        config: SDEConfig,
        folder: RunFolder,
        device: torch.device,
        world: DistributedContext = SINGLE_PROCESS,
    ):
        self.config, self.folder, self.device, self.world = config, folder, device, world
        torch.set_num_threads(config.compute.threads)
        self.data = build.dataset(config, device)
        self.sde, self.progress = build.process(config), Progress()
        network = build.network(config, self.data.spec.shape, device)
        self.network = build.laid_out(config, network)
        self.average = build.average(config, self.network).eval()
        build.fast(config, self.network)
        self.optimiser = build.optimiser(config, self.network)
        self.generator = build.stream(config, device, build.TRAINING)
        self.loss = build.loss(config, self.sde)
        self.gradient_accumulation = config.compute.gradient_accumulation
        self.share = world.share(config.optimiser.batch_size, self.gradient_accumulation)
        self.watch = (
            TrainingCallbacks(config, folder, self.data, self.sde) if world.leader else None
        )

    def run(self, stop: StopRequest) -> Progress:
        """Train to the end, or raise :class:`Interrupted` with everything saved."""
        self._restore()
        settings, progress, generator = self.config.optimiser, self.progress, self.generator
        network = self.world.parallel(self.network, self.device)
        parameters = list(self.network.parameters())
        started = saved = time.monotonic()
        before = progress.seconds
        with self._bar() as bar, precision(self.config.compute.precision, self.device):
            for step in range(progress.step, settings.iterations):
                progress.seconds = before + time.monotonic() - started
                if self.world.any(stop.requested):
                    self._save()
                    self.world.wait()  # torchrun stops all where one has ended
                    raise Interrupted(f"go on with --resume ({self.folder.path})")

                self.optimiser.zero_grad()
                for part, (x0, u, z) in enumerate(self._batch(generator), 1):
                    alone = part == self.gradient_accumulation or self.world.size == 1
                    with contextlib.nullcontext() if alone else network.no_sync():
                        loss = self.loss(network, x0, u, z).loss / self.gradient_accumulation
                        with torch.autocast(self.device.type, enabled=False):  # forward's types
                            loss.backward()
                    progress.total = progress.total + self.world.mean(loss.detach())
                norm = nn.utils.clip_grad_norm_(parameters, settings.max_grad_norm or math.inf)

                rise = min(1.0, (step + 1) / max(1, settings.warmup_steps))
                for group in self.optimiser.param_groups:
                    group["lr"] = settings.learning_rate * rise
                self.optimiser.step()
                self.average.update_parameters(self.network)
                progress.step += 1
                bar.update()

                if progress.step % self.config.evaluation.every == 0:
                    bar.set_postfix(self._record(norm))
                if self.world.leader:
                    self.watch.grid(self.average.module, progress)
                if time.monotonic() - saved >= self.config.compute.checkpoint_seconds:
                    self._save()
                    saved = time.monotonic()
        progress.seconds = before + time.monotonic() - started
        self._save()
        self.world.wait()  # nobody leaves while the last gradients are on their way
        return progress

    @torch.no_grad()
    def heldout_loss(self, network: nn.Module) -> float:
        """The loss on held-out items, with the same times, noise and dequantisation each time, and
        without dropout, whose random numbers are those of training."""
        trains = network.training
        network.eval()
        generator = build.stream(self.config, self.device, build.EVALUATION)
        x0 = self.data.heldout.draw(HELD_OUT_DRAWS, generator)
        u = (torch.arange(len(x0), device=self.device) + 0.5) / len(x0)
        z = torch.randn(x0.shape, generator=generator, device=self.device)
        # without gradients an item takes far less memory than in training
        at_once = min(
            HELD_OUT_AT_ONCE, 4 * self.config.optimiser.batch_size // self.gradient_accumulation
        )
        parts = zip(*(x.split(at_once) for x in (x0, u, z)), strict=True)
        total = sum(self.loss(network, *part).per_sample.sum().item() for part in parts)
        network.train(trains)
        return total / len(x0)

    def _batch(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Items, uniform numbers and noise of this rank's share of a batch, part by part."""
        count, rows = self.config.optimiser.batch_size, self.share
        x0 = self.data.train.draw(count, generator, rows)
        u = torch.rand(count, generator=generator, device=self.device)[rows]
        shape = (count, *self.data.spec.shape)
        z = torch.randn(shape, generator=generator, device=self.device)[rows]
        return zip(*(x.chunk(self.gradient_accumulation) for x in (x0, u, z)), strict=True)

    def _record(self, norm: Tensor) -> dict[str, str]:
        """Measure, write a line of ``metrics.jsonl``, return what the progress bar shows."""
        if not self.world.leader:
            self.progress.total = torch.zeros_like(self.progress.total)
            return {}
        self._require_sound()
        progress, every = self.progress, self.config.evaluation.every
        record = {
            "iteration": progress.step,
            "loss": progress.total.item() / every,
            "heldout_loss": self.heldout_loss(self.average.module),
            "gradient_norm": norm.item(),
            "learning_rate": self.optimiser.param_groups[0]["lr"],
        }
        progress.total = torch.zeros_like(progress.total)
        progress.records.append(record)
        self.folder.log("metrics", record)
        self.watch.record(record)
        return {name: f"{record[name]:.4f}" for name in ("loss", "heldout_loss")}

    def _require_sound(self) -> None:
        """Raise InputError where the weights have gone bad: before anything of them is saved."""
        value, first = self.heldout_loss(self.network), self.progress.first
        if not value <= DIVERGED * first:  # or it is not a number
            raise InputError(
                f"{self.folder.path}: the run diverged: at iteration {self.progress.step} the "
                f"held-out loss is {value:g}, {first:g} at the start; the checkpoints are from "
                "before that; try a smaller optimiser.learning_rate"
            )

    def _save(self) -> None:
        if not self.world.leader:
            return
        self._require_sound()
        state = {
            "config": self.config.model_dump(mode="json"),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "progress": vars(self.progress),
            "random": global_states(),
        }
        checkpoint.save(self.folder.checkpoints, self.progress.step, state)

    def _restore(self) -> None:
        """Go on from the newest whole checkpoint, if there is one; make the log agree with it."""
        state = checkpoint.load_newest(self.folder.checkpoints)
        if state is not None:
            require_same_model(state, self.config, self.folder.checkpoints)
            try:
                self.network.load_state_dict(state["network"])
                self.average.load_state_dict(state["average"])
                self.optimiser.load_state_dict(state["optimiser"])
                self.generator.set_state(state["generator"])
                set_global_states(state["random"])
                self.progress = Progress(**state["progress"])
                self.progress.total = self.progress.total.to(self.device)
            except (KeyError, TypeError, ValueError, RuntimeError) as error:
                reason = " ".join(str(error).split())
                raise InputError(f"{self.folder.checkpoints}: not of this run: {reason}") from None
        else:
            self.progress.first = self.heldout_loss(self.network)
            self.progress.total = torch.zeros((), device=self.device)
        if not self.world.agree(self.progress.step):
            raise InputError(
                f"{self.folder.checkpoints}: ranks read checkpoints of different iterations; the "
                "disk that they share lags behind: resume again"
            )
        if self.world.size > 1:  # each rank its own dropout
            torch.manual_seed(seed_of(self.config.seed, self.world.rank, self.progress.step))
        if self.world.leader:
            self.folder.write_log("metrics", self.progress.records)

    def _bar(self) -> tqdm:
        return tqdm(
            desc="/".join(self.folder.path.parts[-2:]),
            total=self.config.optimiser.iterations,
            initial=self.progress.step,
            unit="it",
            mininterval=0.5 if sys.stderr.isatty() else 30,
            dynamic_ncols=True,
            disable=not self.world.leader,
        )


def train(
    config: SDEConfig,
    folder: RunFolder,
    device: torch.device,
    stop: StopRequest,
    world: DistributedContext = SINGLE_PROCESS,
) -> dict:
    """Run ``config`` in ``folder``, which the leader has claimed, and return what ``results.json``
    holds; of the other ranks, nothing."""
    from sde import figures  # matplotlib takes a second to import

    training = Training(config, folder, device, world)
    if world.leader:
        found = environment(device, training.data.checksums)
        folder.record_environment(found | {"processes": world.size})
    progress = training.run(stop)
    if not world.leader:
        return {}
    figures.save(figures.training(progress.records), folder.path / "training.png")
    summary = {
        "dataset": training.data.spec.name,
        "process": config.process.name,
        "network": config.model.network,
        "energy": config.model.energy,
        "parameters": sum(parameter.numel() for parameter in training.network.parameters()),
        "seed": config.seed,
        "iterations": progress.step,
        "seconds": round(progress.seconds, 3),
        "device": device.type,
        "heldout_loss": training.heldout_loss(training.average.module),
    }
    folder.write("results.json", summary)
    checkpoint.prune(folder.checkpoints, keep=1)
    return summary
