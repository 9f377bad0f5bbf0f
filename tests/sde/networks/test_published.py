"""The score U-Nets agree with the published code: outputs, gradients, every parameter's name and
shape, and its checkpoints."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sde.checkpoint import load_official, read_official
from sde.networks.published import FROZEN, published_tensors
from tests.helpers.oracles_networks import network_of
from tests.helpers.rounding import float32_bound

EXCERPTS = Path(__file__).parents[2] / "golden" / "sde"
SHIPPED = ("ncsnpp_vp", "ncsnpp_ve_3level_2block")
NAMES = (*SHIPPED, "ncsnpp_ve", "ddpmpp_vp", "ddpm_vp")
SHAPES = json.loads((EXCERPTS / "shapes.json").read_text())


class Recorded:
    """One recorded network: configuration, weights, arrays by name, gradient norms by name."""

    def __init__(self, golden, name):
        if name in SHIPPED:
            self.about = json.loads((EXCERPTS / f"{name}.json").read_text())
            arrays, prefix = np.load(EXCERPTS / f"{name}.npz"), ""
            weights = EXCERPTS / f"{name}.safetensors"
        else:
            self.about = json.loads(golden("sde/nets.json").read_text())[name]
            arrays, prefix = np.load(golden("sde/nets.npz")), f"{name}/"
            weights = golden(f"sde/nets/{name}.safetensors")
        self.fourier = "W" in [key.split(".")[-1] for key, _ in self.about["param_order"][:1]]
        self.arrays = {
            key: torch.from_numpy(arrays[key if key in ("x", "cotangent") else prefix + key])
            for key in ("x", "cotangent", "labels", "output", "grad_x", "output_f64")
        }
        self.network = network_of(self.about["config"]).eval()
        fill(self.network, load_file(weights))


@pytest.fixture(params=NAMES)
def recorded(request, golden):
    return Recorded(golden, request.param)


def fill(network, weights):
    ours = published_tensors(network)
    with torch.no_grad():
        for name, tensor in ours.items():
            tensor.copy_(weights[name])


def gap(ours, theirs):
    """The largest difference within a sample, relative to that sample's largest value."""
    ours, theirs = ours.detach().flatten(1).double(), theirs.flatten(1).double()
    return ((ours - theirs).abs().amax(1) / theirs.abs().amax(1)).max().item()


def in_float32(fourier):
    """The rounding of some 20 layers that add 9 x 8 numbers each; and of the Fourier embedding,
    the sines of angles up to a thousand: 1000 eps."""
    return float32_bound(20 * 9 * 8) + (1000 * float32_bound(1, margin=1) if fourier else 0)


def test_outputs_and_gradients_in_float32(recorded):
    """The published code itself differs between float32 and float64 by 2e-6, and with the Fourier
    embedding by 1e-5, and up to 3e-5 between machines."""
    tolerance = in_float32(recorded.fourier)
    arrays, network = recorded.arrays, recorded.network
    x = arrays["x"].clone().requires_grad_()
    output = network(x, arrays["labels"])
    (output * arrays["cotangent"]).sum().backward()
    assert gap(output, arrays["output"]) < tolerance
    assert gap(x.grad, arrays["grad_x"]) < tolerance
    found = published_tensors(network, lambda p: p if p.grad is None else p.grad)
    norms = recorded.about["param_grads"]
    assert list(found) == [name for name, _ in recorded.about["param_order"]]
    assert set(found) - set(norms) == ({FROZEN} if recorded.fourier else set())
    # the biases of the keys change no attention weight: their gradient is rounding alone
    rounding = float32_bound(1) * max(norm for norm, _ in norms.values())
    for name, (norm, total) in norms.items():
        gradient = found[name].double()
        error = tolerance * norm + rounding
        assert abs(gradient.norm().item() - norm) < error, name
        # |sum of errors| <= sqrt(how many) times their norm
        assert abs(gradient.sum().item() - total) < error * math.sqrt(gradient.numel()), name


def test_outputs_in_float64(recorded):
    """To rounding; the positional embedding in float32, as the published code always has it, and
    so to the rounding of its sines."""
    network = recorded.network.double()
    if not recorded.fourier:
        network.condition.waves = InFloat32(network.condition.waves.float())
    with torch.no_grad():
        output = network(recorded.arrays["x"].double(), recorded.arrays["labels"].double())
    assert gap(output, recorded.arrays["output_f64"]) < (1e-9 if recorded.fourier else 1e-7)


class InFloat32(torch.nn.Module):
    def __init__(self, waves):
        super().__init__()
        self.waves = waves

    def forward(self, condition):
        return self.waves(condition.float()).double()


@pytest.mark.parametrize("name", SHAPES)
def test_every_full_size_network_has_the_published_parameters(name):
    about = SHAPES[name]
    with torch.device("meta"):
        network = network_of(about)
    ours = {key: tuple(tensor.shape) for key, tensor in published_tensors(network).items()}
    lines = [f"{key} {'x'.join(map(str, shape))}" for key, shape in ours.items()]
    trained = sum(parameter.numel() for parameter in network.parameters())
    assert (trained, len(ours)) == (about["trained"], about["tensors"])
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == about["sha256"]


@pytest.mark.parametrize("name", ["ncsnpp_ve", "ddpmpp_vp"])
def test_published_checkpoints_give_their_outputs(name, golden):
    config = json.loads(golden("sde/nets.json").read_text())[name]["config"]
    about = json.loads(golden("sde/ckpt.json").read_text())[name]
    path = golden(f"sde/ckpt/official_tiny_{name}.pth")
    arrays, network = np.load(golden("sde/ckpt_outputs.npz")), network_of(config).eval()
    x, labels = (torch.from_numpy(arrays[key]) for key in ("x", f"{name}/labels"))
    for kind, raw in {"ema": False, "raw": True}.items():
        assert load_official(path, network, raw=raw) is network
        with torch.no_grad():
            output = network(x, labels)
        theirs = torch.from_numpy(arrays[f"{name}/output_{kind}"])
        assert gap(output, theirs) < in_float32(fourier=name == "ncsnpp_ve")
    official = read_official(path)
    assert (official.step, official.updates) == (about["step"], about["ema_num_updates"])
    names = [f"module.{key}" for key in published_tensors(network) if key != FROZEN]
    assert names == about["shadow_order"]
