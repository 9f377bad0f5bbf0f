"""The semantic classifier of CIZSL-v2 against the linear one and against plain autograd."""

import pytest
import torch
from torch.nn import functional as F

from cizsl import creativity, divergences, losses
from cizsl.batches import CriticBatch, GeneratorBatch
from cizsl.divergences import DivergenceParameters
from cizsl.gan import GAN
from cizsl.heads import BothHeads, LinearHead, SemanticHead
from cizsl.losses import Weights
from cizsl.networks import Discriminator, Generator
from tests.cizsl.small_gan import B, C, D, H, R, V, Z, assert_same, draw_hallucination
from tests.helpers.oracles import (
    PUBLISHED_WEIGHTS,
    PlainDiscriminator,
    PlainGenerator,
    plain_gradient_penalty,
    plain_hallucination,
    plain_pivot,
)

pytestmark = pytest.mark.usefixtures("float64")
WEIGHTS = Weights(**PUBLISHED_WEIGHTS | {"pivot": 1.3, "classification": 0.8})


def gan(head, divergence="sharma_mittal", **options):
    """A GAN with this classifier, every bias non-zero, and a class without text."""
    generator, discriminator = Generator(V, D, Z, R, H), Discriminator(D, head.width, H)
    for module in (generator, discriminator):
        for name, parameter in module.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=0.3)
    text = F.normalize(torch.rand(C, V) * (torch.arange(C) != 2)[:, None], dim=1)
    return GAN(
        generator,
        discriminator,
        DivergenceParameters(0.5, 0.6),
        features=torch.randn(60, D),
        labels=torch.randint(C, (60,)),
        text=text,
        centroids=torch.randn(C, D),
        creativity=creativity.resolve(divergence, "exact"),
        weights=WEIGHTS,
        head=head,
        **options,
    )


def critic_batch():
    return CriticBatch(torch.randint(60, (B,)), torch.randn(B, Z), torch.rand(B))


def generator_batch():
    return GeneratorBatch(torch.randint(60, (B,)), torch.randn(B, Z), draw_hallucination())


def plain(state):
    """Copies of both networks, and an optimiser of each."""
    networks = PlainGenerator(state.generator), PlainDiscriminator(state.discriminator)
    return *networks, [torch.optim.Adam(n.parameters(), 1e-4, (0.5, 0.9)) for n in networks]


def test_with_unit_texts_it_is_the_linear_classifier():
    """R = C and e(t_k) the k-th unit vector: the logits are s(x), so all losses are CIZSL's."""
    outputs, texts = torch.randn(B, C), torch.eye(C)
    semantic, linear = SemanticHead(C, 0, C), LinearHead(C, 0, C)
    labels = torch.randint(C, (B,))
    torch.testing.assert_close(semantic.logits(outputs, texts), outputs, rtol=0, atol=0)
    found = semantic.cross_entropy(outputs, labels, texts)
    torch.testing.assert_close(found, linear.cross_entropy(outputs, labels, texts))


def plain_critic_loss(g, d, state, batch):
    y, real = state.labels[batch.index], state.features[batch.index]
    texts = g.text_projection(state.text).detach()
    fake = g(batch.z, state.text[y]).detach()
    loss = 10 * plain_gradient_penalty(d, real, fake, batch.weight)
    for x, sign in ((real, -1), (fake, 1)):
        value, s = d(x)
        loss = loss + sign * value.mean() + 0.8 * F.cross_entropy(s @ texts.T, y)
    return loss


def test_critic_steps_follow_plain_autograd():
    """And nothing of them reaches the texts."""
    state = gan(SemanticHead(C, 0, R))
    g, d, (_, adam) = plain(state)
    for _ in range(3):
        batch = critic_batch()
        state.critic_step(batch)
        plain_critic_loss(g, d, state, batch).backward()
        adam.step()
        adam.zero_grad()
    assert_same(state.discriminator, d)
    assert all(parameter.grad is None for parameter in state.generator.parameters())


