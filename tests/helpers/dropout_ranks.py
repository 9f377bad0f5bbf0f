"""Work of one rank: train with dropout once without a stop, and once with a stop and a resume."""

import math
from contextlib import nullcontext, suppress
from pathlib import Path

import torch

from repro.distributed import init_distributed
from repro.run import RunFolder
from repro.signals import Interrupted
from sde.training.train import train
from tests.sde.conftest import StopAfter, tiny_config

STEPS = 5  # before the stop, of 8
UNET = {"channels": 8, "multipliers": (1,), "attention": (), "dropout": 0.5}


def train_with_dropout(out: Path) -> None:
    config = tiny_config(
        data={"name": "digits"},
        model={"network": "ncsnpp", "unet": UNET, "hidden_dim": 128, "depth": 3, "frequencies": 4},
        optimiser={"iterations": 8, "batch_size": 16},
        compute={"checkpoint_seconds": 1000},
    )
    with init_distributed(torch.device("cpu")) as (ranks, device):
        for name, looks in (("whole", math.inf), ("pieces", STEPS), ("pieces", math.inf)):
            folder = RunFolder(out / name, config, resume=True)
            with folder if ranks.leader else nullcontext(), suppress(Interrupted):
                ranks.wait()
                train(config, folder, device, StopAfter(looks), ranks)
            ranks.wait()
