"""Tiny configurations, and runs of them."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from repro.config import validate
from repro.run import RunFolder
from sde.config.run import SDEConfig
from sde.training.train import train
from tests.sde.published_checkpoints import CONFIG, network_like, official

CPU = torch.device("cpu")
TINY = {
    "data": {"train": 400, "heldout": 200},
    "model": {"hidden_dim": 16, "depth": 1, "frequencies": 2},
    "optimiser": {"batch_size": 32, "iterations": 12, "warmup_steps": 5},
    "evaluation": {"every": 4, "samples": 60, "likelihoods": 20, "budgets": (10, 20)},
    "compute": {"checkpoint_seconds": 0},
}


def tiny_config(**changes) -> SDEConfig:
    """``tiny_config(section={...})``: a configuration of a second, with some values changed."""
    values = dict(TINY)
    for section, change in changes.items():
        inner = isinstance(change, dict)
        values[section] = {**values.get(section, {}), **change} if inner else change
    return validate(values, SDEConfig, "test")


class StopAfter:
    """A stop request that comes after so many looks at it."""

    def __init__(self, looks):
        self.looks = looks

    @property
    def requested(self):
        self.looks -= 1
        return self.looks < 0


def run(config, path, resume=False, stop=None):
    with RunFolder(path, config, resume) as folder:
        return train(config, folder, CPU, stop or StopAfter(math.inf))


@pytest.fixture(scope="session")
def plane_run(tmp_path_factory):
    """The folder of a finished tiny run in the plane; not to be written to."""
    path = tmp_path_factory.mktemp("runs") / "plane"
    run(tiny_config(), path)
    return path


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    """The folder of a finished tiny run on the digits; not to be written to."""
    path = tmp_path_factory.mktemp("runs") / "digits"
    run(tiny_config(data={"name": "digits"}, evaluation={"probes": 2}), path)
    return path


@pytest.fixture
def published_folder(tmp_path, monkeypatch):
    """A folder with a checkpoint of two networks, images, and the configuration of both."""
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
    np.savez("images.npz", images=images)
    Path("tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    official("checkpoint_5.pth", network_like(1), network_like(2))
    return tmp_path
