"""Whole iterations of the published code, replayed draw by draw through ours.

The traces (5 critic steps and 1 generator step, three times) hold every random draw, and the
losses, gradients and parameters after every step. B traces have no class with a single image in a
generator batch, so the corrected pivot must meet them; A traces need the published pivot.
"""

import numpy as np
import pytest
import torch

from cizsl import creativity
from cizsl.batches import CriticBatch, GeneratorBatch, Hallucination
from cizsl.divergences import DivergenceParameters
from cizsl.gan import GAN
from cizsl.losses import Weights
from cizsl.networks import PUBLISHED_NAMES, Discriminator, Generator, load_published
from tests.helpers.oracles import PUBLISHED_WEIGHTS

DIVERGENCE = {
    "m1": "kl",
    "m2": "sharma_mittal",
    "m3": "bhattacharyya",
    "m4": "tsallis",
    "m5": "renyi",
    "m6": "new_class",
}
LEARNED = {"m2": ("learned", "learned"), "m4": ("learned", 0.5), "m5": ("learned", 0.9999)}
TERMS = {
    "G_loss": ("adversarial", -1),
    "Euclidean_loss": ("pivot", 1),
    "reg_loss": ("l2", 1),
    "reg_Wz_loss": ("l21", 1),
    "loss_creative": ("creativity", 1),
    "disc_GX_fake_real": ("hallucinated_adversarial", 1),
}


class Trace:
    """A recorded run: arrays by name, and its draws in the order they were made."""

    def __init__(self, path):
        self.arrays = dict(np.load(path))
        self.draws = iter([k for k in sorted(self.arrays) if k.startswith("draw/")])
        self.batches = iter([k for k in sorted(self.arrays) if k.startswith("batch/")])

    def tensor(self, name):
        return torch.from_numpy(np.array(self.arrays[name]))

    def draw(self, kind):
        """The next draw of this kind; permutations of the data are implied by the batches."""
        name = next(name for name in self.draws if not name.endswith("permutation"))
        assert name.endswith(f"/{kind}"), f"expected {kind}, the trace has {name}"
        return self.tensor(name)

    def batch(self):
        return self.tensor(next(self.batches))

    def part(self, prefix):
        cut = len(prefix) + 1
        return {k[cut:]: self.tensor(k) for k in self.arrays if k.startswith(prefix + "/")}


def our_name(published):
    layer, _, kind = published.rpartition(".")
    return f"{PUBLISHED_NAMES[layer]}.{kind}"


def build(trace, variant, reference_compat):
    text, features = trace.tensor("text"), trace.tensor("X")
    model, dtype = variant.split("_")[1], features.dtype
    divergence = "none" if model == "off" else DIVERGENCE[model]
    g, d = trace.part("init/G"), trace.part("init/D")
    hidden, width = g["main.0.weight"].shape
    embed = g["rdc_text.weight"].shape[0]
    generator = Generator(text.shape[1], features.shape[1], width - embed, embed, hidden)
    discriminator = Discriminator(features.shape[1], len(d["D_aux.bias"]), hidden)
    parameters = DivergenceParameters(*LEARNED.get(model, (0.5, 0.5)))
    for module in (generator, discriminator, parameters):
        module.to(dtype)
    load_published(generator, g)
    load_published(discriminator, d)
    if parameters.raw.numel():
        raw = trace.tensor("init/SM/layer_module.0.weight").ravel()
        parameters.load_state_dict({"raw": raw})
    return GAN(
        generator,
        discriminator,
        parameters,
        features=features,
        labels=trace.tensor("y").long(),
        text=text,
        centroids=trace.tensor("centroids"),
        creativity=creativity.resolve(divergence, "published"),
        weights=Weights(**PUBLISHED_WEIGHTS | {"creativity": 0.5}),
        reference_compat=reference_compat,
    )


def assert_state(ours, recorded, tolerance, what):
    for name, value in recorded.items():
        mine = ours[our_name(name)]
        error = ((mine - value).abs().max() / value.abs().max().clamp_min(1e-12)).item()
        assert error < tolerance, f"{what}: {name} differs by {error:.1e}"


