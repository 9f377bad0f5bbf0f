"""The same model a second time: other samples, and training that goes on with other settings."""

import numpy as np
import pytest
import torch

from repro.config import dump, load
from repro.run import RunFolder
from repro.signals import Interrupted
from sde.cli.parser import main
from sde.config.run import SDEConfig
from sde.trained_model import FREE
from sde.training.train import train
from tests.sde.conftest import StopAfter, tiny_config

pytestmark = pytest.mark.usefixtures("undrawn")


def test_samples_are_many_and_not_lost(plane_run, tmp_path, capsys):
    command = ["sample", str(plane_run), "--steps", "3", "--out", str(tmp_path), "--device", "cpu"]
    assert main([*command, "-n", "6"]) == 0
    first = np.load(tmp_path / "samples_dpm_solver_pp_2m_3.npz")["x"]
    assert main([*command, "-n", "4"]) == 2
    assert "holds 6 samples, and 4 are asked for" in capsys.readouterr().err
    assert main([*command, "-n", "6", "sampling.seed=1"]) == 0
    other = np.load(tmp_path / "samples_dpm_solver_pp_2m_3_seed1.npz")["x"]
    assert np.abs(first - other).min() > 1e-4
    assert np.array_equal(first, np.load(tmp_path / "samples_dpm_solver_pp_2m_3.npz")["x"])


def test_a_resumed_run_may_sample_evaluate_and_compute_otherwise(tmp_path, capsys):
    run = str(tmp_path / "run")
    where = ["--out", run, "--device", "cpu"]
    config = tiny_config(optimiser={"iterations": 10**6})
    with RunFolder(tmp_path / "run", config) as folder, pytest.raises(Interrupted):
        train(config, folder, torch.device("cpu"), StopAfter(6))
    (tmp_path / "config.yaml").write_text(dump(config))
    again = ["train", str(tmp_path / "config.yaml"), *where, "--resume"]
    assert main([*again, "optimiser.batch_size=16"]) == 2
    assert "optimiser.batch_size 32 here, 16 given" in capsys.readouterr().err
    changed = ["compute.gradient_accumulation=2", "evaluation.every=3", "sampling.steps=7"]
    settings = load(tmp_path / "config.yaml", SDEConfig, changed)
    with (
        RunFolder(tmp_path / "run", settings, True, FREE) as folder,
        pytest.raises(Interrupted),
    ):
        train(settings, folder, torch.device("cpu"), StopAfter(6))
    assert load(tmp_path / "run" / "config.yaml", SDEConfig) == settings
    assert main(["sample", run, "-n", "2", "--device", "cpu"]) == 0
