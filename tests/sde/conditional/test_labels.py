"""Networks with labels: what they are given, what they learn, and how they are sampled."""

import numpy as np
import pytest
import torch

import sde
from repro.errors import InputError
from repro.run import RunFolder
from sde import build
from sde.cli.parser import main
from sde.conditional.classes import Guidance, conditional, label_of
from sde.conditional.two_scores import guided_score
from sde.networks import NETWORKS, EnergyNetwork
from sde.networks.label import drop_labels, with_label
from sde.sample import draw
from sde.trained_model import load
from sde.training.train import Trainer
from tests.helpers.labelled_data import LAW, MEANS
from tests.helpers.oracles_sde import generator
from tests.sde.conftest import CPU, run, tiny_config

PLUGIN = "tests.helpers.labelled_data:two_gaussians"
KINDS = {"class": dict(classes=3), "vector": dict(vector=2)}
NAN = torch.nan


def networks(**label):
    images = dict(channels=8, multipliers=(1, 2), blocks=1, attention=(), dropout=0.0, **label)
    small = NETWORKS["mlp"]((2,), hidden_dim=8, depth=1, **label)
    return [
        (small, (2,)),
        (EnergyNetwork(NETWORKS["mlp"]((2,), hidden_dim=8, depth=1, **label)), (2,)),
        (NETWORKS["small_conv"]((1, 8, 8), hidden_dim=8, depth=1, **label), (1, 8, 8)),
        (NETWORKS["ncsnpp"]((1, 8, 8), **images), (1, 8, 8)),
    ]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_networks_tell_labels_apart_and_take_the_null_label_for_none(kind, number):
    torch.manual_seed(0)
    network, shape = networks(**KINDS[kind])[number]
    for parameter in network.parameters():  # the last layer begins at zero
        parameter.data += 0.1 * torch.randn_like(parameter)
    x, c = torch.randn(2, *shape), torch.tensor([0.1, 0.5])
    if kind == "class":
        labels, null = torch.tensor([0, 2]), torch.tensor([-1, -1])
    else:
        labels, null = torch.tensor([[0.0, 0.0], [0.5, -1.0]]), torch.full((2, 2), NAN)
    given, alone = network(x, c, labels), network(x, c)
    assert torch.equal(alone, network(x, c, null))
    assert torch.equal(alone, with_label(network)(x, c))
    assert ((given - alone).flatten(1).norm(dim=1) > 1e-4).all(), "zeros are no null label"
    one = with_label(network, labels[1:])(x, c)
    assert torch.allclose(one[1], given[1], atol=1e-6)
    half = drop_labels(labels, torch.tensor([True, False]))
    mixed = network(x, c, half)
    assert torch.allclose(mixed[0], alone[0], atol=1e-6)
    assert torch.allclose(mixed[1], given[1], atol=1e-6)
    with pytest.raises(InputError, match="2 labels for a batch of 3"):
        with_label(network, labels)(torch.randn(3, *shape), torch.ones(3))


def test_a_network_without_labels_has_the_weights_it_had():
    for (plain, _), (labelled, _) in zip(networks(), networks(classes=3), strict=True):
        names, more = plain.state_dict().keys(), labelled.state_dict().keys()
        added = [name for name in more if name not in names]
        assert names < more and all("label.table.weight" in name for name in added)


def settings(kind, **changes):
    how = dict(condition=kind, condition_dropout=0.25, hidden_dim=48, depth=2, frequencies=0)
    training = dict(iterations=500, batch_size=256, warmup_steps=50, ema_decay=0.98)
    values = dict(data={"name": PLUGIN, "train": 4000}, model=how, optimiser=training)
    return tiny_config(**{**values, "evaluation": {"every": 250}, **changes})


def relative_error(score, exact, x, t):
    difference = (score(x, t) - exact(x, t)).square().sum()
    return (difference / exact(x, t).square().sum()).sqrt().item()


