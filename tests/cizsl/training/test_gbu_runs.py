"""The attribute benchmarks from the command line to the table, and what their numbers rest on."""

import json

import pytest
import torch

from cizsl import losses, networks
from cizsl.cli.parser import main
from cizsl.config import CIZSLConfig
from cizsl.data import gbu, gbu_validate
from cizsl.metrics import harmonic_mean
from cizsl.prepare import toy_gbu
from cizsl.report.html import page as html
from cizsl.report.markdown import report as table
from cizsl.report.published_numbers import BENCHMARKS
from cizsl.report.runs import collect
from cizsl.training.run import train
from repro import config as configuration
from repro import locate
from repro.run import RunFolder
from repro.signals import Interrupted, StopRequest
from tests.helpers.rounding import assert_same_up_to_rounding
from tests.helpers.run_folders import write_run

pytestmark = pytest.mark.usefixtures("undrawn")

CONFIGS = locate.configs() / "cizsl" / "gbu"
CPU = torch.device("cpu")
TINY = [
    "model.hidden_dim=16",
    "optimiser.batch_size=64",
    "optimiser.iterations=5",
    "evaluation.start=2",
    "evaluation.every=2",
]


@pytest.mark.parametrize("config", ["gbu_awa2", "gbu_awa2_gazsl", "toy_gbu"])
def test_from_no_data_to_the_table(tmp_path, capsys, config):
    """As a user: make data, look at them, train, evaluate again, and see the four numbers."""
    root, run = str(tmp_path / "data"), str(tmp_path / "run")
    assert main(["data", "toy", root, "--gbu"]) == 0
    assert main(["data", "verify", root]) == 0
    assert main(["data", "inspect", root]) == 0
    said = capsys.readouterr().out
    assert "0 errors, 1 notes" in said and "AWA2/res101.mat" in said
    arguments = [str(CONFIGS / f"{config}.yaml"), f"data.root={root}", *TINY]
    assert main(["train", *arguments, "--out", run, "--device", "cpu"]) == 0
    assert "on AWA2 PS (toy)" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "run" / "results.json").read_text())["metrics"]
    chosen = metrics.get("selected") or metrics["best_on_test"]
    if config != "toy_gbu":  # the best T1 and the best H, each on its own
        log = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").open()]
        assert chosen["per_class_top1"] == max(record["per_class_top1"] for record in log)
        assert chosen["harmonic"] == max(record["harmonic"] for record in log)
    assert main(["evaluate", run, "--device", "cpu"]) == 0
    assert f"{100 * metrics['final']['harmonic']:.3f} %" in capsys.readouterr().out
    assert main(["table", run]) == 0
    said = capsys.readouterr().out
    numbers = [f"{100 * chosen[n]:.2f}" for n in ("per_class_top1", "unseen", "seen", "harmonic")]
    (line,) = [line for line in said.splitlines() if line.startswith("| A1 ") and "PS" not in line]
    assert [cell.strip() for cell in line.split("|")][-5:-1] == numbers
    assert "TOY DATA: invented features" in said
    assert ("50.3" in said) == (config != "toy_gbu")  # published, beside the reference protocol


def test_resuming_changes_nothing(tmp_path):
    """Interrupted after every few steps, a run with a softmax ends as one that was not."""
    toy_gbu.make_gbu_toy(tmp_path)
    overrides = [f"data.root={tmp_path}", *TINY, "evaluation.classifier=softmax"]
    overrides += ["evaluation.samples=5", "compute.checkpoint_seconds=0"]
    config = configuration.load(CONFIGS / "toy_gbu.yaml", CIZSLConfig, overrides)
    with RunFolder(tmp_path / "whole", config) as folder, StopRequest() as never:
        whole = train(config, folder, CPU, never)
    for _ in range(30):
        try:
            with RunFolder(tmp_path / "parts", config, resume=True) as folder:
                parts = train(config, folder, CPU, StopAfter(9))
            break
        except Interrupted:
            pass
    assert parts["metrics"] == whole["metrics"]


class StopAfter:
    """A stop request that comes after so many looks at it."""

    def __init__(self, looks):
        self.looks = looks

    @property
    def requested(self):
        self.looks -= 1
        return self.looks < 0


def test_published_numbers_are_those_of_the_readme():
    """T1, u, s, H of GAZSL; H follows from u and s as far as they are printed."""
    numbers = BENCHMARKS["gbu"].published["GAZSL, its authors' later results"]
    place = BENCHMARKS["gbu"].cells.index(("AWA2", "PS"))
    scores = ("per_class_top1", "unseen", "seen", "harmonic")
    assert [numbers[name][place] for name in scores] == ["70.2", "35.4", "86.9", "50.3"]
    for u, s, h in zip(numbers["unseen"], numbers["seen"], numbers["harmonic"], strict=True):
        u, s = float(u), float(s)
        # each is printed to 0.1, hence known to 0.05; dH/du = 2 s^2 / (u + s)^2, and dH/ds likewise
        known = 0.05 * (1 + 2 * (u**2 + s**2) / (u + s) ** 2)
        assert harmonic_mean(u, s) == pytest.approx(float(h), abs=known)


