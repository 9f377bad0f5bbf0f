"""The score U-Nets piece by piece: against slow references, and in every form they take."""

import math

import pytest
import torch

from repro.errors import InputError
from sde.networks import DDPM, EnergyNetwork, NCSNpp
from tests.helpers.oracles_networks import slow
from tests.helpers.rounding import assert_same_up_to_rounding, float32_bound

SMALL = dict(channels=8, multipliers=(1, 2, 2), blocks=1, attention=(7, 8))
FORMS = {
    "ddpm++": {},
    "ncsn++": dict(
        fir=True, embedding="fourier", progressive_input="residual", scale_by_sigma=True
    ),
    "skips": dict(fir=True, progressive_input="input_skip", progressive_output="output_skip"),
    "cat": dict(progressive_input="input_skip", combine="cat", progressive_output="residual"),
    "fir residual": dict(fir=True, progressive_output="residual", block="ddpm", activation="elu"),
    "unconditional": dict(
        block="ddpm", resample_with_conv=False, conditional=False, activation="lrelu"
    ),
}
CPU = torch.device("cpu")
PATH = 20 * 9 * 8  # numbers added along one path: layers x pixels x channels
IN_FLOAT32 = float32_bound(PATH) + 1000 * float32_bound(1)


def make(form="ddpm++", shape=(1, 28, 28), **how):
    """A small network of a form, its silent branches given weights so that they are heard."""
    torch.manual_seed(0)
    network = NCSNpp(shape, **{**SMALL, **FORMS[form], **how}).eval()
    return loud(network)


def loud(network):
    with torch.no_grad():
        for parameter in network.parameters():
            std = 1 / math.sqrt(parameter[0].numel()) if parameter.dim() > 1 else 0.1
            parameter.add_(std * torch.randn_like(parameter))
    return network


def inputs(shape=(1, 28, 28), count=2):
    g = torch.Generator().manual_seed(1)
    return torch.randn(count, *shape, generator=g), torch.tensor([0.4, 3.0, 20.0])[:count]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)], ids=["28", "32"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_in_every_precision_and_layout(form, shape):
    """Against float64. Along one path some 20 layers add 9 x 8 numbers each; the Fourier embedding
    takes sines of angles up to a thousand, which float32 rounds by 1000 eps. bfloat16 has 8 binary
    digits: a twentieth in 20 layers, with a margin of 3."""
    network = make(form, shape)
    x, condition = inputs(shape)
    with torch.no_grad():
        exact = network.double()(x.double(), condition.double())
        assert exact.dtype == torch.float64 and exact.shape == x.shape
        plain = network.float()(x, condition)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(x, condition)
        last = network.to(memory_format=torch.channels_last)
        last = last(x.contiguous(memory_format=torch.channels_last), condition)
    size = exact.abs().amax((1, 2, 3), keepdim=True)
    for output, tolerance in ((plain, IN_FLOAT32), (last, IN_FLOAT32), (rough, 0.15)):
        assert output.dtype == torch.float32
        assert ((output - exact).abs() / size).max() < tolerance


def test_one_graph():
    """Nothing in forward keeps the compiler from seeing it whole."""
    torch._dynamo.reset()
    network = make("ncsn++", (1, 8, 8), multipliers=(1, 2), progressive_output="output_skip")
    x, condition = inputs((1, 8, 8))
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    assert_same_up_to_rounding(compiled(x, condition), network(x, condition), PATH)


@pytest.mark.parametrize("form", ["ncsn++", "fir residual"])
def test_slow_network_is_the_same(form):
    network = make(form, (3, 16, 16), multipliers=(1, 2)).double()
    x, condition = inputs((3, 16, 16))
    x, condition = x.double(), condition.double()
    with torch.no_grad():
        fast = network(x, condition)
        assert torch.allclose(slow(network)(x, condition), fast, rtol=1e-10, atol=1e-12)


def test_what_the_condition_does():
    x, condition = inputs()
    twice = torch.cat([x[:1], x[:1]])
    plain = make()(twice, condition)
    assert (plain[0] - plain[1]).abs().max() > 1e-3
    blind = make(conditional=False)
    assert_same_up_to_rounding(*blind(twice, condition), PATH)
    scaled = make(conditional=False, scale_by_sigma=True)(twice, condition)
    unscaled = scaled * condition[:, None, None, None]
    assert_same_up_to_rounding(unscaled, blind(twice, condition), PATH)
    table = torch.tensor([50.0, 5.0, 0.5])
    labels = torch.tensor([2, 0])
    discrete = make(conditional=False, scale_by_sigma=True, sigmas=table)(twice, labels)
    unscaled = discrete * table[labels][:, None, None, None]
    assert_same_up_to_rounding(unscaled, blind(twice, condition), PATH)
    # the logarithm, and the scale, are taken of the condition
    logarithm = make(log_condition=True, condition_scale=10.0)(x, condition)
    assert_same_up_to_rounding(logarithm, make()(x, 10 * condition.log()), PATH)
    fourier = make(embedding="fourier", log_condition=False)(x, condition.log())
    apart = (make(embedding="fourier")(x, condition) - fourier).abs().max()
    assert apart < IN_FLOAT32 * fourier.abs().max()


def test_data_on_0_1_are_moved():
    x, condition = inputs()
    inside = (x + 1) / 2
    assert_same_up_to_rounding(make(centred=False)(inside, condition), make()(x, condition), PATH)


def test_a_new_network_is_silent_but_learns():
    """The output begins near zero, and every parameter has a gradient."""
    torch.manual_seed(0)
    network = NCSNpp((1, 28, 28), **SMALL, **FORMS["ncsn++"])
    x, condition = inputs()
    output = network(x, condition)
    assert output.abs().max() < 1e-3
    loud(network)(x, condition).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters())