@pytest.mark.parametrize("kind", ["class", "vector"])
def test_the_score_given_a_label_and_without_one_is_learnt(tmp_path, kind):
    """Against the exact scores of the two classes and of the whole mixture."""
    config = settings(kind, compute={"checkpoint_seconds": 1000})
    run(config, tmp_path / "run")
    trained = load(tmp_path / "run", CPU)
    t = torch.linspace(0.1, 0.9, 400)
    x = LAW.sample_at(trained.sde, t, generator(1))
    exact = [LAW.given([k]).score_fn(trained.sde) for k in range(2)]
    mixed = LAW.score_fn(trained.sde)
    # the scores of the two classes differ by 0.9 of their size; a network that ignores the label,
    # or mixes up the classes, is as far away
    assert relative_error(exact[0], exact[1], x, t) > 0.5
    for k, given in enumerate(["left", "right"] if kind == "class" else MEANS):
        score = trained.score_given(label_of(trained, given))
        assert relative_error(score, exact[k], x, t) < 0.2
    assert relative_error(trained.score_given(None), mixed, x, t) < 0.2

    label = label_of(trained, 0 if kind == "class" else MEANS[0])
    guided = conditional(trained, label, Guidance(2.0, (0.1, 5.0))).score_fn
    expected = guided_score(trained.sde, exact[0], mixed, weight=2.0, interval=(0.1, 5.0))
    assert relative_error(guided, expected, x, t) < 0.25


@pytest.mark.parametrize("kind", ["class", "vector"])
def test_ranks_draw_the_labels_and_the_dropout_of_the_whole_batch(tmp_path, kind):
    config = settings(kind)
    with RunFolder(tmp_path / "run", config) as folder:
        trainer = Trainer(config, folder, CPU)

        def batch(rows, parts):
            trainer.rows, trainer.parts = rows, parts
            trainer.rng.manual_seed(5)
            return [torch.cat(each) for each in zip(*trainer._batch(), strict=True)]

        whole = batch(slice(None), 1)
        halves = [batch(slice(i, i + 128), 2) for i in (0, 128)]
        for i, each in enumerate(whole):
            joined = torch.cat([half[i] for half in halves])
            assert torch.equal(each.nan_to_num(9), joined.nan_to_num(9))
        dropped = whole[3] < 0 if kind == "class" else whole[3].isnan().all(1)
        assert 0.15 < dropped.float().mean() < 0.35
        kept = ~dropped  # and the label is that of the example
        means = MEANS[whole[3][kept]] if kind == "class" else whole[3][kept]
        assert (whole[0][kept] - means).square().mean().sqrt() < 0.4


