r"""Guidance: a score moved away from another one.

    s_w(x, t) = s_+(x, t) + (w - 1) (s_+(x, t) - s_-(x, t)) = w s_+ + (1 - w) s_-

    classifier-free       s_+ given a class, s_- of all data: by Bayes' rule
                          s_w = s_- + w grad log P(class | x_t)
    negative condition    s_+ given a class, s_- given another one
    autoguidance          s_+ of a model, s_- of a smaller or less trained one, both given the same

**Weight.** w = 1 is s_+ alone, w = 0 is s_- alone, and w > 1 is guidance, as in Karras et al. and
Kynkäänniemi et al.; the w of Ho and Salimans is this w - 1. **Interval.** w counts at noise levels
low < std / scale <= high, and is 1 elsewhere.

Two Gaussians N(m_+, V_+), N(m_-, V_-) have variances v = scale^2 V + std^2 at time t, and s_w is
the score of the Gaussian with precision w / v_+ + (1 - w) / v_-. Its probability flow ends, from
enough noise, at the variance V_+^w V_-^(1 - w), which is another one: guided samples are not those
of p_+^w p_-^(1 - w) (Bradley and Nakkiran, arXiv:2408.09000).

Sources: Ho and Salimans (arXiv:2207.12598), eq. 6; Karras et al. 2024 (arXiv:2406.02507);
Kynkäänniemi et al. 2024 (arXiv:2404.07724).
"""

import math

from torch import Tensor

from repro.errors import InputError
from sde.broadcast import per_sample
from sde.processes import SDE
from sde.reverse import ScoreFn

Interval = tuple[float, float]  # of noise levels std / scale


def extrapolate(positive: Tensor, *negatives: tuple[float | Tensor, Tensor]) -> Tensor:
    """Return positive + sum_i g_i (positive - negative_i), of the shape of ``positive``.

    Args:
        positive: a score, or a prediction of x_0 or of the noise: all are linear in each other.
        negatives: pairs of g_i, which is w - 1 of the module's equation, and negative_i.
    """
    guided = positive
    for strength, negative in negatives:
        guided = guided + strength * (positive - negative)
    return guided


def guided_score(
    sde: SDE,
    positive: ScoreFn,
    negative: ScoreFn,
    *,
    weight: float,
    interval: Interval | None = None,
) -> ScoreFn:
    """Return s_w of the module's equation, for any sampler: (x (B, ...), t (B,)) -> like x.

    Args:
        sde: the process, which tells the noise level of a time.
        positive: s_+.
        negative: s_-; not evaluated where the weight is 1 for the whole batch.
        weight: w.
        interval: (low, high), the noise levels at which w counts; None: all.

    Raises InputError for a weight that is not finite, and for an empty interval.
    """
    check_guidance(weight, interval)
    if weight == 1:
        return positive

    def guided(x: Tensor, t: Tensor) -> Tensor:
        wanted = positive(x, t)
        if interval is None:  # no look at the times, for which the host would wait
            return extrapolate(wanted, (weight - 1, negative(x, t)))
        inside = _inside(sde.noise_ratio(t), interval)
        if not bool(inside.any()):
            return wanted
        strength = per_sample((weight - 1) * inside.to(x.dtype), x)
        return extrapolate(wanted, (strength, negative(x, t)))

    return guided


def check_guidance(weight: float, interval: Interval | None) -> None:
    """Raise InputError for a weight that is not finite, or noise levels that are no interval."""
    if not math.isfinite(weight):
        raise InputError(f"guidance: expected a finite weight; got {weight}")
    if interval is not None and not 0 <= interval[0] < interval[1]:
        raise InputError(
            "guidance interval: expected noise levels 0 <= LOW < HIGH; got "
            f"{interval[0]:g} and {interval[1]:g}"
        )


def _inside(noise_ratio: Tensor, interval: Interval) -> Tensor:
    low, high = interval
    return (noise_ratio > low) & (noise_ratio <= high)
