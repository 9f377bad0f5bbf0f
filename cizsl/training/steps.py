"""The steps of a training: those of a GAN, or of a score-based generator."""

from collections.abc import Sequence
from typing import Any, Protocol, cast

from torch import Tensor, nn

from cizsl import build
from cizsl.batches import Batch, CriticBatch, GeneratorBatch
from cizsl.config import CIZSLConfig
from cizsl.losses import Terms
from cizsl.protocols import ZSLTask
from cizsl.training.graph import IterationGraph


class Steps(Protocol):
    """What a training repeats: ``stride`` steps in each iteration.

    ``whole``: whether all steps of an iteration are taken at once, with the first of them, so that
    the training must not stop between them.
    """

    stride: int
    whole: bool

    @property
    def generator(self) -> Any:
        """The generator that is evaluated and saved, a module."""
        ...

    def step(self, iteration: int, position: int) -> dict[str, Tensor]:
        """Take one step, ``position`` of ``stride``; return loss terms by name."""
        ...

    def modules(self) -> dict[str, nn.Module]:
        """Return the networks by name."""
        ...

    def state_dict(self) -> dict:
        """Return everything that a checkpoint needs."""
        ...

    def load_state_dict(self, state: dict) -> None:
        """Restore what :meth:`state_dict` returned."""
        ...


def make_steps(config: CIZSLConfig, task: ZSLTask) -> Steps:
    """Return the steps of the configured generator's training, with seeded weights."""
    return GANSteps(config, task) if config.generator == "gan" else build.score_steps(config, task)


class GANSteps:
    """The networks and the sampler of batches, and everything that a checkpoint needs of them.

    Args: ``config``, ``task`` as for :class:`cizsl.training.trainer.Trainer`.
    """

    def __init__(self, config: CIZSLConfig, task: ZSLTask):
        self.stride = config.optimiser.critic_steps + 1
        self.gan, self.sampler = build.gan(config, task), build.sampler(config, task)
        self.generator = self.gan.generator
        self.whole = config.compute.has_graph(task.seen_text.device.type)
        self._restart()

    def _restart(self) -> None:
        """Forget the graph, which knows where the optimisers' moments were."""
        self._iterate = IterationGraph(self._take, self.gan.drop_partial_iteration)
        self._terms: list[Terms] = []

    def step(self, iteration: int, position: int) -> Terms:
        """Take step ``position`` of an iteration, the generator's last; return the loss terms."""
        if self.whole and position == 0:
            self._terms = self._iterate([self._draw(i) for i in range(self.stride)])
        if self._terms:
            return self._terms[position]
        # also the rest of an iteration that a checkpoint has interrupted
        return self._take([self._draw(position)])[0]

    def _take(self, batches: Sequence[Batch]) -> list[Terms]:
        """Take the step of each batch; this is what a graph captures."""
        return [
            self.gan.critic_step(batch)
            if isinstance(batch, CriticBatch)
            else self.gan.generator_step(cast(GeneratorBatch, batch))
            for batch in batches
        ]

    def _draw(self, position: int) -> Batch:
        if position < self.stride - 1:
            return self.sampler.critic_batch(self.gan.teaches_critic)
        return self.sampler.generator_batch(self.gan.hallucinates)

    def modules(self) -> dict[str, nn.Module]:
        """Return the networks by name."""
        return self.gan.modules()

    def state_dict(self) -> dict:
        """Return the state of networks, optimisers and sampler."""
        return {"gan": self.gan.state_dict(), "sampler": self.sampler.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.gan.load_state_dict(state["gan"])
        self.sampler.load_state_dict(state["sampler"])
        self._restart()