def assert_close(mine, recorded, tolerance, what):
    assert mine.item() == pytest.approx(recorded.item(), rel=tolerance, abs=1e-12), what


def replay(trace, gan, tolerance):
    """Three iterations; every loss, and every parameter after every step."""
    labels = trace.tensor("y").long()
    dtype = gan.features.dtype
    for iteration in range(3):
        creative = labels[trace.batch()]
        pairs = creative[trace.draw("shuffle")], creative[trace.draw("shuffle")]
        mixing = trace.draw("random") * 0.6 + 0.2
        hallucination = Hallucination(*pairs, mixing.to(dtype), trace.draw("randn").to(dtype))
        if not gan.hallucinates:
            hallucination = None
        for k in range(5):
            where = f"it{iteration}/critic{k}"
            draws = CriticBatch(trace.batch(), trace.draw("randn"), trace.draw("rand").ravel())
            terms = gan.critic_step(draws)
            for ours, theirs in [
                ("real", "D_loss_real"),
                ("fake", "D_loss_fake"),
                ("classify_real", "C_loss_real"),
                ("classify_fake", "C_loss_fake"),
            ]:
                assert_close(terms[ours], trace.tensor(f"{where}/loss/{theirs}"), tolerance, where)
            penalty = trace.tensor(f"{where}/loss/grad_penalty") / 10
            assert_close(terms["gradient_penalty"], penalty, tolerance, where)
            state = gan.discriminator.state_dict()
            assert_state(state, trace.part(f"{where}/state/D"), tolerance, where)
        where = f"it{iteration}/gen"
        draws = GeneratorBatch(trace.batch(), trace.draw("randn"), hallucination)
        terms = gan.generator_step(draws)
        for theirs, (ours, sign) in TERMS.items():
            if ours in terms:
                recorded = sign * trace.tensor(f"{where}/loss/{theirs}")
                assert_close(terms[ours], recorded, tolerance, f"{where} {ours}")
        assert_state(gan.generator.state_dict(), trace.part(f"{where}/state/G"), tolerance, where)
        if gan.parameters.raw.numel():
            recorded = trace.tensor(f"{where}/state/SM/layer_module.0.weight").ravel()
            torch.testing.assert_close(
                gan.parameters.raw.detach(), recorded, rtol=tolerance, atol=0
            )


@pytest.mark.parametrize("name", ["B_m1_f64", "B_m2_f64", "B_m3_f64"])
def test_corrected_pivot_meets_the_published_iterations(golden, name):
    trace = Trace(golden(f"cizsl/trace_{name}.npz"))
    replay(trace, build(trace, name, reference_compat=False), 1e-9)


@pytest.mark.parametrize(
    "name", ["A_m1_f64", "A_m2_f64", "A_m3_f64", "A_m4_f64", "A_m5_f64", "A_m6_f64"]
)
def test_reference_compat_meets_the_rest(golden, name):
    trace = Trace(golden(f"cizsl/trace_{name}.npz"))
    replay(trace, build(trace, name, reference_compat=True), 1e-9)


def test_gazsl_is_the_run_without_creative_terms(golden):
    trace = Trace(golden("cizsl/trace_A_off_f64.npz"))
    replay(trace, build(trace, "A_off_f64", reference_compat=True), 1e-9)


def test_float32(golden):
    trace = Trace(golden("cizsl/trace_A_m2_f32.npz"))
    replay(trace, build(trace, "A_m2_f32", reference_compat=True), 2e-4)


def test_the_quirk_shows_without_its_switch(golden):
    """The A traces hold single-image classes: the corrected pivot must differ on them."""
    trace = Trace(golden("cizsl/trace_A_m2_f64.npz"))
    with pytest.raises(AssertionError, match="it0/gen"):
        replay(trace, build(trace, "A_m2_f64", reference_compat=False), 1e-9)
