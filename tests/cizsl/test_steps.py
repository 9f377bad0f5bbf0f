"""The steps of critic and generator against plain autograd in float64."""

import pytest
import torch

from cizsl import divergences, hallucination
from cizsl.batches import BatchSampler, CriticBatch, GeneratorBatch
from cizsl.losses import Weights
from tests.cizsl.small_gan import B, C, Z, assert_same, draw_hallucination, gan, networks
from tests.helpers.oracles import (
    PUBLISHED_WEIGHTS,
    PlainDiscriminator,
    PlainGenerator,
    plain_critic_step,
    plain_generator_step,
    plain_gradient_penalty,
)

pytestmark = pytest.mark.usefixtures("float64")


def test_critic_steps_follow_plain_autograd():
    generator, discriminator = networks()
    state = gan(generator, discriminator, divergence=None)
    plain_g, plain_d = PlainGenerator(generator), PlainDiscriminator(discriminator)
    optimiser = torch.optim.Adam(plain_d.parameters(), lr=1e-4, betas=(0.5, 0.9))
    weights = state.weights
    for _ in range(3):
        draws = CriticBatch(torch.randint(60, (B,)), torch.randn(B, Z), torch.rand(B))
        state.critic_step(draws)
        # classification has weight 0.8 here: scale the plain step's cross-entropies alike
        real, y = state.features[draws.index], state.labels[draws.index]
        fake = plain_g(draws.z, state.text[y]).detach()
        value_real, logits_real = plain_d(real)
        value_fake, logits_fake = plain_d(fake)
        cross = torch.nn.functional.cross_entropy
        loss = value_fake.mean() - value_real.mean()
        loss = loss + weights.classification * (cross(logits_real, y) + cross(logits_fake, y))
        loss = loss + 10 * plain_gradient_penalty(plain_d, real, fake, draws.weight)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    assert_same(discriminator, plain_d)


def test_the_benchmark_oracle_of_the_critic_step_is_right():
    generator, discriminator = networks()
    state = gan(generator, discriminator, divergence=None)
    state.weights = Weights(**PUBLISHED_WEIGHTS)
    plain_g, plain_d = PlainGenerator(generator), PlainDiscriminator(discriminator)
    optimiser = torch.optim.Adam(plain_d.parameters(), lr=1e-4, betas=(0.5, 0.9))
    draws = CriticBatch(torch.randint(60, (B,)), torch.randn(B, Z), torch.rand(B))
    state.critic_step(draws)
    data = (state.features, state.labels, state.text)
    plain_critic_step(plain_g, plain_d, optimiser, *data, draws, 10.0)
    assert_same(discriminator, plain_d)


@pytest.mark.parametrize("divergence", [None, "sharma_mittal", "kl", "new_class"])
def test_generator_steps_follow_plain_autograd(divergence):
    generator, discriminator = networks(extra=divergence == "new_class")
    state = gan(generator, discriminator, divergence=divergence)
    plain_g, plain_d = PlainGenerator(generator), PlainDiscriminator(discriminator)
    optimiser = torch.optim.Adam(plain_g.parameters(), lr=1e-4, betas=(0.5, 0.9))
    creative = {
        None: None,
        "sharma_mittal": lambda x: divergences.sharma_mittal(x.softmax(-1), 0.5, 0.6).mean(),
        "kl": lambda x: divergences.kl(x.softmax(-1)).mean(),
        "new_class": lambda x: torch.nn.functional.cross_entropy(x, torch.full((B,), C)),
    }[divergence]
    for _ in range(3):
        drawn = draw_hallucination() if divergence else None
        draws = GeneratorBatch(torch.randint(60, (B,)), torch.randn(B, Z), drawn)
        state.generator_step(draws)
        data = (state.features, state.labels, state.text, state.centroids)
        plain_generator_step(plain_g, plain_d, optimiser, *data, draws, state.weights, creative)
    assert_same(generator, plain_g)
    assert_same(discriminator, plain_d)  # the generator's step leaves it alone
    assert all(p.grad is None and p.requires_grad for p in discriminator.parameters())


def test_exact_new_class_teaches_the_critic():
    """In the exact K+1 variant hallucinated samples are class K for the critic, too; without
    them class K has no positive and its probability falls, as in the published code."""
    drawn, probability = draw_hallucination(), {}
    for taught in (True, False):
        torch.manual_seed(2)
        generator, discriminator = networks(extra=1)
        state = gan(generator, discriminator, divergence="new_class")
        assert state.teaches_critic
        for group in state.optimisers["discriminator"].param_groups:
            group["lr"] = 1e-2
        mixture = hallucination.mixture(state.gram, drawn.first, drawn.second, drawn.weight)
        fake = generator.decode(drawn.z, mixture.of(generator.project(state.text)))
        for _ in range(20):
            index, z = torch.randint(60, (B,)), torch.randn(B, Z)
            state.critic_step(CriticBatch(index, z, torch.rand(B), drawn if taught else None))
        probability[taught] = discriminator(fake)[1].softmax(-1)[:, -1].mean().item()
    assert probability[True] > 0.2 > 0.1 > probability[False]


@pytest.mark.parametrize("divergence", [None, "sharma_mittal"])
def test_bf16_follows_float32(divergence):
    """Autocast changes rounding only: terms agree to bfloat16's three digits."""
    torch.set_default_dtype(torch.float32)
    terms = {}
    for enabled in (False, True):
        torch.manual_seed(1)
        state = gan(*networks(), divergence=divergence)
        drawn = draw_hallucination() if divergence else None
        critic = CriticBatch(torch.randint(60, (B,)), torch.randn(B, Z), torch.rand(B))
        draws = GeneratorBatch(torch.randint(60, (B,)), torch.randn(B, Z), drawn)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            terms[enabled] = state.critic_step(critic) | state.generator_step(draws)
        assert all(p.dtype == torch.float32 for p in state.generator.parameters())
    for name, value in terms[False].items():
        torch.testing.assert_close(
            terms[True][name].float(),
            value,
            rtol=0.05,
            atol=0.03,
            msg=lambda m, n=name: f"{n}: {m}",
        )


@pytest.mark.gpu
def test_an_iteration_never_waits_for_the_device():
    """CUDA raises at any host synchronisation; draws, five critic steps and a generator step."""
    torch.set_default_dtype(torch.float32)
    generator, discriminator = (module.cuda() for module in networks())
    state = gan(generator, discriminator, divergence="sharma_mittal")
    for name in ("features", "labels", "text", "centroids", "gram"):
        setattr(state, name, getattr(state, name).cuda())
    state.parameters.cuda()
    random = torch.Generator("cuda").manual_seed(0)
    classes = torch.arange(C, device="cuda")
    sampler = BatchSampler(state.labels, classes, B, Z, (0.2, 0.8), random)
    for mode in ("default", "error"):  # the first iteration may compile and allocate
        torch.cuda.set_sync_debug_mode(mode)
        try:
            for _ in range(5):
                state.critic_step(sampler.critic_batch(hallucinate=False))
            state.generator_step(sampler.generator_batch(hallucinate=True))
        finally:
            torch.cuda.set_sync_debug_mode("default")
