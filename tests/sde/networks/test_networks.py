"""The perceptron and the energy parametrisation: shapes, gradients, and that they learn."""

import pytest
import torch

from repro.config import validate
from repro.errors import InputError
from sde import build, losses
from sde.config.run import SDEConfig
from sde.networks import MLP, EnergyNetwork
from sde.processes import VPSDE
from sde.samplers import sample, solve
from sde.score import score_fn
from tests.helpers.oracles_sde import GOLDEN_SDES, generator, plane_mixture
from tests.helpers.rounding import assert_same_up_to_rounding


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(2,), (1, 8, 8)])
@pytest.mark.parametrize("wrap", [lambda net: net, EnergyNetwork])
def test_shapes(wrap, shape, dtype):
    network = wrap(MLP(shape, hidden_dim=16)).to(dtype)
    x = torch.randn(5, *shape, dtype=dtype)
    out = network(x, torch.linspace(0.1, 1, 5, dtype=dtype))
    assert out.shape == x.shape and out.dtype == dtype
    with pytest.raises(InputError, match="events"):
        network(torch.zeros(5, 7, dtype=dtype), torch.ones(5, dtype=dtype))
    with pytest.raises(InputError, match="energy form"):
        EnergyNetwork(network, form="cubic")


@pytest.mark.parametrize("form", ["square", "inner"])
def test_energy_network_is_a_conservative_field(form):
    torch.manual_seed(0)
    inner = MLP(3, hidden_dim=16).double()
    torch.nn.init.normal_(inner.leave.weight)
    network = EnergyNetwork(inner, form=form)
    x, t = torch.randn(1, 3, dtype=torch.float64), torch.full((1,), 0.5, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: network(x, t)[0], x)[:, 0]
    assert torch.allclose(jacobian, jacobian.T, atol=1e-10)
    assert (jacobian - jacobian.diag().diag()).abs().max() > 1e-3
    plain = torch.autograd.functional.jacobian(lambda x: inner(x, t)[0], x)[:, 0]
    assert (plain - plain.T).abs().max() > 1e-3
    step = 1e-6 * torch.randn(1, 3, dtype=torch.float64)
    change = network.energy(x + step, t) - network.energy(x - step, t)
    assert torch.allclose(change, 2 * (network(x, t) * step).sum(1), rtol=1e-5)


@pytest.mark.parametrize("prediction", ["score", "noise"])
def test_the_score_of_an_energy_points_downhill(prediction):
    """Whatever it is a prediction of: score = -grad E, over std for the noise."""
    model = {"energy": "square", "prediction": prediction, "conditioning": "time"}
    config = validate({"model": model | {"hidden_dim": 8, "depth": 1}}, SDEConfig, "test")
    sde = build.process(config)
    network = build.network(config, (2,), torch.device("cpu"))
    x, t = torch.randn(5, 2, generator=generator()), torch.full((5,), 0.4)
    x.requires_grad_()
    (uphill,) = torch.autograd.grad(network.energy(x, t).sum(), x)
    expected = -uphill if prediction == "score" else -uphill / sde.std(t)[:, None]
    score = build.score(config, sde, network)(x, t)
    assert_same_up_to_rounding(score, expected, 8 * 3)  # a hidden width of 8, three layers


@pytest.mark.parametrize("name", GOLDEN_SDES)
@pytest.mark.parametrize("energy", [False, True], ids=["score", "energy"])
def test_both_learn_through_the_same_code_and_can_be_sampled(energy, name):
    """150 steps bring the loss near that of the exact score; samplers run under no_grad."""
    torch.manual_seed(0)
    sde, data, g = GOLDEN_SDES[name], plane_mixture().to(torch.float32), generator(1)
    network = MLP(2, hidden_dim=48, depth=2)
    network = EnergyNetwork(network) if energy else network
    score = score_fn(sde, network, prediction="denoised", conditioning="log_noise")
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)

    def loss_of(score, seed):
        g = generator(seed)
        x0, z = data.sample(256, g), torch.randn(256, 2, generator=g)
        t = losses.uniform_times(torch.rand(256, generator=g), 1e-3)
        return losses.denoising_score_matching(sde, score, x0, t, z).loss

    def excess():
        pairs = [(loss_of(score, s), loss_of(data.score_fn(sde), s)) for s in range(900, 910)]
        return sum((a - b).item() for a, b in pairs) / 10

    before = excess()
    for step in range(150):
        optimiser.zero_grad()
        loss_of(score, step).backward()
        optimiser.step()
    assert excess() < 0.35 * before
    for run in (
        sample(sde, score, (4, 2), predictor="ancestral", steps=5, generator=g),
        solve(sde, score, (4, 2), steps=5, generator=g),
    ):
        assert not run.x.requires_grad


def test_published_conditions_reach_the_network():
    seen = []
    score = score_fn(
        VPSDE(), lambda x, c: seen.append(c) or x, prediction="noise", conditioning="time_999"
    )
    score(torch.zeros(2, 1), torch.tensor([0.5, 1.0]))
    assert seen[0].tolist() == [499.5, 999.0]
