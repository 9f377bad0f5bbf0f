"""The data: what is declared holds, what is known is true, and bad data is refused."""

import math

import pytest
import torch
from sklearn.datasets import load_digits

from repro.errors import InputError
from sde.data import registry, toy
from sde.data.dataset import DataSpec, Split
from sde.data.quantisation import Quantisation
from sde.data.registry import DATASETS
from tests.helpers.oracles_sde import generator

PLANE = [name for name in DATASETS if name != "digits"]


@pytest.mark.parametrize("name", DATASETS)
def test_data_is_what_it_declares(name):
    loaded = registry.load(name, train=500, heldout=300)
    assert loaded.spec.name == name
    sizes = (1500, 297) if name == "digits" else (500, 300)
    assert (len(loaded.train), len(loaded.heldout)) == sizes
    for split in (loaded.train, loaded.heldout):
        points = split.points(generator())
        assert points.shape == (len(split), *loaded.spec.shape)
        assert points.dtype == torch.float32 and points.abs().max() < 1.6
        assert 0.2 < points.std() < 1
        assert split.draw(7, generator()).shape == (7, *loaded.spec.shape)
    assert all(len(digest) == 64 for digest in loaded.checksums.values())


@pytest.mark.parametrize("name", DATASETS)
def test_data_depends_on_the_seed_and_the_parts_are_apart(name):
    first, again, other = (registry.load(name, train=400, heldout=300, seed=s) for s in (1, 1, 2))
    assert first.checksums == again.checksums
    assert not set(first.checksums.values()) & set(other.checksums.values())
    if name != "digits":  # where two people may write the same
        distances = torch.cdist(first.train.values, first.heldout.values)
        assert (distances > 0).all()


def test_digits_are_those_of_scikit_learn_split_once():
    images, _ = load_digits(return_X_y=True)
    loaded = registry.load("digits")
    parts = torch.cat([loaded.train.values, loaded.heldout.values]).reshape(-1, 64)
    mine = sorted(map(tuple, parts.tolist()))
    assert mine == sorted(map(tuple, images.tolist()))


def test_digits_are_dequantised_into_their_declared_range():
    split = registry.load("digits").heldout
    levels = split.spec.quantisation
    assert (levels.low, levels.high, levels.grey_levels) == (-1.0, 1.0, 17)
    points = split.points(generator(3))
    assert points.min() >= -1 and points.max() < 1
    assert torch.equal(levels.quantise(points), split.values.long())
    within = (points + 1) / 2 * 17 - split.values
    assert abs(within.mean() - 0.5) < 0.01 and abs(within.var() - 1 / 12) < 0.002


@pytest.mark.parametrize("name", ["moons", "digits"])
def test_a_part_of_a_draw_is_that_part_and_leaves_the_generator_where_the_whole_does(name):
    split = registry.load(name, train=50, heldout=10).train
    whole, part = generator(4), generator(4)
    expected = split.draw(12, whole)
    assert torch.equal(split.draw(12, part, rows=slice(3, 8)), expected[3:8])
    assert torch.equal(whole.get_state(), part.get_state())


@pytest.mark.parametrize("name", ["eight_gaussians", "checkerboard"])
def test_known_densities_are_densities_of_the_draws(name):
    """They integrate to 1, and the mean of log p over draws is minus the entropy by quadrature."""
    loaded = registry.load(name, train=20000, heldout=1)
    side = torch.linspace(-1.5, 1.5, 601)
    grid = torch.cartesian_prod(side, side) + 1e-4
    log_p = loaded.log_density(grid)
    mass = log_p.exp() * (side[1] - side[0]) ** 2
    assert mass.sum().item() == pytest.approx(1, abs=0.01)
    entropy = -(mass * log_p.clamp(min=-1e4)).sum().item()
    drawn = loaded.log_density(loaded.train.values)
    assert torch.isfinite(drawn).all()
    assert -drawn.mean().item() == pytest.approx(entropy, abs=0.02)


def test_checkerboard_by_hand():
    points = torch.tensor([[-0.75, -0.75], [-0.25, -0.75], [0.25, 0.25], [1.2, 0.0]])
    expected = [-math.log(2), -math.inf, -math.log(2), -math.inf]
    assert toy.checkerboard_log_density(points).tolist() == pytest.approx(expected)


LEVELS = DataSpec("levels", (2,), Quantisation(0, 1, 4))


@pytest.mark.parametrize(
    ("spec", "values", "expected"),
    [
        (DataSpec("plane", (2,)), [[0.0, math.nan]], "plane: .*not finite"),
        (DataSpec("plane", (2,)), [[0.0, math.inf]], "plane: .*not finite"),
        (DataSpec("plane", (2,)), [[0.0, 1.0, 2.0]], r"examples of shape \(2,\) expected"),
        (LEVELS, [[0.0, 1.5]], "whole numbers"),
        (LEVELS, [[0.0, 4.0]], r"lie in 0\.\.3"),
        (LEVELS, [[-1.0, 0.0]], r"lie in 0\.\.3"),
    ],
)
def test_bad_data_is_refused(spec, values, expected):
    with pytest.raises(InputError, match=expected):
        Split(spec, torch.tensor(values))


def test_bad_requests_are_refused():
    with pytest.raises(InputError, match="unknown data set 'mooons'; did you mean 'moons'"):
        registry.load("mooons")
    with pytest.raises(InputError, match="counts must be at least 1"):
        registry.load("moons", train=0)