@pytest.mark.parametrize("dataset", gbu_validate.PUBLISHED | {"FLO": None})
def test_configurations_hold_the_settings_of_gazsls_code(dataset):
    """train_GBU.py, its defaults and the commands of its README."""
    loaded = configuration.load(CONFIGS / f"gbu_{dataset.lower()}_gazsl.yaml", CIZSLConfig)
    data, model, loss, evaluation = loaded.data, loaded.model, loaded.loss, loaded.evaluation
    assert (data.layout, data.dataset, data.split) == ("gbu", dataset, "PS")
    assert data.normalisation == "minmax" and loaded.method == "GAZSL"
    assert model.noise_dim == (100 if dataset in ("CUB", "FLO") else 10)
    assert (model.text_embed_dim, model.hidden_dim) == (0, 4086)
    assert (loss.gradient_penalty, loss.pivot, loss.l2, loss.l21) == (10, 5, 1e-3, 0)
    assert (loaded.optimiser.learning_rate, loaded.optimiser.betas) == (1e-4, (0.5, 0.9))
    assert (loaded.optimiser.batch_size, loaded.optimiser.iterations) == (1024, 3001)
    assert (evaluation.every, evaluation.start) == (40, 100)
    assert (evaluation.samples, evaluation.neighbours) == (60, 20)
    assert (evaluation.protocol, evaluation.generalised) == ("reference", "classifier")
    cizsl = configuration.load(CONFIGS / f"gbu_{dataset.lower()}.yaml", CIZSLConfig)
    assert cizsl.method == "CIZSL" and cizsl.model == model and cizsl.data == data


def test_the_generator_of_attributes_is_the_published_one():
    """GAZSL's netG_att: two linear layers on noise and attributes, side by side, by its names."""
    torch.manual_seed(0)
    plain = torch.nn.Sequential(
        torch.nn.Linear(3 + 5, 7), torch.nn.LeakyReLU(), torch.nn.Linear(7, 4), torch.nn.Tanh()
    )
    ours = networks.Generator(5, 4, noise_dim=3, text_embed_dim=0, hidden_dim=7)
    networks.load_published(ours, {f"main.{k}": v for k, v in plain.state_dict().items()})
    z, text = torch.randn(6, 3), torch.rand(6, 5)
    expected = plain(torch.cat([z, text], 1))
    assert_same_up_to_rounding(ours(z, text), expected, (3 + 5) + 7, magnitude=1)
    ours(z, text).sum().backward()
    terms = losses.penalise_weights(ours, {"l2": 1, "l21": 1})
    assert terms["l21"] == 0
    weights = [layer.weight for layer in plain if hasattr(layer, "weight")]
    expected = sum(w.square().sum() for w in weights)
    assert_same_up_to_rounding(terms["l2"], expected, 8 * 7 + 7 * 4)


KNOWN = {gbu.SPLITS: gbu_validate.SHA256["AWA2"], gbu.FEATURES: "0" * 64}


def gbu_run(folder, top1, **changes):
    """A finished run on AWA2 as far as its checksums tell; T1 = top1 + 1 %, s + 3 %, ..."""
    given = {"dataset": "AWA2", "split": "PS", "feature_dim": 2048, "files": KNOWN} | changes
    write_run(folder, top1, config={"data": {"layout": "gbu"}}, **given)


def overview_of(text, title):
    section = text[text.index(f"## {title}") :].split("**Retrieval**")[0].split("**Details**")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_published_numbers_stand_beside_runs_on_data_of_the_published_size(tmp_path):
    gbu_run(tmp_path / "a", 0.5)
    gbu_run(tmp_path / "b", 0.3, dataset="SUN", files={gbu.SPLITS: gbu_validate.SHA256["SUN"]})
    write_run(tmp_path / "birds", 0.2)
    text = table(collect([tmp_path]))
    header, _, run, published, other, chance = overview_of(
        text, "Data of the published size: reference protocol, attributes (GBU)"
    )
    assert header[4:] == [f"{d} PS {n}" for d in ("AWA2", "SUN") for n in ("T1", "u", "s", "H")]
    assert run[4:8] == ["51.00", "54.00", "53.00", "55.00"]  # the order of u and s is the papers'
    assert published[4:] == ["70.2", "35.4", "86.9", "50.3", "61.3", "22.1", "39.3", "28.3"]
    assert other[4:] == ["68.81", "", "", "34.72", "61.25", "", "", "27.12"]
    assert chance[4:] == ["10.00", "", "", "", "1.39", "", "", ""]
    birds = overview_of(text, "Data of the published size: reference protocol\n")
    assert "CUB easy top-1" in birds[0] and len(birds) > 5
    page = html(collect([tmp_path]))
    assert "EthanZhu90/ZSL_GAN" in page and "DGRZSL" in page


@pytest.mark.parametrize(
    ("change", "title"),
    [
        ({"files": {gbu.SPLITS: "1" * 64}}, "NOT THE PUBLISHED DATA: reference"),
        ({"feature_dim": 512}, "NOT THE PUBLISHED DATA: reference"),
        ({"dataset": "MINE"}, "DATA OF YOUR OWN: reference"),
        ({"toy": True}, "TOY DATA: reference"),
        ({"protocol": "strict"}, "Data of the published size: strict"),
    ],
)
def test_published_numbers_stand_beside_no_other_runs(tmp_path, change, title):
    gbu_run(tmp_path / "a", 0.5, **change)
    text = table(collect([tmp_path]))
    lines = overview_of(text, f"{title} protocol, attributes (GBU)")
    before = text.split("**Not comparable")[0]
    assert lines[2][4] == "51.00" and "published: GAZSL" not in before
