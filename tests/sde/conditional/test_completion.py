"""Completion and classes of trained models, through the command line's functions."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from repro.errors import InputError
from sde import samplers
from sde.cli.parser import main
from sde.conditional import classifier
from sde.conditional.completion import HIDDEN, complete, known_pixels, observe
from sde.data.toy import RING
from sde.processes import VPSDE
from sde.sample import draw_batch
from sde.samplers.spec import parse_sampler
from sde.trained_model import load
from tests.helpers.oracles_sde import generator
from tests.helpers.rounding import assert_same_up_to_rounding
from tests.sde.conftest import CPU

SHARE_HIDDEN = {"left": 4 * 8, "right": 4 * 8, "top": 4 * 8, "bottom": 4 * 8, "centre": 4 * 4}


@pytest.mark.parametrize("hide", SHARE_HIDDEN)
def test_masks_hide_what_they_say(hide):
    mask = known_pixels(hide, 8, 8, generator())[0, 0]
    assert (mask == 0).sum() == SHARE_HIDDEN[hide]
    corners = {"left": (7, 0), "right": (0, 7), "top": (0, 7), "bottom": (7, 0), "centre": (4, 4)}
    assert mask[corners[hide]] == 0
    assert mask[{"left": (0, 7), "top": (7, 0)}.get(hide, (0, 0))] == 1


def test_colour_keeps_the_grey_mean():
    images = torch.rand(2, 3, 4, 4, generator=generator())
    seen = observe(images, "colour", generator())
    other = seen.combine(torch.randn(2, 3, 4, 4, generator=generator(1)), seen.of_batch(images))
    assert_same_up_to_rounding(other.mean(1), images.mean(1), 9, magnitude=4)  # normal draws
    assert (other - images).abs().max() > 0.1, "and nothing else"


@pytest.mark.parametrize("way", ["guided", "replacement"])
def test_what_is_known_is_kept(digits_run, tmp_path, way):
    trained = load(digits_run, CPU)
    path = complete(trained, hide="left", way=way, count=3, draws=2, steps=10, out=tmp_path)
    arrays = np.load(path.with_suffix(".npz"))
    assert arrays["completed"].shape == (2, 3, 1, 8, 8)
    assert (arrays["known"][..., :4] == 0).all()
    assert np.array_equal(arrays["known"][..., 4:], arrays["truth"][..., 4:])
    apart = np.abs(arrays["completed"] - arrays["truth"])
    if way == "replacement":
        assert apart[..., 4:].max() == 0
    assert apart[..., 4:].mean() < 0.5 * apart[..., :4].mean()


def test_bad_requests(digits_run, plane_run, tmp_path, capsys):
    images, plane = load(digits_run, CPU), load(plane_run, CPU)
    for trained, how, message in (
        (plane, {"hide": "left"}, "only images"),
        (images, {"hide": "nose"}, f"--hide nose: choose from {', '.join(HIDDEN)}"),
        (images, {"hide": "left", "way": "magic"}, "--way magic"),
        (images, {"hide": "colour"}, "three channels"),
        (images, {"hide": "left", "count": 0}, "at least 1"),
        (images, {"hide": "left", "way": "replacement", "sampler": "ode"}, "no steps to constrain"),
    ):
        with pytest.raises(InputError, match=message):
            complete(trained, out=tmp_path, **how)
    with pytest.raises(InputError, match="no labels"):
        classifier.train(plane)
    assert main(["sample", str(digits_run), "--class", "3", "--out", str(tmp_path)]) == 2
    assert "train one with: sde classifier" in capsys.readouterr().err


def test_a_classifier_learns_digits_and_steers_samples(digits_run, tmp_path):
    """Accuracy falls with noise; samples steered to a class are mostly of it, by the classifier's
    own judgement at little noise. The model itself is hardly trained: its score is replaced by
    that of one Gaussian that has the digits' mean and spread."""
    trained = replace(load(digits_run, CPU), folder=tmp_path)
    path, right = classifier.train(trained, 250)
    assert path == tmp_path / "classifier.pt"
    assert right[0.01] > 0.85 and right[0.01] > right[0.4] > right[0.6] > 0.08

    points = trained.data.train.points(generator())
    mean, var = points.mean(0), points.var(0) + 0.01

    def score(x, t):
        scale, std = (part(t).reshape(-1, 1, 1, 1) for part in (trained.sde.scale, trained.sde.std))
        return (scale * mean - x) / (scale**2 * var + std**2)

    wide = replace(trained, score_fn=score)
    with pytest.raises(InputError, match="unknown class 'x'; choose from 0, 1"):
        classifier.of_class(wide, "x", 2.0)
    steered = replace(wide, score_fn=classifier.of_class(wide, "3", 2.0))
    x = draw_batch(steered, parse_sampler("dpm_solver_pp_2m"), 20, 64, generator(1)).x
    judge, _ = classifier.load(trained)
    found = judge(x, torch.full((64,), 0.01)).argmax(1)
    assert (found == 3).float().mean() > 0.8


def test_bayes_classifier_gives_the_conditional_distribution():
    """With the true posterior of a mixture's component, samples are of that component."""
    sde = VPSDE()

    def posterior(x, t):
        scale, std = sde.scale(t)[:, None], sde.std(t)[:, None]
        apart = ((x[:, None] - scale[:, :, None] * RING.means.to(x)) ** 2).sum(2)
        return -apart / (2 * (scale**2 * 0.08**2 + std**2))

    from sde.conditional.guidance import class_conditional

    score = class_conditional(RING.to(torch.float32).score_fn(sde), posterior, 5)
    drawn = samplers.solve(sde, score, (500, 2), solver="heun", steps=40, generator=generator())
    offset = drawn.x - RING.means[5].float()
    assert offset.mean(0).abs().max() < 4 * 0.08 / 500**0.5 + 0.005
    assert offset.std(0).sub(0.08).abs().max() < 0.01
