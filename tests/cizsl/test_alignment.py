"""Networks widened by zeros are the networks that they were."""

import copy

import pytest
import torch

from cizsl import build
from cizsl.batches import CriticBatch, GeneratorBatch
from cizsl.networks import Linear, load_published
from tests.cizsl.small_gan import B, V, Z, draw_hallucination, gan, networks

pytestmark = pytest.mark.usefixtures("float64")
# Zeros change no sum, but products of other sizes may add in another order: on one processor most
# parameters agree bit for bit after four iterations, and the others to 6e-17.
SAME = {"rtol": 1e-9, "atol": 1e-12}


def pair(**settings):
    """Twice the same GAN, the second widened to multiples of 8."""
    torch.manual_seed(3)
    both = networks()
    widened = copy.deepcopy(both)
    for network in widened:
        network.align(8)
    states = []
    for one in (both, widened):
        torch.manual_seed(4)
        states.append(gan(*one, **settings))
    return states


def iteration(state, seed):
    torch.manual_seed(seed)
    for _ in range(2):
        terms = state.critic_step(
            CriticBatch(torch.randint(60, (B,)), torch.randn(B, Z), torch.rand(B))
        )
    drawn = draw_hallucination() if state.hallucinates else None
    batch = GeneratorBatch(torch.randint(60, (B,)), torch.randn(B, Z), drawn)
    return terms | state.generator_step(batch)


def assert_same(ours, theirs):
    """Every number of two state dicts."""
    ours, theirs = (dict(torch.utils._pytree.tree_leaves_with_path(x)) for x in (ours, theirs))
    assert ours.keys() == theirs.keys()
    for path, value in ours.items():
        torch.testing.assert_close(value, theirs[path], **SAME, msg=str(path))


@pytest.mark.parametrize("clip", [0.0, 0.5])
@pytest.mark.parametrize("divergence", [None, "sharma_mittal"])
def test_training_is_the_same_and_zeros_stay(divergence, clip):
    plain, widened = pair(divergence=divergence)
    plain.max_grad_norm = widened.max_grad_norm = clip
    assert widened.generator.hidden.weight.shape == (16, 8 + 6)  # 13 units, noise of width 4
    assert widened.generator.text_projection.weight.shape == (6, 24)  # 17 terms
    for seed in range(4):
        terms, others = iteration(plain, seed), iteration(widened, seed)
        torch.testing.assert_close(terms, others, **SAME)
    assert_same(plain.state_dict(), widened.state_dict())
    for optimiser in widened.optimisers.values():
        for parameter, moments in optimiser.state.items():
            owner = next(
                layer
                for network in (widened.generator, widened.discriminator)
                for layer in network.modules()
                if isinstance(layer, Linear) and any(parameter is p for p in layer.parameters())
            )
            for value in (parameter.detach(), moments["exp_avg"], moments["exp_avg_sq"]):
                assert torch.equal(owner.pad(owner.trim(value)), value)  # nothing but zeros around


def test_a_checkpoint_fits_either():
    _, widened = pair(divergence="kl")
    iteration(widened, 0)
    saved = copy.deepcopy(widened.state_dict())
    fresh, again = pair(divergence="kl")
    for state in (fresh, again):
        state.load_state_dict(copy.deepcopy(saved))  # optimisers go on with what they are given
    terms = [iteration(state, 1) for state in (widened, fresh, again)]
    for other in terms[1:]:
        torch.testing.assert_close(terms[0], other, **SAME)
    assert_same(fresh.state_dict(), widened.state_dict())
    assert_same(again.state_dict(), widened.state_dict())
    with pytest.raises(RuntimeError):  # other networks are refused as ever
        small = {name: value[:-1] for name, value in saved["generator"].items()}
        again.generator.load_state_dict(small)


def test_forward_passes_and_published_weights():
    plain, widened = (state.generator for state in pair())
    z, text = torch.randn(B, Z), torch.rand(B, V)
    torch.testing.assert_close(plain(z, text), widened(z, text), **SAME)
    torch.testing.assert_close(plain.reduce(text), widened.reduce(text), **SAME)
    changed = {name: value + 1 for name, value in plain.state_dict().items()}
    load_published(widened, changed)
    load_published(plain, changed)
    torch.testing.assert_close(plain(z, text), widened(z, text), **SAME)
    assert all(value.is_contiguous() for value in widened.state_dict().values())


@pytest.mark.parametrize(
    ("align", "device", "expected"),
    [("auto", "cpu", 1), ("auto", "cuda", 64), ("none", "cuda", 1), (16, "cpu", 16)],
)
def test_the_option(tiny, align, device, expected):
    config = tiny(compute={"align": align})
    assert config.compute.alignment(device) == expected


def test_build_follows_it(tiny):
    config = tiny(compute={"align": 24})
    state = build.gan(config, build.task(config, build.data(config), "test", torch.device("cpu")))
    assert state.generator.hidden.out_features == state.discriminator.shared.out_features == 48
    assert state.generator.state_dict()["hidden.bias"].shape == (32,)
