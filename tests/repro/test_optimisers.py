"""States of Adam: the right one is taken, and others are refused before a step."""

import copy

import pytest
import torch

from repro import optimisers


def adam():
    """A network of one layer, and its Adam after a step."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.1)
    layer(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return layer, optimiser


def test_training_goes_on_as_if_nothing_had_happened():
    (one, first), (other, second) = adam(), adam()
    renewed = torch.optim.Adam(other.parameters(), lr=7.0)
    optimisers.restore(renewed, second.state_dict())
    for layer, optimiser in ((one, first), (other, renewed)):
        layer(torch.full((1, 3), 2.0)).square().sum().backward()
        optimiser.step()
    assert torch.equal(one.weight, other.weight)


def test_the_state_of_an_optimiser_that_made_no_step_is_taken():
    layer, optimiser = adam()
    optimisers.restore(optimiser, torch.optim.Adam(layer.parameters()).state_dict())
    assert optimiser.param_groups[0]["lr"] == 1e-3


@pytest.mark.parametrize("moment", ["exp_avg", "exp_avg_sq", "step"])
@pytest.mark.parametrize("value", [torch.zeros(1, 2, 3), torch.zeros(3), "x", None])
def test_moments_of_another_shape_are_refused(moment, value):
    _, optimiser = adam()
    state = copy.deepcopy(optimiser.state_dict())
    state["state"][0][moment] = value
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        optimisers.restore(optimiser, state)


@pytest.mark.parametrize("setting", optimisers.SETTINGS)
def test_settings_of_another_type_are_refused(setting):
    _, optimiser = adam()
    state = copy.deepcopy(optimiser.state_dict())
    state["param_groups"][0][setting] = "x"
    with pytest.raises(ValueError, match=f"{setting} of the optimiser"):
        optimisers.restore(optimiser, state)
