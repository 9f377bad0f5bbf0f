"""The Gaussian generator: its laws, and whole runs with it."""

import dataclasses
import json

import pytest
import torch

from cizsl.cli.parser import main
from cizsl.closed_form.gaussian_classifier import Gaussian
from cizsl.closed_form.gaussian_generator import GaussianGenerator
from cizsl.synthesis import prototypes, synthesise
from repro.errors import InputError
from tests.cizsl.closed_form.test_gaussian_classifier import task

SETTINGS = {"penalty": 0.3, "shrinkage": 0.2, "spread": 0.5, "text_weights": (1.0, 0.5)}


def test_its_classes_are_those_of_the_classifier():
    """Texts in another order; seen ones give centroids, the others predictions."""
    one = task()
    texts = torch.cat([one.unseen_text, one.seen_text])
    made = GaussianGenerator(one, **SETTINGS).classes(texts)
    known = Gaussian(one).classes(**SETTINGS).reordered(torch.tensor([*range(10, 14), *range(10)]))
    x = one.unseen_features
    torch.testing.assert_close(made.log_density(x), known.log_density(x))


def test_samples_have_the_predicted_means():
    """Means of 4000 samples, in the coordinates where each class has variance ``variance``."""
    one = task()
    generator, count = GaussianGenerator(one, **SETTINGS), 4000
    model = generator.classes(one.unseen_text)
    means = prototypes(generator, one.unseen_text.double(), count, torch.Generator().manual_seed(0))
    exact = model.space.decode(model.mean @ model.axes.T)
    difference = torch.linalg.solve(
        model.axes, model.space.encode(means - exact + model.space.centre).T
    ).T
    assert (difference.abs() < 5 * (model.variance / count).sqrt()).all()  # five standard errors


def test_a_class_without_images_is_predicted():
    """Class 3 without images is what an unseen class with its text is."""
    one = task()
    kept = one.train_labels != 3
    images = {
        "train_features": one.train_features[kept],
        "train_labels": one.train_labels[kept],
    }
    found = GaussianGenerator(dataclasses.replace(one, **images), **SETTINGS)
    others = torch.arange(10) != 3
    labels = images["train_labels"]
    without = dataclasses.replace(
        one,
        train_features=images["train_features"],
        train_labels=labels - (labels > 3).long(),
        seen_text=one.seen_text[others],
        unseen_text=one.seen_text[3:4],
        centroids=one.centroids[others],
    )
    expected = Gaussian(without).classes(**SETTINGS).log_density(one.unseen_features)[:, 9]
    ours = found.classes(one.seen_text[3:4]).log_density(one.unseen_features)[:, 0]
    torch.testing.assert_close(ours, expected)


def test_many_samples_come_in_blocks():
    one = task()
    generator = GaussianGenerator(one, **SETTINGS)
    rng = torch.Generator().manual_seed(1)
    blocks = list(generator.blocks(one.seen_text, 1000, rng))
    assert [len(block) for block in blocks] == [2] * 5
    drawn = synthesise(generator, one.seen_text, 1000, torch.Generator().manual_seed(1))
    assert torch.equal(torch.cat(blocks), drawn)


def test_weights_are_as_many_as_texts():
    with pytest.raises(InputError, match="expected 2 numbers, one for each text"):
        GaussianGenerator(task(), **{**SETTINGS, "text_weights": (1.0,)})


def test_a_run_with_other_weights_leaves_no_folder(toy, tmp_path, capsys):
    file = tmp_path / "config.yaml"
    search = "search: {gaussian.text_weights: [[1], [1, 2]]}"
    file.write_text(f"{{data: {{root: {toy}}}, generator: gaussian, {search}}}")
    assert main(["train", str(file), "--out", str(tmp_path / "run")]) == 2
    assert "expected 1 numbers, one for each text" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_whole_runs(toy, tmp_path, capsys):
    """A search, the same again after a resume; another seed draws other samples."""
    file = tmp_path / "config.yaml"
    file.write_text(
        f"{{data: {{root: {toy}}}, generator: gaussian, evaluation: {{samples: 10}},"
        " search: {gaussian.penalty: [0.1, 1], creativity.weight: [0, 1]}}"
    )
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        assert main(["train", str(file), f"seed={seed}", "--out", str(tmp_path / name)]) == 0
    found = [
        json.loads((tmp_path / n / "results.json").read_text()) for n in ("one", "again", "other")
    ]
    assert found[0]["metrics"] == found[1]["metrics"] != found[2]["metrics"]
    assert found[0]["method"] == "Gaussian generator" and found[0]["creativity"] is None
    tried = found[0]["search"]["candidates"]
    assert [one["gaussian.penalty"] for one in tried] == [0.1, 1]  # creativity is not searched
    capsys.readouterr()
    for split in ("test", "val"):
        assert main(["evaluate", str(tmp_path / "one"), "--split", split]) == 0
    assert "differ" not in capsys.readouterr().out
    assert main(["train", str(file), "--out", str(tmp_path / "one"), "--resume"]) == 0
    assert main(["table", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    chosen = found[0]["search"]["chosen"]["gaussian.penalty"]
    assert "Gaussian generator" in said and f"penalty chosen: {chosen}" in said


def test_scale_moves_predictions_away_from_the_centre():
    """Seen classes keep their centroids; m(t) of the others is twice as far from their mean."""
    one = task()
    once, twice = (GaussianGenerator(one, **SETTINGS, scale=scale) for scale in (1.0, 2.0))
    texts, space = torch.cat([one.seen_text, one.unseen_text]), once.classes(one.seen_text).space
    centre = space.encode(one.centroids.double().mean(0, keepdim=True))
    laws = [generator.classes(texts) for generator in (once, twice)]
    near, far = (space.encode(law.features(law.mean)) - centre for law in laws)
    torch.testing.assert_close(far[:10], near[:10])
    torch.testing.assert_close(far[10:], 2 * near[10:])


def test_isotropy_keeps_the_trace_of_the_spread():
    one = task()
    laws = [
        GaussianGenerator(one, **SETTINGS, isotropy=b).classes(one.unseen_text) for b in (0.0, 1.0)
    ]
    free, round_ = (law.variance - 1 for law in laws)
    torch.testing.assert_close(free.sum(1), round_.sum(1))
    torch.testing.assert_close(round_, round_[:, :1].expand_as(round_))
    assert (free.std(1) > 0.1 * free.mean(1)).all()


def test_the_state_holds_everything():
    """The state of one fit, loaded into a fit to other images, gives the first one's classes."""
    one = task()
    other = dataclasses.replace(one, train_features=one.train_features.flip(1))
    first, second = (GaussianGenerator(t, **SETTINGS) for t in (one, other))
    x, texts = one.unseen_features, one.unseen_text
    expected = first.classes(texts).log_density(x)
    assert not torch.allclose(second.classes(texts).log_density(x), expected)
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.classes(texts).log_density(x), expected)
