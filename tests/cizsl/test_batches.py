"""Data order against the recorded sampler of the published code; ranges of every draw."""

import numpy as np
import pytest
import torch

from cizsl.batches import BatchSampler, DataOrder
from cizsl.hallucination import mixture
from repro.errors import InputError
from tests.helpers.rounding import assert_same_up_to_rounding


@pytest.mark.parametrize("case", ["N23_B5", "N20_B5"])
def test_published_order_is_the_recorded_one(golden, case):
    arrays = np.load(golden("cizsl/sampler.npz"))
    permutations = iter(torch.from_numpy(arrays[f"{case}/perms"]))
    size, batch = (int(text[1:]) for text in case.split("_"))
    order = DataOrder(size, batch, lambda: next(permutations), reference_compat=True)
    for recorded in arrays[f"{case}/batches"]:
        np.testing.assert_array_equal(order.next().numpy(), recorded)


@pytest.mark.parametrize(("size", "batch"), [(20, 5), (23, 5), (5, 5)])
def test_every_image_once_in_an_epoch(size, batch):
    random = torch.Generator().manual_seed(0)
    order = DataOrder(size, batch, lambda: torch.randperm(size, generator=random))
    for _ in range(3):
        epoch = torch.cat([order.next() for _ in range(size // batch)])
        assert len(epoch.unique()) == len(epoch) == size // batch * batch


@pytest.mark.parametrize(("size", "published"), [(4, False), (5, True)])
def test_too_few_images_are_refused(size, published):
    with pytest.raises(InputError, match=f"5 does not fit {size} training images"):
        DataOrder(size, 5, lambda: torch.arange(size), published)


def make(seed=0, mixing=(0.2, 0.8), **options):
    labels = torch.arange(40) % 4
    random = torch.Generator().manual_seed(seed)
    return BatchSampler(labels, torch.tensor([0, 1, 3]), 8, 3, mixing, random, **options)


def test_ranges():
    """Class 2 has no text, so it is never hallucinated; a ~ U(0.2, 0.8) has mean 1/2."""
    draws, weights = make(), []
    for _ in range(400):
        drawn = draws.hallucination()
        assert (drawn.first != drawn.second).all()
        assert not ((drawn.first == 2) | (drawn.second == 2)).any()
        weights.append(drawn.weight)
    weights = torch.cat(weights)
    assert 0.2 <= weights.min() < 0.21 and 0.79 < weights.max() <= 0.8
    # standard error of the mean of 3200 draws: 0.6 / sqrt(12 * 3200) = 0.003
    assert abs(weights.mean() - 0.5) < 0.012


def test_mixing_at_one_is_no_mixing():
    """The ablation without hallucination: every text is that of one class, all classes come."""
    draws, text = make(mixing=(1.0, 1.0)), torch.nn.functional.normalize(torch.rand(4, 6))
    drawn = [draws.hallucination() for _ in range(20)]
    for each in drawn:
        rows = mixture(text @ text.T, each.first, each.second, each.weight).of(text)
        assert_same_up_to_rounding(rows, text[each.first], 6)
    assert torch.cat([each.first for each in drawn]).unique().tolist() == [0, 1, 3]


def test_published_pairs_are_shuffles_of_one_batch():
    draws = make(shuffled_pairs=True)
    drawn = draws.hallucination()
    assert sorted(drawn.first.tolist()) == sorted(drawn.second.tolist())
    assert draws.order.position == 8


def test_state_brings_back_the_stream():
    draws = make()
    draws.critic_batch(hallucinate=False)
    state = draws.state_dict()
    expected = [draws.generator_batch(hallucinate=True) for _ in range(8)][-1]
    other = make(seed=5)
    other.load_state_dict(state)
    again = [other.generator_batch(hallucinate=True) for _ in range(8)][-1]
    assert torch.equal(again.index, expected.index) and torch.equal(again.z, expected.z)
    assert torch.equal(again.hallucination.weight, expected.hallucination.weight)
