"""Training of a score model: resumable, on one process or several.

A step draws examples, times and noise, takes a gradient step on the loss, and updates the moving
average of the weights, which is what is sampled, evaluated and measured on held-out examples. With
torchrun every rank draws the same numbers and takes its share of each batch, in
``compute.gradient_accumulation`` parts, so that the batch does not depend on the number of ranks.
"""

import contextlib
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from repro import optimisers
from repro.device import precision
from repro.distributed import SINGLE_PROCESS, DistributedContext
from repro.environment import environment
from repro.errors import InputError
from repro.files import checkpoint
from repro.loop import TrainingLoop
from repro.run import RunFolder
from repro.seeding import global_states, seed_of, set_global_states
from repro.signals import StopRequest
from sde import build
from sde.config.records import Progress, Record, TrainingState, read
from sde.config.run import SDEConfig
from sde.networks.label import drop_labels, with_label
from sde.trained_model import require_same_model
from sde.training.averages import PowerAverages
from sde.training.callbacks import TrainingCallbacks
from sde.training.heldout import heldout_loss

DIVERGED = 1e6  # abort if the held-out loss exceeds this many times its first value


class Trainer:
    """Trains one configuration in a run folder that the leader has claimed; see :meth:`run`.

    Args:
        config: the configuration.
        folder: the run folder; a checkpoint in it is resumed.
        device: where to train.
        ranks: the processes that train together.
    """

    def __init__(
        self,
        config: SDEConfig,
        folder: RunFolder,
        device: torch.device,
        ranks: DistributedContext = SINGLE_PROCESS,
    ):
        self.config, self.folder, self.device, self.ranks = config, folder, device, ranks
        torch.set_num_threads(config.compute.threads)
        self.data = build.dataset(config, device)
        self.sde, self.progress = build.process(config), Progress()
        network = build.network_for(config, self.data.spec, device)
        self.network = build.to_memory_format(config, network)
        self.ema = build.ema(config, self.network).eval()
        self.averages = PowerAverages(config, self.network, folder.path if ranks.leader else None)
        build.compile_network(config, self.network)
        self.optimiser = build.optimiser(config, self.network)
        self.rng = build.stream(config, device, build.TRAINING)
        self.loss = build.loss(config, self.sde)
        self.parts = config.compute.gradient_accumulation
        self.rows = ranks.shard(config.optimiser.batch_size, self.parts)
        self.callbacks = (
            TrainingCallbacks(config, folder, self.data, self.sde) if ranks.leader else None
        )

    def run(self, stop: StopRequest) -> Progress:
        """Train to the end and return the progress.

        Raises :class:`Interrupted` after a stop request, with everything saved, and InputError
        where the loss diverges.
        """
        self._restore()
        network = self.ranks.parallel(self.network, self.device)
        loop = TrainingLoop(
            self.progress,
            self.config.optimiser.iterations,
            self._save,
            stop,
            name="/".join(self.folder.path.parts[-2:]),
            resume=f"go on with --resume ({self.folder.path})",
            save_seconds=self.config.compute.checkpoint_seconds,
            ranks=self.ranks,
        )
        with precision(self.config.compute.precision, self.device):
            for step in loop:
                norm = self._train_step(network, step)
                if self.progress.step % self.config.evaluation.every == 0:
                    loop.show(self._record(norm))
                if self.callbacks is not None:
                    self.callbacks.samples(self.ema.module, self.progress)
        return self.progress

    def _train_step(self, network: nn.Module, step: int) -> Tensor:
        """Make one training step; return the norm of the gradient before clipping, ()."""
        settings = self.config.optimiser
        self._seed_dropout(step)

        self.optimiser.zero_grad()
        for part, (x0, u, z, *label) in enumerate(self._batch(), 1):
            ddp = network if isinstance(network, DistributedDataParallel) else None
            reduce_now = part == self.parts
            with contextlib.nullcontext() if reduce_now or ddp is None else ddp.no_sync():
                loss = self.loss(with_label(network, *label), x0, u, z).loss / self.parts
                with torch.autocast(self.device.type, enabled=False):  # dtypes of the forward pass
                    loss.backward()
            assert self.progress.total is not None  # set by `_restore`
            self.progress.total = self.progress.total + self.ranks.mean(loss.detach())
        max_norm = settings.max_grad_norm or math.inf
        norm = nn.utils.clip_grad_norm_(list(self.network.parameters()), max_norm)

        for group in self.optimiser.param_groups:
            group["lr"] = build.learning_rate(self.config, step)
        self.optimiser.step()
        self.ema.update_parameters(self.network)
        self.averages.update(self.network, step + 1)
        return norm

    def _batch(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield examples, uniform numbers, noise and labels, if any, of this rank, in parts."""
        count, rows, model = self.config.optimiser.batch_size, self.rows, self.config.model
        x0, label = self.data.train.draw_conditioned(model.condition, count, self.rng, rows)
        u = torch.rand(count, generator=self.rng, device=self.device)[rows]
        shape = (count, *self.data.spec.shape)
        z = torch.randn(shape, generator=self.rng, device=self.device)[rows]
        drawn = [x0, u, z]
        if label is not None:
            dropped = torch.rand(count, generator=self.rng, device=self.device)[rows]
            drawn.append(drop_labels(label, dropped < model.condition_dropout))
        return zip(*(x.chunk(self.parts) for x in drawn), strict=True)

    def _seed_dropout(self, step: int) -> None:
        """On several ranks, make dropout a function of (seed, rank, step).

        A checkpoint holds the random state of the leader alone, so a resumed run could not go on
        with the states of the others.
        """
        if self.ranks.size > 1:
            torch.manual_seed(seed_of(self.config.seed, build.DROPOUT, self.ranks.rank, step))

    def heldout_loss(self, network: nn.Module) -> float:
        """The mean loss on held-out examples, see :mod:`sde.training.heldout`."""
        return heldout_loss(self.config, self.loss, self.data, network, self.device)

    def _record(self, norm: Tensor) -> dict[str, str]:
        """Append a line to ``metrics.jsonl``; return what the progress bar shows."""
        progress, total = self.progress, self.progress.total
        assert total is not None  # set by `_restore`
        progress.total = torch.zeros_like(total)
        if self.callbacks is None:
            return {}
        self._require_sound()
        record: Record = {
            "iteration": progress.step,
            "loss": total.item() / self.config.evaluation.every,
            "heldout_loss": self.heldout_loss(self.ema.module),
            "gradient_norm": norm.item(),
            "learning_rate": self.optimiser.param_groups[0]["lr"],
        }
        progress.records.append(record)
        self.folder.log("metrics", record)
        self.callbacks.record(progress.records)
        return {name: f"{record[name]:.4f}" for name in ("loss", "heldout_loss")}

    def _require_sound(self) -> None:
        """Raise InputError where the loss has diverged, before such weights are saved."""
        value, first = self.heldout_loss(self.network), self.progress.first
        assert first is not None  # set by `_restore`
        if not value <= DIVERGED * first:  # also where it is not a number
            raise InputError(
                f"{self.folder.path}: the run diverged: at iteration {self.progress.step} the "
                f"held-out loss is {value:g}, {first:g} at the start; the checkpoints are from "
                "before that; try a smaller optimiser.learning_rate"
            )

    def _save(self) -> None:
        if not self.ranks.leader:
            return
        self._require_sound()
        state = {
            "config": self.config.model_dump(mode="json"),
            "network": self.network.state_dict(),
            "average": self.ema.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.rng.get_state(),
            "progress": dict(self.progress),
            "random": global_states(),
            "power": self.averages.state_dicts(),
        }
        checkpoint.save(self.folder.checkpoints, self.progress.step, state)

    def _restore(self) -> None:
        """Resume from the newest whole checkpoint, if there is one, and cut the log back to it."""
        found = checkpoint.load_newest(self.folder.checkpoints)
        if found is None:
            self.progress.first = self.heldout_loss(self.network)
            self.progress.total = torch.zeros((), device=self.device)
        else:
            self._load(read(found, TrainingState, self.folder.checkpoints))
        if not self.ranks.agree(self.progress.step):
            raise InputError(
                f"{self.folder.checkpoints}: ranks read checkpoints of different iterations; the "
                "disk that they share lags behind: resume again"
            )
        if self.ranks.leader:
            self.folder.write_log("metrics", self.progress.records)

    def _load(self, state: TrainingState) -> None:
        where = self.folder.checkpoints
        require_same_model(state, self.config, where)
        try:
            self.network.load_state_dict(state.network)
            self.ema.load_state_dict(state.average)
            optimisers.restore(self.optimiser, state.optimiser)
            self.averages.load_state_dicts(state.power)
            self.rng.set_state(state.generator)
            set_global_states(state.random)
            self.progress = state.progress
            assert state.progress.total is not None  # its model requires one
            self.progress.total = state.progress.total.to(self.device).reshape(())
        except Exception as error:  # another state can fail anywhere in torch and numpy
            raise InputError(f"{where}: not of this run: {' '.join(str(error).split())}") from None


def train(
    config: SDEConfig,
    folder: RunFolder,
    device: torch.device,
    stop: StopRequest,
    ranks: DistributedContext = SINGLE_PROCESS,
) -> dict:
    """Train ``config`` in ``folder`` and return what ``results.json`` holds.

    Args: those of :class:`Trainer` and :meth:`Trainer.run`. Ranks other than the leader return {}.
    """
    trainer = Trainer(config, folder, device, ranks)
    if ranks.leader:
        found = environment(device, trainer.data.checksums)
        folder.record_environment(found | {"processes": ranks.size})
    progress = trainer.run(stop)
    if trainer.callbacks is None:
        return {}
    trainer.callbacks.finish(progress.records)
    summary = {
        **build.summary(config, trainer.data.spec.name, trainer.network, progress.step),
        "seconds": round(progress.seconds, 3),
        "device": device.type,
        "heldout_loss": trainer.heldout_loss(trainer.ema.module),
        **trainer.data.noted,
    }
    folder.write("results.json", summary)
    checkpoint.prune(folder.checkpoints, keep=1)
    return summary
