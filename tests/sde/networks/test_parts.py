"""The parts of the U-Net by hand: resampling, attention, embeddings."""

import math

import pytest
import torch

from sde.networks.blocks import Attention
from sde.networks.embedding import Fourier, Positional
from sde.networks.resampling import Down, DownConv, Up, UpConv
from tests.helpers.oracles_networks import SLOW
from tests.helpers.rounding import assert_same_up_to_rounding
from tests.sde.networks.test_unet import loud


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
    by_hand = down_at(down.conv, wide[0, :, 2:5, 4:7])
    assert_same_up_to_rounding(down(x)[0, :, 1, 2], by_hand, 2 * 9, magnitude=1)
    nearest = torch.nn.functional.pad(x.repeat_interleave(2, 2).repeat_interleave(2, 3), (1,) * 4)
    by_hand = down_at(up.conv, nearest[0, :, 5:8, 0:3])
    assert_same_up_to_rounding(up(x)[0, :, 5, 0], by_hand, 2 * 9, magnitude=1)


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
        assert_same_up_to_rounding(waves[:, k], torch.sin(frequency * c), 1, magnitude=3)
        assert_same_up_to_rounding(waves[:, 3 + k], torch.cos(frequency * c), 1, magnitude=3)
    torch.manual_seed(0)
    fourier = Fourier(2000, scale=16.0)
    assert fourier.frequencies.std().item() == pytest.approx(16, rel=0.05)
    angle = 2 * math.pi * c[:, None] * fourier.frequencies
    expected = torch.cat([angle.sin(), angle.cos()], 1)  # of angles that are themselves rounded
    assert_same_up_to_rounding(fourier(c), expected, 1, magnitude=angle.abs().max().item())
    assert "frequencies" in fourier.state_dict() and not list(fourier.parameters())
    assert not Positional(6).state_dict()
