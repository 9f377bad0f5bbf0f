"""Published checkpoints and exported weights: read, refused, turned into runs and back."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from repro.config import load as load_config
from repro.errors import InputError
from sde import build
from sde.checkpoint import load_official, read_official
from sde.cli.parser import main
from sde.config.run import SDEConfig
from sde.networks import NCSNpp
from sde.networks.published import FROZEN, published_tensors
from sde.trained_model import load

CPU = torch.device("cpu")
UNET = {
    "channels": 8,
    "multipliers": [1, 2],
    "attention": [8],
    "embedding": "fourier",
    "fir": True,
    "progressive_input": "residual",
    "scale_by_sigma": True,
}
CONFIG = {
    "data": {"name": "npz", "path": "images.npz", "heldout": 4, "centred": False},
    "process": {"name": "ve"},
    "model": {"network": "ncsnpp", "prediction": "score", "conditioning": "std", "unet": UNET},
    "evaluation": {"likelihoods": 1, "probes": 1, "rtol": 1, "atol": 10},
}


def network_like(seed, shape=(1, 8, 8), **how):
    torch.manual_seed(seed)
    how = {**UNET, "blocks": 1, "centred": False, **how}
    network = NCSNpp(shape, **how).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def official(path, raw, average, **changes):
    """Write what the published code writes of these two networks."""
    names = published_tensors(raw)
    state = {
        "optimizer": {"param_groups": [{"lr": np.float64(2e-4), "steps": np.int64(7)}]},
        "model": {"module.sigmas": torch.linspace(50, 0.01, 1000, dtype=torch.float64)}
        | {f"module.{name}": tensor.detach().clone() for name, tensor in names.items()},
        "ema": {
            "decay": 0.999,
            "num_updates": 7,
            "shadow_params": [
                tensor.detach().clone()
                for name, tensor in published_tensors(average).items()
                if name != FROZEN
            ],
        },
        "step": 7,
    }
    for key, value in changes.items():
        state[key] = value(state[key]) if callable(value) else value
    torch.save(state, path)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a checkpoint of two networks, images, and the configuration of both."""
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
    np.savez("images.npz", images=images)
    Path("tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    official("checkpoint_5.pth", network_like(1), network_like(2))
    return tmp_path


def output(network):
    g = torch.Generator().manual_seed(3)
    with torch.no_grad():
        return network(torch.rand(2, 1, 8, 8, generator=g), torch.tensor([0.1, 9.0]))


def test_both_sets_of_weights_are_read(folder):
    raw, average = network_like(1), network_like(2)
    with torch.no_grad():  # the frozen frequencies are not averaged: those of the model count
        average.condition.waves.frequencies.copy_(raw.condition.waves.frequencies)
    network = network_like(3)
    assert torch.equal(output(load_official("checkpoint_5.pth", network)), output(average))
    assert torch.equal(output(load_official("checkpoint_5.pth", network, raw=True)), output(raw))
    found = read_official("checkpoint_5.pth")
    assert (found.step, found.updates) == (7, 7)


def test_numpy_1_names_are_admitted_and_no_other_stays_so(folder):
    """Files of 2021 name NumPy's scalar otherwise; torch 2.4 writes and reads it alike."""
    old, new = b"cnumpy.core.multiarray\nscalar\n", b"cnumpy._core.multiarray\nscalar\n"
    with zipfile.ZipFile("checkpoint_5.pth") as source, zipfile.ZipFile("old.pth", "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("data.pkl"):
                assert new in content
                content = content.replace(new, old)
            target.writestr(name, content)
    before = torch.serialization.get_safe_globals()
    network = load_official("old.pth", network_like(3), raw=True)
    assert torch.equal(output(network), output(network_like(1)))
    assert set(torch.serialization.get_safe_globals()) == set(before)
    with pytest.raises(Exception, match="scalar"):
        torch.load("old.pth", weights_only=True)


class Harmful:
    def __reduce__(self):
        return (print, ("this would be run",))


def without(name):
    return lambda model: {key: value for key, value in model.items() if key != name}


BROKEN = {
    "code": (dict(step=Harmful()), "not a whole checkpoint .*GLOBAL .*print was not"),
    "no average": (dict(ema=None), "model should be a state dict"),
    "no list": (dict(ema={"shadow_params": 3, "num_updates": 1}), "ema.shadow_params a list"),
    "no count": (dict(step="7"), "step and ema.num_updates counts"),
    "missing": (
        dict(model=without("module.all_modules.3.bias")),
        "1 missing: all_modules.3.bias$",
    ),
    "extra": (
        dict(model=lambda m: m | {"module.head.weight": torch.ones(2)}),
        "1 not expected: head.weight$",
    ),
    "shape": (
        dict(model=lambda m: m | {"module.all_modules.3.bias": torch.ones(2)}),
        r"1 of another shape: all_modules.3.bias \(2,\) in place of \(8,\)$",
    ),
    "short": (
        dict(ema=lambda e: e | {"shadow_params": e["shadow_params"][:-1]}),
        "155 averaged weights, 156 expected",
    ),
    "swapped": (
        dict(ema=lambda e: e | {"shadow_params": e["shadow_params"][::-1]}),
        "averaged: weights of another architecture .* of another shape",
    ),
    "not finite": (
        dict(model=lambda m: m | {"module.all_modules.0.W": torch.full((8,), torch.nan)}),
        "not finite: all_modules.0.W",
    ),
}


@pytest.mark.parametrize("change, message", BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_with_a_checkpoint_is_said(folder, change, message):
    """And the network is left as it was."""
    path = official("broken.pth", network_like(1), network_like(2), **change)
    network = network_like(3)
    before = output(network)
    with pytest.raises(InputError, match=message) as caught:
        load_official(path, network)
    assert str(caught.value).startswith("broken.pth") and "\n" not in str(caught.value)
    assert torch.equal(output(network), before)


def test_another_architecture_is_named_by_its_first_differences(folder):
    with pytest.raises(InputError) as caught:
        load_official("checkpoint_5.pth", network_like(3, blocks=2))
    assert "missing: all_modules" in str(caught.value) and str(caught.value).count("...") >= 2
    assert len(str(caught.value)) < 600


def test_noise_levels_of_a_discrete_network_must_agree(folder):
    levels = torch.linspace(50, 0.01, 1000, dtype=torch.float64)
    how = dict(embedding="positional", sigmas=levels)
    official("discrete.pth", network_like(1, **how), network_like(2, **how))
    load_official("discrete.pth", network_like(3, **how))
    with pytest.raises(InputError, match="noise levels"):
        load_official("discrete.pth", network_like(3, **how | {"sigmas": 2 * levels}))


def test_unconditional_networks_have_no_use_for_the_frequencies(folder):
    how, frozen = dict(conditional=False), {f"module.{FROZEN}": torch.ones(8)}
    pair = network_like(1, **how), network_like(2, **how)
    assert next(iter(published_tensors(pair[0]))) == "all_modules.1.weight"
    official("blind.pth", *pair, model=lambda m: m | frozen)
    assert torch.equal(output(load_official("blind.pth", network_like(3, **how))), output(pair[1]))


def test_an_import_is_a_run_that_the_other_commands_take(folder, capsys):
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


def test_raw_weights_and_exports(folder, capsys):
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


def test_sampling_a_published_data_set_needs_none_of_its_files(folder, capsys):
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


def test_bad_input_is_one_line(folder, capsys):
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
