"""Settings: every field described, names from the registries, plugins, bounds, renamed keys."""

import math
import sys

import pytest
import torch

from repro.config import override, schema, validate
from repro.config_errors import known_keys
from repro.errors import InputError
from sde import build
from sde.config import SDEConfig
from sde.config.data import USED_BY
from sde.data.registry import names
from sde.networks import NETWORKS
from sde.processes import PROCESSES, VESDE
from tests.sde.conftest import CPU, tiny_config

PLUGIN = '''
import torch
from sde.data.dataset import Dataset, DataSpec, Split
from sde.networks import MLP
from sde.processes import SDE

class LinearVESDE(SDE):
    """f = 0, std(t) = sigma t (Karras et al. 2022, arXiv:2206.00364)."""
    sampling_eps = 1e-3

    def __init__(self, sigma=80.0):
        self.prior_std = sigma

    prior_std = 80.0

    def drift_rate(self, t):
        return torch.zeros_like(t)

    def diffusion(self, t):
        return self.prior_std * (2 * t).sqrt()

    def scale(self, t):
        return torch.ones_like(t)

    def std(self, t):
        return self.prior_std * t

    def transition(self, s, t):
        return torch.ones_like(t), self.prior_std * ((t - s) * (t + s)).sqrt()

    def inverse_noise_ratio(self, noise_ratio):
        return noise_ratio / self.prior_std

def line(train, heldout, seed):
    spec = DataSpec("line", (2,))
    return Dataset(spec, *[Split(spec, torch.randn(n, 1).repeat(1, 2)) for n in (train, heldout)])

def narrow(shape, width):
    return MLP(shape, hidden_dim=width, depth=1, frequencies=0)
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "my_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_plugin"
    sys.modules.pop("my_plugin", None)


def described(model, prefix=""):
    """The dotted name of each field, with its description."""
    for name, field in model.model_fields.items():
        yield prefix + name, field.description
        if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
            yield from described(field.annotation, f"{prefix}{name}.")


def test_every_field_has_a_description():
    found = dict(described(SDEConfig))
    assert len(found) > 90 and set(found) == set(known_keys(SDEConfig))
    assert [name for name, text in found.items() if not text or text.startswith("of ")] == []


def test_the_registries_are_the_allowed_names():
    for section, key, known in [
        ("process", "name", PROCESSES), ("model", "network", NETWORKS), ("data", "name", names()),
    ]:  # fmt: skip
        with pytest.raises(InputError) as error:
            tiny_config(**{section: {key: "no_such"}})
        assert all(name in str(error.value) for name in known)
        assert all(f'"{name}"' in schema(SDEConfig) for name in known)


def test_keys_are_used_by_data_that_exist():
    assert {name for users in USED_BY.values() for name in users} <= set(names())


def test_a_process_a_network_and_data_of_ones_own(plugin):
    config = tiny_config(
        data={"name": f"{plugin}:line"},
        process={"name": f"{plugin}:LinearVESDE", "parameters": {"sigma": 5}},
        model={"network": f"{plugin}:narrow", "parameters": {"width": 7}},
    )
    assert build.process(config).prior_std == 5
    data = build.dataset(config, CPU)
    assert (len(data.train), len(data.heldout), data.spec.name) == (400, 200, "line")
    network = build.network(config, data.spec.shape, CPU)
    assert network(torch.zeros(3, 2), torch.zeros(3)).shape == (3, 2)
    assert any(7 in parameter.shape for parameter in network.parameters())


@pytest.mark.parametrize(
    "section, values, message",
    [
        ("process", {"name": "my_plugin:LinearVESDE", "parameters": {"sigma_max": 5.0}},
         r"process\.parameters: my_plugin:LinearVESDE: .*sigma_max"),
        ("model", {"network": "my_plugin:narrow"}, r"model\.parameters: my_plugin:narrow: .*width"),
        ("process", {"name": "my_plugin:Nothing"}, "no 'Nothing'"),
    ],
)  # fmt: skip
def test_plugins_that_do_not_fit_are_one_line(plugin, section, values, message):
    with pytest.raises(InputError, match=message) as error:
        config = tiny_config(**{section: values})
        build.process(config)
        build.network(config, (2,), CPU)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"process": {"parameters": {"sigma": 1.0}}}, "keys of its own"),
        ({"model": {"parameters": {"width": 1}}}, "keys of its own"),
        ({"process": {"name": "ve", "beta_max": 30.0}}, "ve has no such parameter"),
        ({"process": {"sigma_max": 30.0}}, "vp has no such parameter"),
        ({"model": {"hidden_dim": 10**12}}, "model.hidden_dim: should be less"),
        ({"model": {"hidden_dim": 16, "depth": 10**9}}, "model.depth: should be less"),
        ({"compute": {"threads": 2**40}}, "compute.threads: should be less"),
        ({"optimiser": {"batch_size": 10**18}}, "optimiser.batch_size: should be less"),
        ({"optimiser": {"learning_rate": math.inf}}, "optimiser.learning_rate: should be"),
        ({"process": {"beta_max": 1e300}}, "process.beta_max: should be less"),
        ({"sampling": {"steps": 10**30}}, "sampling.steps: should be less"),
        ({"optimiser": {"warm_up": 5}}, "renamed: write optimiser.warmup_steps"),
        ({"optimiser": {"clip": 5}}, "renamed: write optimiser.max_grad_norm"),
        ({"compute": {"accumulate": 5}}, "renamed: write compute.gradient_accumulation"),
        ({"loss": {"levels": 5}}, "renamed: write loss.num_timesteps"),
        ({"evaluation": {"tensorboard": True}}, "renamed: write compute.logger"),
    ],
)
def test_settings_that_cannot_be_are_one_line(changes, message):
    with pytest.raises(InputError, match=message) as error:
        tiny_config(**changes)
    assert "\n" not in str(error.value)


def test_the_parameters_of_a_process_are_those_of_its_class():
    config = override({"process": {"name": "ve"}}, SDEConfig, "test", ["process.sigma_max=9"])
    assert build.process(config) == VESDE(0.01, 9.0)
    assert validate({}, SDEConfig, "test").process.arguments == {"beta_min": 0.1, "beta_max": 20.0}
