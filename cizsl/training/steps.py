"""The steps of a training: those of a GAN, or of a score-based generator."""

from typing import Any, Protocol

from torch import Tensor, nn

from cizsl import build
from cizsl.config import CIZSLConfig
from cizsl.protocols import ZSLTask


class Steps(Protocol):
    """What a training repeats: ``stride`` steps in each iteration."""

    stride: int

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

    def step(self, iteration: int, position: int) -> dict[str, Tensor]:
        """Take step ``position`` of an iteration, the generator's last; return the loss terms."""
        gan, sampler = self.gan, self.sampler
        if position < self.stride - 1:
            return gan.critic_step(sampler.critic_batch(gan.teaches_critic))
        return gan.generator_step(sampler.generator_batch(gan.hallucinates))

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
