"""Published checkpoints and exported weights: turned into runs and back."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import torch
import yaml

from repro.config import load as load_config
from repro.errors import InputError
from sde import build
from sde.cli.parser import main
from sde.config.run import SDEConfig
from sde.trained_model import load
from sde.training import convert
from tests.helpers.waiting import bounded
from tests.sde.published_checkpoints import CONFIG, UNET, network_like, official, output

CPU = torch.device("cpu")


def test_an_import_is_a_run_that_the_other_commands_take(published_folder, capsys):
    assert main(["import", "checkpoint_5.pth", "--config", "tiny.yaml"]) == 0
    run = Path("runs/tiny/checkpoint_5")
    assert "7 iterations, averaged weights of checkpoint_5.pth" in capsys.readouterr().out
    results = json.loads((run / "results.json").read_text())
    environment = json.loads((run / "environment.json").read_text())
    checksum = environment["data_files"]["checkpoint_5.pth"]
    assert results["imported"]["sha256"] == checksum and len(checksum) == 64
    assert results["iterations"] == 7 and results["network"] == "ncsnpp"
    average = network_like(2)
    with torch.no_grad():
        average.condition.waves.frequencies.copy_(network_like(1).condition.waves.frequencies)
    trained = load(run, CPU)
    assert torch.equal(output(trained.network), output(average))
    t = torch.tensor([0.3])
    x = torch.rand(1, 1, 8, 8)
    sigma = trained.sde.std(t)
    assert torch.equal(trained.score_fn(x, t), trained.network(x, sigma))  # as published for VE
    sampler = ["--sampler", "reverse_diffusion+langevin", "--steps", "2", "-n", "3"]
    assert main(["sample", str(run), *sampler]) == 0
    with np.load(run / "samples_reverse_diffusion+langevin_2.npz") as arrays:
        assert arrays["x"].shape == (3, 1, 8, 8)
    assert main(["likelihood", str(run)]) == 0
    assert "bits per dimension" in capsys.readouterr().out
    assert main(["train", "tiny.yaml", "--resume", "--out", str(run)]) == 0
    assert "complete already" in capsys.readouterr().out


def test_raw_weights_and_exports(published_folder, capsys):
    """--raw takes the others; an export brings its configuration, and comes back as it was."""
    assert main(["import", "checkpoint_5.pth", "--config", "tiny.yaml", "--raw", "--out", "r"]) == 0
    trained = load(Path("r"), CPU)
    assert torch.equal(output(trained.network), output(network_like(1)))
    assert main(["export", "r", "weights.safetensors"]) == 0
    assert main(["import", "weights.safetensors"]) == 0
    again = load(Path("runs/weights/imported"), CPU)
    assert again.config == trained.config and again.step == 7
    ours, theirs = trained.network.state_dict(), again.network.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_sampling_a_published_data_set_needs_none_of_its_files(published_folder, capsys):
    unet = dict(UNET, multipliers=[1, 1], attention=[])
    data = {"name": "cifar10", "centred": False, "download": False, "root": "empty"}
    config = {**CONFIG, "data": data, "model": {**CONFIG["model"], "unet": unet}}
    Path("cifar10.yaml").write_text(yaml.safe_dump(config))
    pair = [network_like(seed, (3, 32, 32), **unet) for seed in (1, 2)]
    official("checkpoint_9.pth", *pair)
    assert main(["import", "checkpoint_9.pth", "--config", "cifar10.yaml", "--out", "r"]) == 0
    assert main(["sample", "r", "--sampler", "euler_maruyama", "--steps", "1", "-n", "2"]) == 0
    with np.load("r/samples_euler_maruyama_1.npz") as arrays:
        assert arrays["x"].shape == (2, 3, 32, 32)
    assert main(["export", "r", "weights.safetensors"]) == 0
    capsys.readouterr()
    assert main(["likelihood", "r"]) == 2
    assert "cifar" in capsys.readouterr().err


def test_a_trained_perceptron_can_be_exported_too(plane_run, tmp_path, capsys):
    file, out = tmp_path / "plane.safetensors", tmp_path / "again"
    assert main(["export", str(plane_run), str(file)]) == 0
    assert main(["import", str(file), "--out", str(out)]) == 0
    x, t = torch.randn(4, 2), torch.linspace(0.1, 1, 4)
    assert torch.equal(load(out, CPU).score_fn(x, t), load(plane_run, CPU).score_fn(x, t))


def test_bad_input_is_one_line(published_folder, capsys):
    main(["import", "checkpoint_5.pth", "--config", "tiny.yaml", "--out", "r"])
    main(["export", "r", "weights.safetensors"])
    shutil.copy("images.npz", "fake.safetensors")
    plain = load_config("tiny.yaml", SDEConfig)
    network = build.network(plain, (1, 8, 8), CPU)
    from safetensors.torch import save_file

    save_file(network.state_dict(), "bare.safetensors")
    about = {"config": json.dumps(plain.model_dump(mode="json")), "iterations": "7"}
    save_file({"enter.weight": torch.ones(2)}, "other.safetensors", about)
    capsys.readouterr()
    config = ["--config", "tiny.yaml"]
    cases = [
        (["import", "none.pth", *config], "none.pth: no such checkpoint"),
        (["import", "images.npz", *config], "images.npz: not a whole checkpoint"),
        (["import", "checkpoint_5.pth"], "--config is needed"),
        (["import", "checkpoint_5.pth", *config, "model.unet.blocks=2"], "architecture"),
        (["import", "checkpoint_5.pth", *config, "model.energy=square"], "without an energy"),
        (["import", "checkpoint_5.pth", *config, "--out", "r"], "r: holds a run already"),
        (["import", "weights.safetensors", *config], "brings its own configuration"),
        (["import", "none.safetensors"], "cannot be read"),
        (["import", "fake.safetensors"], "not a safetensors file"),
        (["import", "bare.safetensors"], "no configuration in it"),
        (["import", "other.safetensors"], "do not fit its configuration"),
        (["import", "r/checkpoints/step_00000007.pt", *config], "lacks model, ema, step"),
        (["export", "nowhere", "x.safetensors"], "nowhere"),
        (["export", "r", "x.txt"], "x.txt: expected a name that ends in .safetensors"),
        (["export", "r", "images.npz/x.safetensors"], "cannot be written"),
    ]
    for arguments, message in cases:
        assert main(arguments) == 2, arguments
        printed = capsys.readouterr()
        assert message in printed.err and printed.err.count("\n") == 1, printed.err


def test_an_import_that_ended_early_can_be_repeated(published_folder, capsys, monkeypatch):
    """On a full disk, for instance: no command could go on with what was left."""
    command = ["import", "checkpoint_5.pth", "--config", "tiny.yaml", "--out", "r"]
    save = convert.checkpoint.save

    def fail(*_):
        raise InputError("r: cannot be written: No space left on device")

    monkeypatch.setattr(convert.checkpoint, "save", fail)
    assert main(command) == 2
    monkeypatch.setattr(convert.checkpoint, "save", save)
    assert main(command) == 0 and load(Path("r"), CPU).step == 7
    capsys.readouterr()
    assert main(command) == 2
    assert capsys.readouterr().err.strip().endswith("give another folder with --out")


def test_a_named_pipe_is_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.safetensors")
    with bounded():
        assert main(["import", str(tmp_path / "pipe.safetensors")]) == 2
    assert "pipe.safetensors: not a regular file" in capsys.readouterr().err