def test_dropout_is_of_training_alone():
    network, (x, condition) = make(dropout=0.5), inputs()
    assert torch.equal(network(x, condition), network(x, condition))
    network.train()
    assert not torch.equal(network(x, condition), network(x, condition))


def test_ddpm_is_the_u_net_with_32_groups():
    network = DDPM((3, 8, 8), channels=64, multipliers=(1, 2), attention=())
    groups = {m.num_groups for m in network.modules() if isinstance(m, torch.nn.GroupNorm)}
    assert groups == {32} and network.middle.first.factor == 1
    with pytest.raises(InputError, match="32 groups cannot share 48 channels"):
        DDPM((3, 8, 8), channels=48, multipliers=(1, 2))


def test_an_energy_with_attention_can_be_trained():
    network = EnergyNetwork(make(shape=(1, 8, 8), multipliers=(1, 2)))
    x, condition = inputs((1, 8, 8))
    network(x, condition).square().sum().backward()
    assert network.network.middle.attention.out.weight.grad.abs().max() > 0


@pytest.mark.parametrize(
    "how, message",
    [
        (dict(shape=(1, 30, 30)), "3 stages needs events .* multiples of 4"),
        (dict(shape=(2,)), "needs events"),
        (dict(block="resnet"), "block: expected one of biggan, ddpm; got 'resnet'"),
        (dict(embedding="learnt"), "embedding: expected one of"),
        (dict(blocks=0), "at least 1"),
        (dict(multipliers=()), "at least 1"),
        (dict(channels=7), "even number of channels"),
    ],
)
def test_what_cannot_be_built_is_said(how, message):
    with pytest.raises(InputError, match=message):
        make(**how)


def test_another_shape_is_refused():
    x, condition = inputs((1, 32, 32))
    with pytest.raises(InputError, match=r"for events \(1, 28, 28\)"):
        make()(x, condition)


@pytest.mark.gpu
@pytest.mark.parametrize("form", FORMS)
def test_every_form_on_the_gpu(form):
    """As on the CPU: in float32 (convolutions in TensorFloat-32), bfloat16, and compiled."""
    torch._dynamo.reset()
    network = make(form, (3, 32, 32))
    x, condition = inputs((3, 32, 32))
    with torch.no_grad():
        expected = network(x, condition)
        network, x, condition = network.cuda(), x.cuda(), condition.cuda()
        plain = network(x, condition).cpu()
        with torch.autocast("cuda", torch.bfloat16):
            rough = network(x, condition).cpu()
        network = network.to(memory_format=torch.channels_last)
        compiled = torch.compile(network)(
            x.contiguous(memory_format=torch.channels_last), condition
        ).cpu()
    size = expected.abs().amax((1, 2, 3), keepdim=True)
    for output, tolerance in ((plain, 2e-2), (compiled, 2e-2), (rough, 0.15)):
        assert ((output - expected).abs() / size).max() < tolerance
