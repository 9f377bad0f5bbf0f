"""From a configuration to a U-Net: conditions, settings that mean nothing, published networks."""

import json
import re
from pathlib import Path

import pytest
import torch

from repro.config import load, validate
from repro.errors import InputError
from sde import build
from sde.config.run import SDEConfig
from sde.score import CONDITIONINGS
from tests.helpers.oracles_networks import network_of
from tests.sde.networks.test_unet import CPU

ROOT = Path(__file__).resolve().parents[3]


CONFIGS = ROOT / "configs" / "sde" / "images"


SHAPES = json.loads((ROOT / "tests" / "golden" / "sde" / "shapes.json").read_text())


def config_of(**model):
    values = {"data": {"name": "digits"}, "model": {"network": "ncsnpp", **model}}
    return validate(values, SDEConfig, "test")


@pytest.mark.parametrize("embedding", ["positional", "fourier"])
@pytest.mark.parametrize("conditioning", list(build.EMBEDDED))
def test_every_conditioning_spreads_over_the_embedding(conditioning, embedding):
    """Times of a run, embedded, are told apart: neighbours are near, all are not."""
    config = config_of(conditioning=conditioning, unet={"embedding": embedding})
    network, sde = build.network(config, (1, 8, 8), CPU), build.process(config)
    t = torch.linspace(0.002, 1, 500)
    condition = CONDITIONINGS[conditioning](sde, t)
    assert torch.isfinite(network.condition(condition)).all()
    c = condition.log() if network.condition.log else condition
    c = c * network.condition.scale
    assert (c.diff() > 0).all()
    reach = (c[-1] - c[0]).item()
    assert 300 < reach < 1500 if embedding == "positional" else 3 < reach < 15


@pytest.mark.parametrize(
    "model, message",
    [
        (dict(network="ddpm", unet={"fir": True}), "unet.fir: the network ddpm has no such"),
        (dict(network="small_conv", unet={"blocks": 2}), "unet.blocks: the network small_conv"),
        (dict(unet={"scale_by_sigma": True}), "needs prediction score and conditioning std"),
        (dict(unet={"multiplier": [1]}), "did you mean 'model.unet.multipliers'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(model, message):
    with pytest.raises(InputError, match=message):
        config_of(**model)


PUBLISHED = {
    "cifar10_ncsnpp_ve": "ve.cifar10_ncsnpp_continuous",
    "cifar10_ddpmpp_vp": "vp.cifar10_ddpmpp_continuous",
    "cifar10_ddpmpp_subvp": "subvp.cifar10_ddpmpp_continuous",
    "cifar10_ddpm_vp": "vp.ddpm.cifar10_continuous",
}


@pytest.mark.parametrize("file", PUBLISHED)
def test_the_shipped_configurations_build_the_published_networks(file):
    config = load(CONFIGS / f"{file}.yaml", SDEConfig)
    with torch.device("meta"):
        ours = build.network(config, (3, 32, 32), torch.device("meta"))
        theirs = network_of(SHAPES[PUBLISHED[file]])
    assert parts_of(ours) == parts_of(theirs)


@pytest.mark.parametrize(
    "file, shape",
    [("mnist", (1, 28, 28)), ("cifar10_small", (3, 32, 32)), ("cifar10_mid", (3, 32, 32))],
)
def test_a_configuration_has_the_parameters_that_it_says(file, shape):
    (said,) = re.findall(r"of (\S+) million parameters", (CONFIGS / f"{file}.yaml").read_text())
    with torch.device("meta"):
        network = build.network(
            load(CONFIGS / f"{file}.yaml", SDEConfig), shape, torch.device("meta")
        )
    millions = sum(weight.numel() for weight in network.parameters()) / 1e6
    assert f"{millions:.1f}" == said


def parts_of(network):
    """Everything that tells two networks apart but the weights."""
    of_all = ("centred", "scale_by_sigma", "embedding", "event_shape")
    of_each = ("factor", "p", "log", "scale", "num_groups", "eps", "stride", "combine")
    return [getattr(network, name) for name in of_all], [
        (name, type(part), *(getattr(part, each, None) for each in of_each), shapes(part))
        for name, part in network.named_modules()
    ]


def shapes(part):
    tensors = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
    return [(name, tuple(tensor.shape)) for name, tensor in tensors]


@pytest.mark.parametrize("file", ["ncsnpp_ve", "ddpmpp_vp", "ddpmpp_subvp"])
def test_deep_is_twice_the_blocks_and_fewer_iterations(file):
    plain, deep = (
        load(CONFIGS / f"cifar10_{name}.yaml", SDEConfig).model_dump()
        for name in (file, f"{file}_deep")
    )
    assert (deep["model"]["unet"].pop("blocks"), plain["model"]["unet"].pop("blocks")) == (8, 4)
    assert deep["optimiser"].pop("iterations") == 950000
    assert plain["optimiser"].pop("iterations") == 1300000
    assert plain == deep
