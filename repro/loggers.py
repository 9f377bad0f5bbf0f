"""Loggers that follow a run from outside: TensorBoard, and Weights & Biases where installed.

Their files lie in the run folder. Records are numbers by name; a logger takes no part in the run,
which writes ``metrics.jsonl`` in any case.
"""

import importlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.errors import InputError


class Logger(ABC):
    """Receives the records and figures of one run."""

    @abstractmethod
    def log(self, record: Mapping[str, Any], step: int) -> None:
        """Log the numbers of ``record`` at iteration ``step``; other values are left out."""

    @abstractmethod
    def figure(self, name: str, figure: Any, step: int) -> None:
        """Log a Matplotlib figure at iteration ``step``."""

    def close(self) -> None:
        """Flush what is buffered, and end."""
        return None


class NoLogger(Logger):
    """Logs nothing."""

    def log(self, record, step):
        return None

    def figure(self, name, figure, step):
        return None


class TensorBoard(Logger):
    """Writes event files into ``tensorboard/``. Raises InputError where it is not installed."""

    def __init__(self, folder: Path, config: Mapping[str, Any], key: str):
        module = require_installed("tensorboard", key)
        self.writer = module.SummaryWriter(folder / "tensorboard")

    def log(self, record, step):
        for name, value in _numbers(record).items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def figure(self, name, figure, step):
        self.writer.add_figure(name, figure, step, close=False)

    def close(self):
        self.writer.close()


class WandB(Logger):
    """Logs to Weights & Biases, under the project ``WANDB_PROJECT`` or that of its settings.

    ``WANDB_MODE=offline`` keeps everything in ``wandb/``. Raises InputError where it is not
    installed.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], key: str):
        self.wandb = require_installed("wandb", key)
        name = "/".join(folder.resolve().parts[-2:])
        settings = dict(dir=os.fspath(folder), name=name, config=dict(config))
        self.run = self.wandb.init(**settings, resume="auto")  # an interrupted run of this folder

    def log(self, record, step):
        self.run.log(_numbers(record), step=step)

    def figure(self, name, figure, step):
        self.run.log({name: self.wandb.Image(figure)}, step=step)

    def close(self):
        self.run.finish()


LOGGERS = {
    "none": lambda folder, config, key: NoLogger(),
    "tensorboard": TensorBoard,
    "wandb": WandB,
}


MODULES = {  # what a logger needs: the module, its product and its package
    "tensorboard": ("torch.utils.tensorboard", "TensorBoard", "tensorboard"),
    "wandb": ("wandb", "Weights & Biases", "wandb"),
}


def require_installed(name: str, key: str = "compute.logger") -> Any:
    """Return the module of the logger ``name``, None where it needs none.

    Args:
        name: a key of ``LOGGERS``.
        key: of the configuration that names the logger, for messages.

    Raises InputError where the module is not installed.
    """
    if name not in MODULES:
        return None
    module, product, package = MODULES[name]
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(
            f"{key}: {product} is not installed; install it with pip install {package}"
        ) from None


def make_logger(
    name: str, folder: Path, config: Mapping[str, Any], key: str = "compute.logger"
) -> Logger:
    """Return the logger ``name``, a key of ``LOGGERS``, for the run in ``folder``.

    Args:
        name: "none", "tensorboard" or "wandb".
        folder: the run folder.
        config: the resolved configuration, JSON-ready.
        key: of the configuration that names the logger, for messages.

    Raises InputError where what it needs is not installed.
    """
    return LOGGERS[name](folder, config, key)


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    numeric = (int, float)
    return {
        name: value
        for name, value in record.items()
        if isinstance(value, numeric) and not isinstance(value, bool)
    }
