"""The distances, against closed forms, slow references and their own laws."""

import numpy as np
import pytest
import torch
from scipy import linalg, stats

from repro.errors import InputError
from sde import metrics
from tests.helpers.oracles_sde import generator


def normal(count, dims, seed, shift=0.0, scale=1.0):
    z = torch.randn(count, dims, generator=generator(seed), dtype=torch.float64)
    return shift + scale * z


def test_sliced_wasserstein_on_a_line_is_that_of_scipy():
    a, b = normal(50, 1, 0), normal(50, 1, 1, shift=0.7)
    value = metrics.sliced_wasserstein(a, b, generator=generator()).value
    expected = ((a.sort(0).values - b.sort(0).values) ** 2).mean().sqrt()
    assert value == pytest.approx(expected.item(), rel=1e-9)
    # Other counts: as though each sample were repeated up to a common multiple.
    c = normal(20, 1, 2)
    value = metrics.sliced_wasserstein(a, c, generator=generator())
    many = a.repeat_interleave(2, 0).sort(0).values, c.repeat_interleave(5, 0).sort(0).values
    assert value.value == pytest.approx((many[0] - many[1]).pow(2).mean().sqrt().item(), rel=1e-9)
    assert (value.num_real, value.num_fake) == (50, 20)


def test_sliced_wasserstein_of_a_shift():
    """A shift by m: E over directions of (theta.m)^2 is |m|^2 / D."""
    a = normal(500, 8, 0)
    value = metrics.sliced_wasserstein(a, a + 0.5, generator=generator(), directions=4000).value
    assert value == pytest.approx(0.5, rel=0.05)


def test_energy_distance_and_mmd_against_loops():
    a, b = normal(9, 3, 0), normal(7, 3, 1, shift=0.4)

    def mean(x, y, f, within):
        pairs = [f((p - q).norm()).item() for i, p in enumerate(x) for j, q in enumerate(y)
                 if not (within and i == j)]  # fmt: skip
        return np.mean(pairs)

    def combine(f):
        return mean(a, a, f, True) + mean(b, b, f, True) - 2 * mean(a, b, f, False)

    energy = metrics.energy_distance(a, b)
    assert energy.value == pytest.approx(-combine(lambda r: r), rel=1e-9)
    mmd = metrics.maximum_mean_discrepancy(a, b, bandwidths=(0.7, 2.0))
    kernel = lambda r: sum(torch.exp(-(r**2) / (2 * h * h)) for h in (0.7, 2.0))  # noqa: E731
    assert mmd.value == pytest.approx(combine(kernel), rel=1e-9)
    assert (mmd.num_real, mmd.num_fake) == (9, 7)


def test_the_default_mmd_grows_with_the_distance():
    """Its bandwidths are those of the real items: the further off the samples, the larger it is."""
    real = normal(500, 2, 0)
    values = [
        metrics.maximum_mean_discrepancy(real, normal(500, 2, 1) + shift).value
        for shift in (0.0, 0.5, 2.0, 300.0)
    ]
    assert values == sorted(values) and values[-1] > 2 * values[1]


def test_energy_distance_on_a_line_is_that_of_scipy():
    a, b = normal(3000, 1, 0), normal(3000, 1, 1, shift=1.0)
    expected = stats.energy_distance(a[:, 0].numpy(), b[:, 0].numpy()) ** 2
    assert metrics.energy_distance(a, b).value == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("metric", ["energy_distance", "maximum_mean_discrepancy"])
def test_unbiased_distances_are_zero_on_average_for_equal_laws(metric):
    values = [
        getattr(metrics, metric)(normal(40, 2, 2 * i), normal(40, 2, 2 * i + 1)).value
        for i in range(100)
    ]
    assert abs(np.mean(values)) < 4.5 * np.std(values) / 10
    assert min(values) < 0


def test_frechet_distance_is_the_closed_form():
    g = np.random.default_rng(0)
    a, b = (m @ m.T for m in g.normal(size=(2, 5, 5)))
    mean_a, mean_b = g.normal(size=(2, 5))
    cross = np.trace(linalg.sqrtm(a @ b)).real
    expected = ((mean_a - mean_b) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * cross
    ours = metrics.gaussian_frechet(*(torch.from_numpy(v) for v in (mean_a, a, mean_b, b)))
    assert ours.item() == pytest.approx(expected, rel=1e-8)
    one = metrics.frechet_distance(normal(4000, 1, 0, 2.0, 3.0), normal(4000, 1, 1, 1.0, 1.0))
    assert one.value == pytest.approx(1 + 4, rel=0.1)
    flat = normal(30, 2, 0) @ torch.ones(2, 2).double()  # a singular covariance
    assert metrics.frechet_distance(flat, flat).value == pytest.approx(0, abs=1e-6)


def test_precision_and_recall_tell_lost_modes_from_bad_samples():
    modes = torch.tensor([[-5.0, 0.0], [5.0, 0.0]]).double()
    real = torch.cat([m + normal(300, 2, i, scale=0.5) for i, m in enumerate(modes)])
    one_mode = modes[0] + normal(600, 2, 7, scale=0.5)
    lost = metrics.precision_recall(real, one_mode)
    assert lost.precision > 0.9 and lost.recall == pytest.approx(0.5, abs=0.06)
    noisy = torch.cat([real[::2], normal(300, 2, 8, scale=0.5)])  # half of it between the modes
    bad = metrics.precision_recall(real, noisy)
    assert bad.precision == pytest.approx(0.5, abs=0.06)
    assert (bad.num_real, bad.num_fake) == (600, 600)


def test_blocks_change_nothing(monkeypatch):
    a, b = normal(100, 2, 0), normal(90, 2, 1)
    whole = [metrics.energy_distance(a, b).value, metrics.precision_recall(a, b)]
    monkeypatch.setattr(metrics, "BLOCK", 7)
    blocks = [metrics.energy_distance(a, b).value, metrics.precision_recall(a, b)]
    assert blocks[0] == pytest.approx(whole[0], rel=1e-6) and blocks[1] == whole[1]


def test_images_and_bad_input():
    images = torch.randn(12, 3, 2, 2, generator=generator())
    assert metrics.energy_distance(images, images + 1).num_fake == 12
    with pytest.raises(InputError, match="event shape"):
        metrics.energy_distance(images, torch.zeros(12, 3))
    with pytest.raises(InputError, match="at least 4"):
        metrics.precision_recall(images[:3], images)
    with pytest.raises(InputError, match="fake sample"):
        metrics.frechet_distance(images, images * float("nan"))
