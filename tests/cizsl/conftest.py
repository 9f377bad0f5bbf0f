"""A toy world and a tiny configuration on it."""

import pytest
import torch

from cizsl.config import CIZSLConfig
from cizsl.prepare.toy_birds import make_toy
from repro import locate
from repro.config import validate


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """The folder of the toy world, made once for each worker."""
    root = tmp_path_factory.mktemp("toy")
    make_toy(root, seed=0)
    return root


@pytest.fixture
def tiny(toy):
    """``tiny(section={...})``: a configuration of a few seconds, with some values changed."""

    def make(**changes):
        values = {
            "data": {"root": str(toy)},
            "model": {"noise_dim": 8, "text_embed_dim": 16, "hidden_dim": 32},
            "optimiser": {"batch_size": 64, "iterations": 12, "learning_rate": 2e-3},
            "evaluation": {"protocol": "reference", "every": 4, "start": 4, "samples": 10},
            "compute": {"checkpoint_seconds": 0},
        }
        for section, change in changes.items():
            inner = isinstance(change, dict)
            values[section] = {**values.get(section, {}), **change} if inner else change
        return validate(values, CIZSLConfig, "test")

    return make


@pytest.fixture(scope="session")
def finished_strict(toy, tmp_path_factory):
    """A finished run of the strict protocol, with the Gaussian generator; not to be changed."""
    from tests.cizsl.training.runs import run

    values = [f"data.root={toy}", "generator=gaussian", "evaluation.samples=5"]
    config = locate.load("toy_cub_easy_strict", "cizsl", CIZSLConfig, values)
    run(config, path := tmp_path_factory.mktemp("finished") / "run")
    return path


@pytest.fixture
def float64():
    """Compute in float64, from one seed."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)
