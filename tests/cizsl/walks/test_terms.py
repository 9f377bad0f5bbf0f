"""The walk terms in the two training steps, against an independent re-implementation."""

import pytest
import torch
from torch.nn import functional as F

from cizsl import creativity
from cizsl.batches import BatchSampler, CriticBatch, GeneratorBatch, WalkDraws, WalkSizes
from cizsl.divergences import DivergenceParameters
from cizsl.gan import GAN
from cizsl.losses import Weights
from cizsl.walks.random_walk import PUBLISHED_FLOOR, RandomWalk
from cizsl.walks.terms import WalkTerms
from tests.cizsl.small_gan import B, C, D, Z, assert_same, draw_hallucination, networks
from tests.helpers.oracles import (
    PUBLISHED_WEIGHTS,
    PlainDiscriminator,
    PlainGenerator,
    plain_gradient_penalty,
    plain_hallucination,
    plain_pivot,
)

pytestmark = pytest.mark.usefixtures("float64")
n = 3
WEIGHTS = Weights(
    **PUBLISHED_WEIGHTS | {"hallucinated_adversarial": 0.0, "creativity": 0.9},
    critic_imitative=1.0,
    critic_real=2.5,
    generator_imitative=0.6,
)


def gan(space="hidden", detach=False, max_grad_norm=0.0):
    generator, discriminator = networks()
    walk = RandomWalk(scale=1.0, floor=PUBLISHED_FLOOR)
    return GAN(
        generator,
        discriminator,
        DivergenceParameters(0.5, 0.5),
        features=torch.randn(60, D),
        labels=torch.randint(C - 1, (60,)),  # the last class has no image
        text=F.normalize(torch.rand(C, 17), dim=1),
        centroids=torch.randn(C, D),
        creativity=creativity.resolve("random_walk", "published"),
        weights=WEIGHTS,
        walks=WalkTerms(walk, space, detach),
        max_grad_norm=max_grad_norm,
    )


def draws(sets):
    return WalkDraws(torch.randn(sets, C, n, Z), torch.randint(60, (B,)))


def published_walk(prototypes, points, uniform):
    """The released formulas, N x N powers and the large number on the diagonal included."""
    p, f = F.normalize(prototypes, dim=1), F.normalize(points, dim=1)
    a = f @ p.T
    to, back = a.T.softmax(1), a.softmax(1)
    between = (f @ f.T - 1000 * torch.eye(len(f))).softmax(1)
    loss = -to.mean(0).clamp(1e-10, 1 - 1e-10).log().mean()
    for t in range(4):
        walk = (to @ torch.linalg.matrix_power(between, t) @ back).clamp(1e-10, 1 - 1e-10)
        kept = walk if uniform else walk.diagonal()
        loss = loss - 0.7**t * kept.log().mean()
    return loss


def phi(d, x):
    return F.relu(d.shared(x))


def plain_samples(g, state, z):
    """(C, n, D): class by class."""
    return torch.stack([g(z[c], state.text[c].expand(n, -1)) for c in range(C)])


def plain_critic_loss(g, d, state, batch):
    y, real = state.labels[batch.index], state.features[batch.index]
    fake = g(batch.z, state.text[y]).detach()
    (value_real, logits_real), (value_fake, logits_fake) = d(real), d(fake)
    loss = value_fake.mean() - value_real.mean()
    loss = loss + F.cross_entropy(logits_real, y) + F.cross_entropy(logits_fake, y)
    loss = loss + 10 * plain_gradient_penalty(d, real, fake, batch.weight)
    own, other = (phi(d, plain_samples(g, state, z).detach()) for z in batch.walks.z)
    loss = loss + published_walk(own.mean(1), own.flatten(0, 1), uniform=False)
    points, present = state.features[batch.walks.index], state.labels[batch.walks.index].unique()
    return loss + 2.5 * published_walk(other.mean(1)[present], phi(d, points), uniform=False)


