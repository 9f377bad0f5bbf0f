"""Every shortcut against plain autograd in float64, and the networks against recorded values."""

import numpy as np
import pytest
import torch

from cizsl import creativity, divergences, hallucination, losses
from cizsl.batches import BatchSampler, CriticBatch, GeneratorBatch, Hallucination
from cizsl.divergences import DivergenceParameters
from cizsl.gan import GAN
from cizsl.losses import Weights
from cizsl.networks import Discriminator, Generator, load_published
from repro.errors import InputError
from tests.helpers.oracles import (
    PUBLISHED_WEIGHTS,
    PlainDiscriminator,
    PlainGenerator,
    plain_critic_step,
    plain_generator_step,
    plain_gradient_penalty,
    plain_hallucination,
    plain_pivot,
)
from tests.helpers.rounding import float32_bound

B, D, H, C, V, R, Z = 24, 9, 13, 5, 17, 6, 4


@pytest.fixture(autouse=True)
def float64():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def networks(extra=0):
    """Networks with non-zero biases, so that a forgotten bias shows."""
    pair = Generator(V, D, Z, R, H), Discriminator(D, C + extra, H)
    for module in pair:
        for name, parameter in module.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=0.3)
    return pair


def draw_hallucination():
    pair = torch.randint(C, (2, B))
    return Hallucination(*pair, 0.2 + 0.6 * torch.rand(B), torch.randn(B, Z))


def gan(generator, discriminator, divergence=None):
    text = torch.rand(C, V)
    text[2] = 0  # a class without text, as in the real data
    text = torch.nn.functional.normalize(text, dim=1)
    return GAN(
        generator,
        discriminator,
        DivergenceParameters(0.5, 0.6),
        features=torch.randn(60, D),
        labels=torch.randint(C, (60,)),
        text=text,
        centroids=torch.randn(C, D),
        weights=Weights(**PUBLISHED_WEIGHTS | {"pivot": 1.3, "classification": 0.8}),
        creativity=creativity.resolve(divergence or "none", "exact"),
    )


def assert_same(ours, plain, tolerance=1e-10):
    for (name, mine), (_, theirs) in zip(
        ours.named_parameters(), plain.named_parameters(), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance, msg=name)


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


def closed_form(discriminator, real, fake, weight):
    """The penalty that training uses, from the pre-activations."""
    labels = torch.zeros(B, dtype=torch.long)
    terms = losses.critic_terms(discriminator, real, fake, labels, weight)
    return terms["gradient_penalty"]


def generic(wrap):
    return lambda d, *points: losses.gradient_penalty(wrap(d), *points)


@pytest.mark.parametrize(
    "penalty", [closed_form, generic(lambda d: d), generic(lambda d: lambda x: d(x)[0])]
)
def test_gradient_penalty_is_double_backward(penalty):
    """The closed form, and the generic form of any callable: value and every gradient."""
    _, discriminator = networks()
    plain = PlainDiscriminator(discriminator)
    real, fake, weight = torch.randn(B, D), torch.randn(B, D), torch.rand(B)
    ours = penalty(discriminator, real, fake, weight)
    theirs = plain_gradient_penalty(plain, real, fake, weight)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
    ours.backward()
    theirs.backward()
    for name in ("shared.weight", "critic.weight"):
        torch.testing.assert_close(
            discriminator.get_parameter(name).grad, plain.get_parameter(name).grad
        )


def test_penalty_of_a_linear_critic_in_closed_form():
    """|grad| = |w| everywhere, so the penalty is (|w| - 1)^2."""
    w = torch.randn(D)
    penalty = losses.gradient_penalty(
        lambda x: x @ w, torch.randn(B, D), torch.randn(B, D), torch.rand(B, 1)
    )
    assert penalty.item() == pytest.approx((w.norm().item() - 1) ** 2, rel=1e-12)


def test_hallucinated_text_is_normalised_and_never_needed():
    """Coefficients from the Gram matrix give the mixed text, through any linear map; the
    all-zero class included."""
    generator, discriminator = networks()
    state, drawn = gan(generator, discriminator, divergence="kl"), draw_hallucination()
    whole = hallucination.hallucinate(state.text, drawn.first, drawn.second, drawn.weight)
    torch.testing.assert_close(whole, plain_hallucination(state.text, drawn))
    lengths = whole.norm(dim=1)
    both_empty = (drawn.first == 2) & (drawn.second == 2)
    torch.testing.assert_close(lengths, (~both_empty).to(lengths.dtype))
    mixture = hallucination.mixture(state.gram, drawn.first, drawn.second, drawn.weight)
    torch.testing.assert_close(mixture.of(state.text), whole)
    projected = mixture.of(generator.project(state.text))
    torch.testing.assert_close(projected, generator.project(whole))


def test_hallucinated_text_meets_the_published_code(golden):
    arrays = np.load(golden("cizsl/hallucinated_text.npz"))
    for case in "ab":
        part = {k[2:]: arrays[k] for k in arrays if k.startswith(case)}
        labels = part["labels"].astype(np.int64)
        first, second = (torch.from_numpy(labels[part[name]]) for name in ("perm1", "perm2"))
        text = torch.from_numpy(part["class_text"].astype(np.float64))
        ours = hallucination.hallucinate(text, first, second, torch.from_numpy(part["alpha"]))
        np.testing.assert_allclose(ours.numpy(), part["out_float64"], rtol=1e-7, atol=1e-9)


def test_pairs():
    random = torch.Generator().manual_seed(0)
    classes = torch.tensor([1, 4, 7])
    first, second = hallucination.distinct_pairs(classes, 3000, random)
    assert (first != second).all()
    counts = torch.bincount(
        3 * torch.searchsorted(classes, first) + torch.searchsorted(classes, second)
    )
    # six ordered pairs, each 500 times expected: 5 standard deviations are 102
    assert sorted(counts.nonzero().ravel().tolist()) == [1, 2, 3, 5, 6, 7]
    assert (counts[counts > 0] - 500).abs().max() < 102
    labels = torch.tensor([5, 5, 6, 7])
    for part in hallucination.pairs_from_batch(labels, random):
        assert sorted(part.tolist()) == [5, 5, 6, 7]
    with pytest.raises(InputError, match="two classes"):
        hallucination.distinct_pairs(classes[:1], 2, random)


def test_pivot_is_the_loop_over_classes():
    fake, labels = torch.randn(B, D, requires_grad=True), torch.randint(C - 1, (B,))
    centroids = torch.randn(C, D)  # class C - 1 is absent from the batch
    ours, theirs = losses.pivot(fake, labels, centroids), plain_pivot(fake, labels, centroids)
    torch.testing.assert_close(ours, theirs)
    gradients = [torch.autograd.grad(loss, fake, retain_graph=True)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*gradients)


def test_pivot_at_the_centroid_has_a_finite_gradient():
    """The published code takes sqrt at zero: its gradient there is NaN."""
    centroids = torch.randn(C, D)
    fake = centroids.clone().requires_grad_()
    losses.pivot(fake, torch.arange(C), centroids).backward()
    assert fake.grad.isfinite().all()


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


def test_norms():
    generator, _ = networks()
    weights = (generator.text_projection, generator.hidden, generator.output)
    expected = sum((layer.weight**2).sum() for layer in weights)
    torch.testing.assert_close(losses.l2(generator), expected)
    columns = generator.text_projection.weight.T
    torch.testing.assert_close(losses.l21(generator), sum(c.norm() for c in columns))


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
