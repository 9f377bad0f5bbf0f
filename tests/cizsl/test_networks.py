"""The networks against plain PyTorch, and against recorded values."""

import numpy as np
import pytest
import torch

from cizsl import losses
from cizsl.networks import Discriminator, Generator, load_published
from repro.errors import InputError
from tests.cizsl.small_gan import B, C, D, H, V, Z, networks
from tests.helpers.oracles import PlainDiscriminator, PlainGenerator
from tests.helpers.rounding import float32_bound

pytestmark = pytest.mark.usefixtures("float64")


def test_forward_is_the_plain_network():
    generator, discriminator = networks()
    z, text = torch.randn(B, Z), torch.rand(B, V)
    torch.testing.assert_close(generator(z, text), PlainGenerator(generator)(z, text))
    x = torch.randn(B, D)
    critic, logits = discriminator(x)
    plain_critic, plain_logits = PlainDiscriminator(discriminator)(x)
    torch.testing.assert_close(critic, plain_critic[:, 0])
    torch.testing.assert_close(logits, plain_logits)


def test_published_state_dicts_give_the_recorded_outputs(golden):
    """Outputs, penalty and its gradients; 1e-10 relative in float64. In float32 the gradient of the
    penalty passes six products of at most 13 numbers; the values reach 5."""
    arrays = np.load(golden("cizsl/nets_and_gp.npz"))
    for kind, tolerance in (("f64", 1e-10), ("f32", float32_bound(6 * 13, magnitude=5))):
        part = {k[4:]: torch.from_numpy(arrays[k]) for k in arrays if k.startswith(kind)}
        generator, discriminator = Generator(12, 10, 4, 5, 8), Discriminator(10, 6, 8)
        for module, letter in ((generator, "G/"), (discriminator, "D/")):
            module.to(part["x"].dtype)
            named = {k[2:]: v for k, v in part.items() if k.startswith(letter)}
            load_published(module, {f"module.{k}": v for k, v in named.items()})
        close = {"rtol": tolerance, "atol": tolerance}
        fake = generator(part["z"], part["c"])
        torch.testing.assert_close(fake, part["G_out"], **close)
        critic, logits = discriminator(part["x"])
        torch.testing.assert_close(critic[:, None], part["D_gan"], **close)
        torch.testing.assert_close(logits, part["D_aux"], **close)
        weight = part["gp_alpha"]
        penalty = losses.gradient_penalty(discriminator, part["x"], part["G_out"], weight)
        torch.testing.assert_close(
            10 * penalty.detach(), part["gp_value"].to(penalty.dtype), **close
        )
        (10 * penalty).backward()
        for ours, theirs in (("shared", "D_shared.0"), ("critic", "D_gan")):
            gradient = getattr(discriminator, ours).weight.grad
            torch.testing.assert_close(gradient, part[f"gp_grad/{theirs}.weight"], **close)
        for parameter in (discriminator.shared.bias, discriminator.classifier.weight):
            # recorded as None (gp_grad_is_none); the second derivative of relu is zero here
            assert parameter.grad is None or not parameter.grad.any()


def test_loading_names_every_misfit_and_changes_nothing():
    discriminator = Discriminator(D, C, H)
    before = {k: v.clone() for k, v in discriminator.state_dict().items()}
    state = {"D_shared.0.weight": torch.zeros(H, D + 1), "D_gan.bias": torch.zeros(1)}
    with pytest.raises(InputError, match=r"missing classifier.bias.*shared.weight is \(13, 10\)"):
        load_published(discriminator, {**state, "extra": torch.zeros(1)})
    assert all(torch.equal(v, before[k]) for k, v in discriminator.state_dict().items())