def test_critic_steps_follow_the_published_formulas():
    state = gan()
    g, d = PlainGenerator(state.generator), PlainDiscriminator(state.discriminator)
    adam = torch.optim.Adam(d.parameters(), 1e-4, (0.5, 0.9))
    for _ in range(3):
        index, z, weight = torch.randint(60, (B,)), torch.randn(B, Z), torch.rand(B)
        batch = CriticBatch(index, z, weight, walks=draws(2))
        state.critic_step(batch)
        plain_critic_loss(g, d, state, batch).backward()
        adam.step()
        adam.zero_grad()
    assert_same(state.discriminator, d)
    assert all(parameter.grad is None for parameter in state.generator.parameters())


def plain_generator_loss(g, d, state, batch, space, detach):
    y, drawn, text = state.labels[batch.index], batch.hallucination, state.text
    fake = g(batch.z, text[y])
    value, logits = d(fake)
    loss = -value.mean() + F.cross_entropy(logits, y) / 2 + plain_pivot(fake, y, state.centroids)
    loss = loss + 1e-3 * sum(p.pow(2).sum() for k, p in g.named_parameters() if "weight" in k)
    loss = loss + 1e-4 * g.text_projection.weight.norm(dim=0).sum()
    own, other = (space(d, plain_samples(g, state, z)) for z in batch.walks.z)
    loss = loss + 0.6 * published_walk(own.mean(1), own.flatten(0, 1), uniform=False)
    new = space(d, g(drawn.z, plain_hallucination(text, drawn)))
    prototypes = other.mean(1).detach() if detach else other.mean(1)
    return loss + 0.9 * published_walk(prototypes, new, uniform=True)


@pytest.mark.parametrize(
    ("space", "detach", "clip"), [("hidden", False, 0.5), ("hidden", True, 0), ("visual", False, 0)]
)
def test_generator_steps_follow_the_published_formulas(space, detach, clip):
    state = gan(space, detach, clip)
    g, d = PlainGenerator(state.generator), PlainDiscriminator(state.discriminator)
    adam = torch.optim.Adam(g.parameters(), 1e-4, (0.5, 0.9))
    mapped = phi if space == "hidden" else lambda d, x: x
    for _ in range(3):
        index, z = torch.randint(60, (B,)), torch.randn(B, Z)
        batch = GeneratorBatch(index, z, draw_hallucination(), draws(2))
        state.generator_step(batch)
        plain_generator_loss(g, d, state, batch, mapped, detach).backward()
        if clip:
            assert torch.nn.utils.clip_grad_norm_(g.parameters(), clip) > clip
        adam.step()
        adam.zero_grad()
    assert_same(state.generator, g)


def test_the_visual_space_teaches_the_critic_nothing():
    state = gan("visual")
    index, z, weight = torch.randint(60, (B,)), torch.randn(B, Z), torch.rand(B)
    terms = state.critic_step(CriticBatch(index, z, weight, walks=draws(1)))
    assert not {"critic_imitative", "critic_real"} & terms.keys()


def test_distance_to_the_least_loss():
    """Generators that make one feature for everything have a creative walk at its least: 1."""
    state = gan("visual")
    with torch.no_grad():
        state.generator.output.weight.zero_()
    index, z = torch.randint(60, (B,)), torch.randn(B, Z)
    batch = GeneratorBatch(index, z, draw_hallucination(), draws(1))
    assert state.generator_step(batch)["creativity_to_least"].item() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize(("compat", "sets", "batches"), [(False, 1, 2), (True, 2, 6)])
def test_draws(compat, sets, batches):
    """Ours: one set of samples, and the images of the step; published: two, and a batch for each
    walk, of which only the second in the critic's step is used."""
    labels, rng = torch.arange(80) % 4, torch.Generator().manual_seed(0)
    sizes = WalkSizes(4, n, compat)
    sampler = BatchSampler(labels, torch.arange(4), 8, Z, (0.2, 0.8), rng, walks=sizes)
    critic, other = sampler.critic_batch(False), sampler.generator_batch(True)
    assert critic.walks and other.walks
    assert critic.walks.z.shape == other.walks.z.shape == (sets, 4, n, Z)
    assert torch.equal(critic.walks.index, critic.index) is not compat
    assert sampler.order.position == 8 * batches
