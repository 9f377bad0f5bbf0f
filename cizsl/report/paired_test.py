r"""Paired statistics of two methods on the same seeds.

Both runs of a pair share their seed, data and protocol, so the differences d_1 .. d_n are what is
tested, not the two samples. For each metric:

    mean        1/n sum d_i
    interval    95 %, by bootstrap of the mean over the pairs (bias-corrected and accelerated),
                10,000 resamples from a fixed seed
    p           exact two-sided Wilcoxon signed-rank test that the d_i are symmetric about 0: the
                share of all 2^n choices of signs with a rank sum at least as far from its middle

Where the pairs are the unseen classes, the d_i are not few, and the test is that of Fisher, of the
mean itself: the share of choices of signs with a mean at least as far from 0.

The data support a difference if the interval excludes 0 and p < 0.05. The test alone keeps its 5 %:
the interval is too narrow for few pairs (of normal differences it covers the mean in 84 % of cases
with 5 pairs, 88 % with 6, 92 % with 20, as measured; docs/evaluation.md). A test of n pairs cannot
give less than 2^(1-n), so five pairs can support nothing at this level, whatever they are.

Source: Wilcoxon, Biometrics Bulletin 1945; Fisher, The Design of Experiments (1935), section 21;
Efron, JASA 1987 (BCa); all as implemented by SciPy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # scipy.stats is loaded where it is used: it takes a second

LEVEL = 0.05
RESAMPLES = 10_000
TRUSTED = 4  # pairs; an interval of fewer cannot be trusted
EXACT = 16  # pairs; up to so many, tied ranks are tested over all choices of signs


@dataclass(frozen=True)
class Difference:
    """The statistics of ``pairs`` paired fractions.

    ``first`` and ``second`` are the means of both sides, ``mean`` is that of the differences;
    ``interval`` and ``p`` are None with one pair; ``smallest_p`` is the least possible p.
    """

    pairs: int
    first: float
    second: float
    mean: float
    interval: tuple[float, float] | None
    p: float | None
    smallest_p: float

    @property
    def supported(self) -> bool:
        """Whether the data support a difference, by the rule above."""
        if self.interval is None or self.p is None:
            return False
        low, high = self.interval
        return (low > 0 or high < 0) and self.p < LEVEL

    @property
    def decidable(self) -> bool:
        """Whether that many pairs could support a difference at all."""
        return self.smallest_p < LEVEL


def difference(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    test: Callable[[np.ndarray], float] | None = None,
) -> Difference:
    """Return the statistics of two lists of fractions (n,), n > 0, pair by pair.

    ``test``: returns p of the differences, :func:`signed_rank_p` by default.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    d = np.round(a - b, 12)  # equal differences of fractions are equal, not up to rounding
    several = len(d) > 1
    return Difference(
        pairs=len(d),
        first=float(a.mean()),
        second=float(b.mean()),
        mean=float(d.mean()),
        interval=_interval(d) if several else None,
        p=(test or signed_rank_p)(d) if several else None,
        smallest_p=smallest_p(int(np.count_nonzero(d))),
    )


def smallest_p(pairs: int) -> float:
    """Return 2^(1 - n), the p of n ``pairs`` that all differ in one direction; 1 without any."""
    return min(1.0, 2.0 ** (1 - pairs))


def signed_rank_p(d: np.ndarray) -> float:
    """Return the exact p of the signed-rank test of differences (n,).

    Zeros are left out, ties share their mean rank. With ties among more than 16 differences, p is
    estimated from 100,000 random choices of signs.
    """
    d = d[d != 0]
    if not len(d):
        return 1.0
    if len(np.unique(np.abs(d))) == len(d):
        found: Any = scipy.stats.wilcoxon(d, method="exact")  # its class is made at run time
        return float(found.pvalue)

    def statistic(x, axis=-1):
        return np.abs((np.sign(x) * scipy.stats.rankdata(np.abs(x), axis=axis)).sum(axis))

    return _flipped(d, statistic)


def sign_flip_p(d: np.ndarray) -> float:
    """Return p of the sign-flip test of differences (n,): the share of choices of signs with a mean
    at least as far from 0.

    Zeros change nothing but the number of choices. Up to 16 differences it is exact, and estimated
    from 100,000 random choices beyond.
    """
    d = d[d != 0]
    if len(d) < 2:
        return 1.0
    return _flipped(d, lambda x, axis=-1: np.abs(np.round(x.sum(axis), 9)))


def _flipped(d: np.ndarray, statistic: Callable) -> float:
    """Return the share of choices of signs whose statistic is at least that of ``d``."""
    resamples = 2**EXACT if len(d) <= EXACT else 100_000
    flipped = scipy.stats.permutation_test(
        (d,),
        statistic,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=4096,
        alternative="greater",
        random_state=np.random.default_rng(0),  # pyright: ignore[reportCallIssue] see _interval
    )
    return float(flipped.pvalue)


def _interval(d: np.ndarray) -> tuple[float, float]:
    if np.ptp(d) == 0:  # nothing to resample
        return float(d[0]), float(d[0])
    # scipy 1.15 called random_state rng and accepts both; a type checker sees the new name alone
    found = scipy.stats.bootstrap(
        (d,),
        np.mean,
        n_resamples=RESAMPLES,
        random_state=np.random.default_rng(0),  # pyright: ignore[reportCallIssue]
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
