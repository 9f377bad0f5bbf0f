"""The score U-Nets piece by piece: against slow references, and in every form they take."""

import json
import math
from pathlib import Path

import pytest
import torch

from repro.config import load, validate
from repro.errors import InputError
from sde import build
from sde.config import ScoreModel
from sde.networks import DDPM, EnergyNetwork, NCSNpp
from sde.networks.blocks import Attention
from sde.networks.embedding import Fourier, Positional
from sde.networks.resampling import Down, DownConv, Up, UpConv
from sde.score import CONDITIONINGS
from tests.oracles_networks import SLOW, network_of, slow

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
ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs" / "sde"
SHAPES = json.loads((ROOT / "tests" / "golden" / "sde" / "shapes.json").read_text())


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


@pytest.mark.parametrize("height, width", [(8, 8), (6, 10)])
@pytest.mark.parametrize("kind", [Down, Up, DownConv, UpConv])
def test_resampling_is_that_of_zeros_inserted_and_samples_dropped(kind, height, width):
    torch.manual_seed(0)
    how = (3,) if kind in (Down, Up) else (3, 5)
    fast = loud(kind(*how, fir=True)).double()
    x = torch.randn(2, 3, height, width, dtype=torch.float64, requires_grad=True)
    outputs = [fast(x), SLOW[kind](fast)(x)]
    assert outputs[0].shape[2:] == tuple(
        side // 2 if kind in (Down, DownConv) else 2 * side for side in (height, width)
    )
    assert torch.allclose(*outputs, rtol=0, atol=1e-12)
    weight = torch.randn_like(outputs[0])
    gradients = [torch.autograd.grad((y * weight).sum(), x)[0] for y in outputs]
    assert torch.allclose(*gradients, rtol=0, atol=1e-12)


def test_filters_by_hand():
    """A constant stays one away from the border, and a spike spreads as [1, 3, 3, 1] / 4."""
    up, down = Up(1, fir=True), Down(1, fir=True)
    assert torch.allclose(up(torch.ones(1, 1, 4, 4))[..., 1:-1, 1:-1], torch.ones(6, 6))
    assert torch.allclose(down(torch.ones(1, 1, 8, 8))[..., 1:-1, 1:-1], torch.ones(2, 2))
    spike = torch.zeros(1, 1, 5, 5)
    spike[..., 2, 2] = 16
    line = torch.tensor([1.0, 3.0, 3.0, 1.0])
    assert torch.allclose(up(spike)[0, 0, 3:7, 3:7], line[:, None] * line)
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert Down(1, fir=False)(x).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert Up(1, fir=False)(x)[0, 0, :2, :4].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]]


def test_learned_resampling_without_a_filter():
    torch.manual_seed(0)
    x, down, up = torch.randn(1, 2, 6, 6), DownConv(2, 3, fir=False), UpConv(2, 3, fir=False)
    wide = torch.nn.functional.pad(x, (0, 1, 0, 1))  # below and to the right only
    assert torch.allclose(down(x)[0, :, 1, 2], down_at(down.conv, wide[0, :, 2:5, 4:7]), atol=1e-6)
    nearest = torch.nn.functional.pad(x.repeat_interleave(2, 2).repeat_interleave(2, 3), (1,) * 4)
    assert torch.allclose(up(x)[0, :, 5, 0], down_at(up.conv, nearest[0, :, 5:8, 0:3]), atol=1e-6)


def down_at(conv, window):
    return (conv.weight * window).sum((1, 2, 3)) + conv.bias


def test_attention_is_the_sum_over_all_pairs():
    torch.manual_seed(0)
    fast = loud(Attention(8, rescale=True, groups=None)).double()
    x = torch.randn(2, 8, 3, 5, dtype=torch.float64, requires_grad=True)
    outputs = [fast(x), SLOW[Attention](fast)(x)]
    assert torch.allclose(*outputs, rtol=0, atol=1e-12)
    gradients = [torch.autograd.grad(y.square().sum(), x)[0] for y in outputs]
    assert torch.allclose(*gradients, rtol=0, atol=1e-11)


