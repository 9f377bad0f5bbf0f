"""Evaluation: each number against one that is known, and the page that shows them."""

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from repro.errors import InputError
from sde import build, figures
from sde.data.toy import RING
from sde.evaluation.evaluate import distances, evaluate
from sde.evaluation.nll import heldout_likelihood, heldout_split
from sde.processes import VPSDE
from sde.sample import draw
from sde.samplers import SOLVERS
from sde.samplers.spec import SamplerSpec, parse_sampler
from sde.trained_model import TrainedModel, load
from tests.helpers.oracles_sde import generator
from tests.helpers.rounding import float32_bound
from tests.sde.conftest import CPU, tiny_config

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def exact() -> TrainedModel:
    """The exact score of eight Gaussians, standing where a trained network stands."""
    config = tiny_config(
        data={"train": 4000, "heldout": 2000},
        evaluation={"samples": 1000, "likelihoods": 300, "compare": ("heun", "ancestral")},
    )
    sde, network = VPSDE(), torch.nn.Identity()
    data = build.dataset(config, CPU)
    return TrainedModel(config, sde, network, RING.score_fn(sde), data, 0, [], CPU, Path("none"))


def test_likelihood_of_the_exact_score_is_the_truth(exact):
    found = heldout_likelihood(exact, exact.data.heldout)
    assert found.bits_per_dim == pytest.approx(found.truth_bits_per_dim, abs=5e-3)
    entropy = math.log(8) + 1 + math.log(2 * math.pi * 0.08**2)  # modes hardly overlap
    assert -found.nats == pytest.approx(entropy, abs=4 * found.standard_error * 2 * math.log(2))
    assert found.examples == 300 and found.dims == 2 and found.probe_error is None
    estimated = heldout_likelihood(exact_with(exact, probes=20), exact.data.heldout)
    assert abs(estimated.bits_per_dim - found.bits_per_dim) < 5 * estimated.probe_error
    assert 0 < estimated.probe_error < 0.1


def exact_with(trained: TrainedModel, **evaluation) -> TrainedModel:
    config = trained.config
    changed = config.evaluation.model_copy(update=evaluation)
    config = config.model_copy(update={"evaluation": changed})
    return TrainedModel(**{**vars(trained), "config": config})


def test_bits_of_levels_are_those_of_their_density(digits_run):
    """bits = (levels' width in bits) - log2 density / D, for the digits' 17 levels on [-1, 1]."""
    trained = load(digits_run, CPU)
    found = heldout_likelihood(trained, trained.data.heldout)
    assert found.data == "digits" and found.dims == 64 and found.examples == 20
    expected = math.log2(17 / 2) - found.nats / (64 * math.log(2))
    assert found.bits_per_dim == pytest.approx(expected)
    assert found.probe_error > 0 and "from the estimator" in found.in_words()


def test_distances_tell_right_from_wrong():
    real, same = RING.sample(2000, generator(1)), RING.sample(1000, generator(2))
    good, bad = (distances(real, x, generator(3)) for x in (same, same + 0.2))
    for name in ("energy_distance", "sliced_wasserstein", "mmd", "frechet"):
        assert bad[name]["value"] > 1.5 * good[name]["value"], name
        assert (good[name]["num_real"], good[name]["num_fake"]) == (2000, 1000)
    assert good["precision"]["value"] > 0.95 and good["recall"]["value"] > 0.95
    assert bad["precision"]["value"] < 0.9


def test_evaluating_the_exact_score_reaches_the_floor(exact, tmp_path):
    page, results = evaluate(exact, tmp_path)
    assert page == tmp_path / "page.html"
    for name in ("energy_distance", "sliced_wasserstein", "mmd"):
        found = results["distances"][name]
        assert found["value"] < 5 * abs(found["floor"]) + 1e-3
    rows = results["samplers"]["rows"]
    assert [(row["sampler"], row["nfe"]) for row in rows] == [
        ("heun", 9), ("heun", 19), ("ancestral", 10), ("ancestral", 20)
    ]  # fmt: skip
    assert len(results["samplers"]["floors"]) == 4
    written = json.loads((tmp_path / "results.json").read_text())["evaluation"]
    assert written == json.loads(json.dumps(results))


@pytest.mark.parametrize("kind", ["plane_run", "digits_run"])
def test_page_needs_nothing_else_and_is_well_formed(kind, request, tmp_path):
    trained = load(request.getfixturevalue(kind), CPU)
    page, _ = evaluate(trained, tmp_path)
    text = page.read_text()
    assert not re.search(r'(src|href)="(?!#|data:)', text) and "<script" not in text
    assert not re.search(r"@import|url\((?!#)", text)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)
    for colour in figures.THEME:  # every colour of a figure is the page's
        assert colour not in text[text.index("<body>") :]
    Balanced().feed(text)
    assert len(text) < 600_000


def test_the_page_says_where_its_numbers_are_from(digits_run, tmp_path):
    trained = load(digits_run, CPU)
    page, results = evaluate(trained, tmp_path)
    told = dict(re.findall(r"<tr><td>([^<]+)</td><td[^>]*><code>([^<]+)</code>", page.read_text()))
    assert told["run folder"] == str(digits_run)
    assert told["seeds"] == f"one: {trained.config.seed}"
    checksums = {f"SHA-256 of {name}": digest for name, digest in trained.data.checksums.items()}
    assert len(checksums) == 2 and checksums.items() <= told.items()
    environment = json.loads((digits_run / "environment.json").read_text())
    assert told["device"] == environment["device"]
    distances, likelihood = told["protocol of the distances"], told["protocol of the likelihood"]
    counts = results["distances"]["energy_distance"]
    for part in (f"{counts['num_fake']} samples", results["sampler"], f"{results['nfe']} eval"):
        assert part in distances
    assert f"{results['likelihood']['examples']} examples held out" in likelihood


