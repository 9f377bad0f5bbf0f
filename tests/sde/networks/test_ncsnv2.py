"""NCSNv2 against an oracle of plain sums, and its checkpoints."""

import json

import numpy as np
import pytest
import torch

from repro.config import validate
from repro.errors import InputError
from repro.seeding import generator
from sde import build
from sde.checkpoint import load_official
from sde.cli.parser import main
from sde.config.run import SDEConfig
from sde.networks import NCSNv2
from sde.trained_model import load
from tests.helpers import oracles_ncsnv2
from tests.sde.conftest import CPU

SHAPE = (1, 8, 8)
LARGEST = torch.tensor(50.0).log10().item()
CONFIG = {
    "data": {"name": "npz", "path": "images.npz", "heldout": 4, "centred": False},
    "process": {"name": "ve"},
    "loss": {"num_timesteps": 10},
    "model": {
        "network": "ncsnv2",
        "hidden_dim": 4,
        "prediction": "score",
        "conditioning": "std",
    },
}


def network_like(seed, shape=SHAPE, hidden_dim=4):
    torch.manual_seed(seed)
    network = NCSNv2(shape, hidden_dim=hidden_dim, centred=False).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network


def weights(network, prefix=""):
    named = network.published_tensors()
    return {f"{prefix}{name}": tensor.detach().clone() for name, tensor in named.items()}


def checkpoint(path, raw, averaged, **changes):
    """Write what the published code writes: a list, the network in ``DataParallel``."""
    model = {"module.sigmas": torch.logspace(LARGEST, -2, 10)} | weights(raw, "module.")
    parts = dict(model=model, optimiser={"state": {}}, epoch=3, step=77, average=weights(averaged))
    torch.save(list({**parts, **changes}.values()), path)
    return path


@pytest.mark.parametrize(
    ("shape", "stages"), [((1, 8, 12), 4), ((3, 14, 14), 4), ((1, 4, 100), 5), ((1, 8, 136), 6)]
)
def test_the_output_is_that_of_plain_sums(shape, stages):
    network = network_like(0, shape).double()
    assert len(network.plan) == stages
    x = torch.rand(2, *shape, dtype=torch.float64, generator=generator(1))
    sigma = torch.tensor([0.3, 7.0], dtype=torch.float64)
    expected = oracles_ncsnv2.score(weights(network), x, sigma)
    torch.testing.assert_close(network(x, sigma), expected, rtol=1e-9, atol=1e-10)
    centred = NCSNv2(shape, hidden_dim=4).double()
    centred.load_state_dict(network.state_dict())
    torch.testing.assert_close(centred(2 * x - 1, sigma), expected, rtol=1e-9, atol=1e-10)


def test_the_published_network_of_cifar10_has_its_names_and_shapes():
    with torch.device("meta"):
        network = NCSNv2((3, 32, 32))
    named = {name: tuple(tensor.shape) for name, tensor in network.published_tensors().items()}
    ours = {id(tensor) for tensor in network.published_tensors().values()}
    assert ours == {id(parameter) for parameter in network.parameters()}
    assert len(named) == len(ours) == 153
    for name, shape in {
        "begin_conv.weight": (128, 3, 3, 3),
        "normalizer.alpha": (128,),
        "res2.0.conv1.weight": (128, 128, 3, 3),
        "res2.0.conv2.conv.weight": (256, 128, 3, 3),
        "res2.0.shortcut.conv.weight": (256, 128, 1, 1),
        "res3.0.shortcut.weight": (256, 256, 3, 3),
        "res4.1.normalize2.gamma": (256,),
        "refine1.adapt_convs.0.2_2_conv.weight": (256, 256, 3, 3),
        "refine3.msf.convs.1.bias": (128,),
        "refine3.crp.convs.1.weight": (128, 128, 3, 3),
        "refine4.output_convs.3_2_conv.weight": (128, 128, 3, 3),
        "end_conv.bias": (3,),
    }.items():
        assert named[name] == shape, name
    assert not {"refine1.msf.convs.0.weight", "res1.0.shortcut.weight"} & named.keys()


def output(network):
    x = torch.rand(2, *SHAPE, generator=generator(5))
    with torch.no_grad():
        return network(x, torch.tensor([0.5, 2.0]))


def test_checkpoints_are_read(tmp_path):
    raw, average = network_like(1), network_like(2)
    path = checkpoint(tmp_path / "checkpoint.pth", raw, average)
    assert torch.equal(output(load_official(path, network_like(3))), output(average))
    assert torch.equal(output(load_official(path, network_like(3), raw=True)), output(raw))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(step="7"), "a list of ncsnv2 holds a state dict"),
        (dict(average={}), "0 averaged weights, 153 expected"),
        (
            dict(average={"begin_conv.bias": torch.zeros(4)}),
            "averaged: .*152 missing: begin_conv.w",
        ),
        (dict(model=weights(network_like(0, hidden_dim=6))), "of another shape: "),
    ],
)
def test_other_lists_are_refused(tmp_path, changes, message):
    path = checkpoint(tmp_path / "checkpoint.pth", network_like(1), network_like(2), **changes)
    network = network_like(3)
    before = output(network)
    with pytest.raises(InputError, match=message):
        load_official(path, network)
    assert torch.equal(output(network), before)


def test_a_run_is_made_of_a_checkpoint(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1), dtype=np.uint8)
    np.savez("images.npz", images=pixels)
    (tmp_path / "config.yaml").write_text(json.dumps(CONFIG))
    checkpoint("checkpoint.pth", network_like(1), network_like(2))
    assert main(["import", "checkpoint.pth", "--config", "config.yaml", "--out", "run"]) == 0
    assert "ncsnv2 of " in capsys.readouterr().out
    fewer = "--out n loss.num_timesteps=9"
    assert main(f"import checkpoint.pth --config config.yaml {fewer}".split()) == 2
    assert "its noise levels (sigmas) are not those" in capsys.readouterr().err
    trained = load(tmp_path / "run", CPU, with_data=False)
    assert trained.step == 77
    assert torch.equal(output(trained.network), output(network_like(2)))
    how = "--sampler ancestral --steps 10 --device cpu"
    assert main(f"sample run -n 2 {how}".split()) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(prediction="noise"), "ncsnv2 needs prediction score and conditioning std"),
        (dict(condition="class"), "the network ncsnv2 is given no label"),
    ],
)
def test_settings_that_it_has_not_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        validate({**CONFIG, "model": {**CONFIG["model"], **change}}, SDEConfig, "test")


@pytest.mark.parametrize("shape", [(1, 7, 8), (1, 96, 98), (1, 512, 512), (64,)])
def test_events_that_it_is_not_for_are_refused(shape):
    with pytest.raises(InputError, match="ncsnv2 needs events"):
        NCSNv2(shape)


def test_the_configuration_builds_the_network_of_the_data_range():
    config = validate(CONFIG, SDEConfig, "test")
    network = build.network(config, SHAPE, CPU)
    assert isinstance(network, NCSNv2) and not network.centred
    assert network.enter.out_channels == 4