def test_embeddings_by_hand():
    c = torch.tensor([0.0, 2.0, -3.0])
    waves = Positional(6)(c)
    for k, frequency in enumerate([1.0, 1e-2, 1e-4]):
        assert torch.allclose(waves[:, k], torch.sin(frequency * c))
        assert torch.allclose(waves[:, 3 + k], torch.cos(frequency * c))
    torch.manual_seed(0)
    fourier = Fourier(2000, scale=16.0)
    assert fourier.frequencies.std().item() == pytest.approx(16, rel=0.05)
    angle = 2 * math.pi * c[:, None] * fourier.frequencies
    assert torch.allclose(fourier(c), torch.cat([angle.sin(), angle.cos()], 1), atol=1e-4)
    assert "frequencies" in fourier.state_dict() and not list(fourier.parameters())
    assert not Positional(6).state_dict()


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)], ids=["28", "32"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_in_every_precision_and_layout(form, shape):
    """Against float64: to rounding in float32, channels last or not, to a share in bfloat16."""
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
    for output, tolerance in ((plain, 2e-4), (last, 2e-4), (rough, 0.15)):
        assert output.dtype == torch.float32
        assert ((output - exact).abs() / size).max() < tolerance


def test_one_graph():
    """Nothing in forward keeps the compiler from seeing it whole."""
    torch._dynamo.reset()
    network = make("ncsn++", (1, 8, 8), multipliers=(1, 2), progressive_output="output_skip")
    x, condition = inputs((1, 8, 8))
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    assert torch.allclose(compiled(x, condition), network(x, condition), rtol=1e-4, atol=1e-5)


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
    assert torch.equal(*blind(twice, condition))
    scaled = make(conditional=False, scale_by_sigma=True)(twice, condition)
    assert torch.allclose(scaled * condition[:, None, None, None], blind(twice, condition))
    table = torch.tensor([50.0, 5.0, 0.5])
    labels = torch.tensor([2, 0])
    discrete = make(conditional=False, scale_by_sigma=True, sigmas=table)(twice, labels)
    assert torch.allclose(discrete * table[labels][:, None, None, None], blind(twice, condition))
    # the logarithm, and the scale, are taken of the condition
    logarithm = make(log_condition=True, condition_scale=10.0)(x, condition)
    assert torch.allclose(logarithm, make()(x, 10 * condition.log()), atol=1e-5)
    fourier = make(embedding="fourier", log_condition=False)(x, condition.log())
    assert torch.allclose(make(embedding="fourier")(x, condition), fourier, atol=1e-4)


def test_data_on_0_1_are_moved():
    x, condition = inputs()
    inside = (x + 1) / 2
    assert torch.allclose(make(centred=False)(inside, condition), make()(x, condition), atol=1e-5)


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
        (dict(shape=(1, 30, 30)), "3 levels needs events .* multiples of 4"),
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


def config_of(**model):
    values = {"data": {"name": "digits"}, "model": {"network": "ncsnpp", **model}}
    return validate(values, ScoreModel, "test")


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
    config = load(CONFIGS / f"{file}.yaml", ScoreModel)
    with torch.device("meta"):
        ours = build.network(config, (3, 32, 32), torch.device("meta"))
        theirs = network_of(SHAPES[PUBLISHED[file]])
    assert parts_of(ours) == parts_of(theirs)


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
        load(CONFIGS / f"cifar10_{name}.yaml", ScoreModel).model_dump()
        for name in (file, f"{file}_deep")
    )
    assert (deep["model"]["unet"].pop("blocks"), plain["model"]["unet"].pop("blocks")) == (8, 4)
    assert deep["optimiser"].pop("iterations") == 950000
    assert plain["optimiser"].pop("iterations") == 1300000
    assert plain == deep


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