@pytest.fixture(scope="module")
def digits_classes(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "digits_classes"
    model = {"condition": "class", "hidden_dim": 16}
    run(tiny_config(data={"name": "digits"}, model=model), path)
    return path


def test_samples_of_python_and_the_command_line_are_guided(digits_classes, digits_run, tmp_path):
    model, trained = sde.load(digits_classes, device="cpu"), load(digits_classes, CPU)
    how = dict(sampler="heun", steps=2)
    found = model.sample(3, label=3, guidance=2.0, **how).x
    network, config = trained.network, trained.config
    scores = [
        build.score(config, trained.sde, lambda x, c, y=y: network(x, c, torch.full((len(x),), y)))
        for y in (3, -1)
    ]
    score = guided_score(trained.sde, *scores, weight=2.0)
    by_hand = draw(trained.__class__(**{**vars(trained), "score_fn": score}), "heun", 2, 3).x
    assert torch.allclose(found, by_hand, atol=1e-4)
    each = model.sample(3, label=[3, "3", 3], guidance=2.0, **how).x
    assert torch.allclose(found, each, atol=1e-4)
    for other in (dict(label=4, guidance=2.0), dict(label=3), dict(), dict(label=3, guidance=0.0)):
        assert (model.sample(3, **other, **how).x - found).abs().max() > 1e-3
    plain = model.sample(3, **how).x
    assert torch.allclose(model.sample(3, label=3, guidance=0.0, **how).x, plain, atol=1e-4)

    command = (
        f"sample {digits_classes} -n 3 --sampler heun --steps 2 --class 3 --guidance 2".split()
    )
    assert main([*command, "--out", str(tmp_path / "new")]) == 0
    saved = np.load(tmp_path / "new" / "samples_heun_2.npz")["x"]
    assert np.allclose(saved, found, atol=1e-4)
    assert main([*command, "--guidance-interval", "0.1", "2", "--negative", str(digits_run)]) == 0
    saved = np.load(digits_classes / "class_3_guidance_2" / "samples_heun_2.npz")["x"]
    interval = dict(interval=(0.1, 2.0), negative=digits_run)
    again = model.sample(3, label=3, guidance=2.0, **interval, **how).x
    assert np.allclose(saved, again, atol=1e-4) and (again - found).abs().max() > 1e-3


def test_negatives(digits_classes, digits_run):
    """A class, the same run (no change), and a run without labels."""
    model, how = sde.load(digits_classes, device="cpu"), dict(sampler="ddim", steps=2, label=3)
    given = model.sample(2, **how).x
    itself = model.sample(2, guidance=3.0, negative=digits_classes, **how).x
    assert torch.allclose(itself, given, atol=1e-4)
    same = model.sample(2, guidance=3.0, negative=3, **how).x
    assert torch.allclose(same, given, atol=1e-4)
    other = model.sample(2, guidance=3.0, negative=4, **how).x
    assert (other - given).abs().max() > 1e-3
    plain = sde.load(digits_run, device="cpu")
    alone = plain.sample(2, guidance=2.0, negative=digits_classes, sampler="ddim", steps=2).x
    assert (alone - plain.sample(2, sampler="ddim", steps=2).x).abs().max() > 1e-3


MISTAKES = [
    ("--class 12", "unknown class '12'; did you mean '2'? choose from 0, 1, 2"),
    ("--class 3 --guidance-interval 1 2", "an interval and a negative need a weight other than 1"),
    ("--class 3 --guidance 2 --guidance-interval 2 1", "expected noise levels 0 <= LOW < HIGH"),
    ("--guidance 2", "guidance: needs a class, or a negative"),
    ("--class 3 --guidance 2 --negative none", "negative none: no run, and no label: unknown"),
    ("--class 3 --guidance 2 --negative PLANE", "a negative of another shape: (2,), not (1, 8, 8)"),
    ("--class 3 --strength 2", "--strength: of a classifier, for networks without labels"),
    ("--class 3 evaluation.guidance=[inf]", "evaluation.guidance"),
]


@pytest.mark.parametrize("words, message", MISTAKES, ids=lambda text: text)
def test_mistakes_are_one_line(digits_classes, plane_run, words, message, capsys):
    arguments = words.replace("PLANE", str(plane_run)).split()
    assert main(["sample", str(digits_classes), "-n", "2", "--steps", "2", *arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said and "\n" not in said


def test_a_model_without_labels_says_so(digits_run, capsys):
    run_ = str(digits_run)
    for words, message in (
        (["--guidance", "2"], "needs a network with labels (model.condition), or a negative"),
        (["--class", "3"], "train one with: sde classifier"),
    ):
        assert main(["sample", run_, *words]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "values, message",
    [
        (dict(model={"condition": "class"}), "the examples of eight_gaussians have no labels"),
        (dict(model={"condition_dropout": 0.2}), "condition_dropout: model.condition is none"),
        (dict(evaluation={"guidance": [3.0]}), "for networks with model.condition=class"),
        (
            dict(
                data={"name": "digits"},
                model={"condition": "class", "network": "ncsnpp", "unet": {"conditional": False}},
            ),
            "a network with unet.conditional=false is given no label",
        ),
    ],
)
def test_configurations_that_cannot_be_trained_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        tiny_config(**values)