class Balanced(HTMLParser):
    """Fails where a tag is closed that is not the last one opened."""

    VOID = frozenset(("meta", "br", "img", "link"))

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, self.getpos()


def test_neighbours_are_the_nearest_training_images(digits_run):
    """The figure's board: the bottom row repeats training images given as samples."""
    data = load(digits_run, CPU).data
    levels = data.spec.quantisation
    x = levels.low + (levels.high - levels.low) * (data.train.values[:3] + 0.5) / levels.grey_levels
    image = figures.neighbours(x + 0.01, data).axes[0].images[0].get_array()
    assert image.shape == (19, 28)
    assert abs(image[1:9] - image[10:18]).max() < 0.011


@pytest.mark.parametrize("corrector_steps", [1, 2])
@pytest.mark.parametrize(
    "name", [*SOLVERS, "ancestral", "reverse_diffusion+langevin", "none+annealed_langevin"]
)
def test_budgets_are_kept(exact, name, corrector_steps):
    """The steps that a budget pays for never cost more, and one step more would."""
    sampling = exact.config.sampling.model_copy(update={"corrector_steps": corrector_steps})
    config = exact.config.model_copy(update={"sampling": sampling})
    trained = TrainedModel(**{**vars(exact), "config": config})
    steps = parse_sampler(name).steps_within(20, corrector_steps)
    assert draw(trained, name, steps, 2).nfe <= 20 < draw(trained, name, steps + 1, 2).nfe


def test_names_of_samplers():
    assert parse_sampler("ode") == SamplerSpec("ode")
    assert parse_sampler("heun").solver == "heun"
    assert parse_sampler("ancestral+langevin") == SamplerSpec(
        "ancestral+langevin", predictor="ancestral", corrector="langevin"
    )
    for wrong in ("", "euler", "heun+langevin", "langevin", "ancestral+", "none", "a+b+c"):
        with pytest.raises(InputError, match="sampler"):
            parse_sampler(wrong)


def test_other_data_must_fit(plane_run):
    trained = load(plane_run, CPU)
    assert heldout_split(trained, None) is trained.data.heldout
    assert heldout_split(trained, "moons").spec.name == "moons"
    with pytest.raises(InputError, match=r"--data digits: its examples have shape \(1, 8, 8\)"):
        heldout_split(trained, "digits")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("evaluation.compare=[]", "None were asked for."),
        ("evaluation.budgets=[1]", "None were asked for."),
        ("sampling.snr=1e12", "None gave finite samples: reverse_diffusion+langevin at 10."),
    ],
)
def test_a_page_without_any_sampler_to_compare(digits_run, tmp_path, override, said):
    few = ["evaluation.compare=[reverse_diffusion+langevin]", "evaluation.budgets=[10]"]
    trained = load(digits_run, CPU, [*few, "evaluation.likelihoods=2", override])
    page, results = evaluate(trained, tmp_path / "out")
    assert said in page.read_text()
    assert all(row["distance"] is None for row in results["samplers"]["rows"])


def test_too_few_samples_are_refused_before_any_is_drawn(digits_run, tmp_path, monkeypatch):
    monkeypatch.setattr("sde.evaluation.evaluate.draw", None)
    with pytest.raises(InputError, match=r"evaluation\.samples: distances need 4"):
        evaluate(load(digits_run, CPU, ["evaluation.samples=3"]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_likelihood_is_not_that_of_the_first_items(exact):
    """Of sorted examples the first say nothing about the rest."""
    values = exact.data.heldout.values
    ordered = replace(exact.data.heldout, values=values[values[:, 0].argsort()])
    truth = -exact.data.log_density(values).mean().item() / math.log(2) / 2
    found = heldout_likelihood(exact, ordered)
    assert found.examples < len(values) / 2
    assert found.bits_per_dim == pytest.approx(truth, abs=4 * found.standard_error)


def test_precision_is_of_samples_alone(digits_run, monkeypatch):
    """Less of it moves samples a little, and likelihoods not at all; compiling, by a rounding."""
    compiled, real = [], torch.compile

    def compile(network):
        compiled.append(network)
        return real(network, backend="aot_eager")

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # as the command line has it
    few = ["evaluation.likelihoods=4", "sampling.count=6"]
    tf32 = set()

    def drawn(*overrides):
        trained = load(digits_run, CPU, [*few, *overrides])
        tf32.clear()
        hook = trained.network.register_forward_pre_hook(
            lambda *_: tf32.add(torch.backends.cudnn.allow_tf32)
        )
        x = draw(trained, "ddim", 10, 6).x
        hook.remove()
        assert tf32 == {"sampling.precision=tf32" in overrides} or compiled
        return x, heldout_likelihood(trained, trained.data.heldout)

    x, measured = drawn()
    for overrides, low, high in (
        (["sampling.precision=tf32"], 0.0, 0.0),  # of a GPU alone
        (["sampling.precision=bf16"], 1e-4, 0.2),
        # some 20 layers of 9 x 8 numbers, ten steps, pixels from -1 to 1
        (["compute.compile=true", "compute.channels_last=true"], 0.0, float32_bound(14400, 2)),
    ):
        other, again = drawn(*overrides)
        assert other.dtype == x.dtype and low <= (other - x).abs().max() <= high, overrides
        assert again.bits_per_dim == pytest.approx(measured.bits_per_dim, rel=float32_bound(1440))
    assert len(compiled) == 1
