"""The settings of a run: ``SDEConfig`` and its sections."""

from sde.config.data import Data
from sde.config.model import Model, UNet
from sde.config.run import Compute, Loss, Optimiser, Process, SDEConfig
from sde.config.sampling import Evaluation, Sampling

__all__ = [
    "Compute",
    "Data",
    "Evaluation",
    "Loss",
    "Model",
    "Optimiser",
    "Process",
    "SDEConfig",
    "Sampling",
    "UNet",
]