def plain_generator_loss(g, d, state, batch, creative_texts):
    y, drawn, text = state.labels[batch.index], batch.hallucination, state.text
    texts = g.text_projection(text)
    fake, new = g(batch.z, text[y]), g(drawn.z, plain_hallucination(text, drawn))
    value, s = d(fake)
    real_s = d(state.features[batch.index])[1]
    cross = F.cross_entropy(s @ texts.T, y) + F.cross_entropy(real_s @ texts.T, y)
    loss = -value.mean() + 0.4 * cross + 1.3 * plain_pivot(fake, y, state.centroids)
    loss = loss + 1e-3 * sum(p.pow(2).sum() for n, p in g.named_parameters() if "weight" in n)
    loss = loss + 1e-4 * g.text_projection.weight.norm(dim=0).sum()
    value, s = d(new)
    posterior = (s @ creative_texts(texts).T).softmax(-1)
    return loss - value.mean() + 0.1 * divergences.sharma_mittal(posterior, 0.5, 0.6).mean()


@pytest.mark.parametrize("detach", [False, True])
def test_generator_steps_follow_plain_autograd(detach):
    state = gan(SemanticHead(C, 0, R), detach_texts=detach)
    g, d, (adam, _) = plain(state)
    creative = (lambda texts: texts.detach()) if detach else (lambda texts: texts)
    for _ in range(3):
        batch = generator_batch()
        terms = state.generator_step(batch)
        loss = plain_generator_loss(g, d, state, batch, creative)
        loss.backward()
        adam.step()
        adam.zero_grad()
        torch.testing.assert_close(sum(terms.values()), loss.detach(), rtol=1e-12, atol=0)
    assert_same(state.generator, g)
    assert_same(state.discriminator, plain(state)[1])


def test_real_images_teach_the_texts():
    """d CE(l(x), y) / d W_r by central differences, in three entries."""
    state = gan(SemanticHead(C, 0, R))
    weight = state.generator.get_parameter("text_projection.weight")
    x, y = state.features, state.labels

    def cross():
        outputs = state.discriminator(x)[1].detach()
        return state.head.cross_entropy(outputs, y, state.generator.reduce(state.text))

    gradient = torch.autograd.grad(cross(), weight)[0]
    for place in ((0, 0), (2, 5), (5, 16)):
        values = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                weight[place] += step
                values.append(cross().item())
                weight[place] -= step
        slope = (values[0] - values[1]) / 2e-5
        assert slope == pytest.approx(gradient[place].item(), rel=1e-6) and abs(slope) > 1e-6


def test_the_new_class_of_a_sample_is_its_own_text():
    """K+1: the last logit is s(x_h) . e(t_h), and its loss vanishes where s points along e(t_h)."""
    state = gan(SemanticHead(C, 1, R), "new_class")
    drawn, texts = draw_hallucination(), state.generator.reduce(state.text)
    own = state._own_texts(drawn, texts)
    whole = state.generator.reduce(plain_hallucination(state.text, drawn))
    assert own is not None
    torch.testing.assert_close(own, whole)
    logits = state.head.logits(1e3 * own.detach(), torch.zeros(C, R), own.detach())
    assert logits.shape == (B, C + 1) and losses.new_class(logits).item() < 1e-12
    assert state.head.logits(torch.randn(B, R), texts).shape == (B, C)  # of images
    g, d, _ = plain(state)
    s = d(g(drawn.z, plain_hallucination(state.text, drawn)))[1]
    table = torch.cat([s @ texts.T, (s * whole).sum(1, keepdim=True)], dim=1)
    batch = CriticBatch(torch.randint(60, (B,)), torch.randn(B, Z), torch.rand(B), drawn)
    found = state.critic_step(batch)["classify_new"]
    torch.testing.assert_close(found, F.cross_entropy(table, torch.full((B,), C)).detach())


def test_scaled_cosine():
    outputs, texts = torch.randn(B, R), torch.randn(C, R)
    found = SemanticHead(C, 0, R, scale=7.0).logits(outputs, texts, texts[:1].expand(B, R))
    expected = 7 * F.cosine_similarity(outputs[:, None], texts[None], dim=2)
    torch.testing.assert_close(found, torch.cat([expected, expected[:, :1]], dim=1))


def test_both_heads_add_their_cross_entropies():
    outputs, texts, labels = torch.randn(B, C + R), torch.randn(C, R), torch.randint(C, (B,))
    found = BothHeads(C, 0, R).cross_entropy(outputs, labels, texts)
    semantic = F.cross_entropy(outputs[:, C:] @ texts.T, labels)
    torch.testing.assert_close(found, F.cross_entropy(outputs[:, :C], labels) + semantic)
    state = gan(BothHeads(C, 0, R))
    state.critic_step(critic_batch())
    assert "classification_real" in state.generator_step(generator_batch())
