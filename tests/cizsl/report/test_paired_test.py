"""The statistics of paired runs against enumeration, SciPy and cases worked out by hand."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cizsl.report.paired_test import difference, signed_rank_p


def plain_p(d):
    """All sign choices, one by one."""
    d = np.array([x for x in d if x])
    ranks = stats.rankdata(np.abs(d))
    seen = abs((np.sign(d) * ranks).sum())
    sums = [abs((np.array(signs) * ranks).sum()) for signs in product((-1, 1), repeat=len(d))]
    return np.mean([total >= seen - 1e-9 for total in sums])


def test_six_pairs_by_hand():
    """All one way: of 64 sign choices only this one and its opposite are as far out."""
    found = difference([0.5, 0.6, 0.7, 0.8, 0.9, 1.0], [0.4, 0.49, 0.58, 0.67, 0.76, 0.85])
    assert found.pairs == 6
    assert (found.first, found.second) == (pytest.approx(0.75), pytest.approx(0.625))
    assert found.mean == pytest.approx(0.125)
    assert found.p == pytest.approx(2 / 64) and found.smallest_p == 2 / 64
    assert 0.10 <= found.interval[0] < 0.125 < found.interval[1] <= 0.15
    assert found.supported and found.decidable
    assert not difference([0.5] * 6, [0.4, 0.49, 0.55, 0.49, 0.46, 0.65]).supported


def test_five_pairs_cannot_support_anything():
    found = difference([0.9, 0.91, 0.92, 0.93, 0.94], [0.1, 0.12, 0.14, 0.16, 0.18])
    assert found.p == pytest.approx(2 / 32) and found.interval[0] > 0.7
    assert not found.decidable and not found.supported


def test_one_pair_has_no_statistics():
    found = difference([0.4], [0.1])
    assert (found.interval, found.p, found.supported) == (None, None, False)
    assert found.mean == pytest.approx(0.3)


def test_equal_runs():
    found = difference([0.25] * 8, [0.25] * 8)
    assert (found.mean, found.interval, found.p) == (0, (0, 0), 1)
    assert not found.supported


def test_a_constant_difference_has_an_interval_of_one_point():
    """0.3 - 0.2 and 0.6 - 0.5 differ by rounding only: all six are tied."""
    found = difference([0.3, 0.6, 0.4, 0.7, 0.8, 0.2], [0.2, 0.5, 0.3, 0.6, 0.7, 0.1])
    assert found.interval == pytest.approx((0.1, 0.1)) and found.p == pytest.approx(2 / 64)
    assert found.supported


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_p_is_the_share_of_all_sign_choices(values):
    """Small integers: ties and zeros abound."""
    d = np.array(values, float)
    expected = plain_p(d) if d.any() else 1.0
    assert signed_rank_p(d) == pytest.approx(expected, abs=1e-12)


def test_p_without_ties_is_that_of_scipy():
    d = np.random.default_rng(3).normal(0.4, 1, 12)
    assert signed_rank_p(d) == stats.wilcoxon(d, method="exact").pvalue


def test_interval_is_that_of_scipy_and_repeats():
    a = np.random.default_rng(5).normal(0.5, 0.02, 9)
    b = np.random.default_rng(6).normal(0.48, 0.02, 9)
    found = difference(a, b)
    theirs = stats.bootstrap((a - b,), np.mean, random_state=1).confidence_interval
    assert found.interval == pytest.approx(tuple(theirs), abs=1e-3)
    assert difference(a, b) == found
    opposite = difference(b, a)
    assert opposite.mean == -found.mean and opposite.p == found.p


def test_the_rule_keeps_its_five_per_cent():
    """Of pairs that do not differ, at most 5 % are taken for different: 3.1 % with six."""
    random = np.random.default_rng(0)
    wrong = sum(difference(random.normal(size=6), np.zeros(6)).supported for _ in range(150))
    assert wrong <= 0.05 * 150 + 3 * np.sqrt(0.05 * 0.95 * 150)
