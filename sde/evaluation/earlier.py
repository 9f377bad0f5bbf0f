"""Comparison of what an evaluation found with what the run says about itself already."""

import math
import sys
from typing import Any

from repro.config import leaves
from repro.wording import shown
from sde import build
from sde.trained_model import TrainedModel
from sde.training.heldout import heldout_loss

ROUNDING = 1e-3  # relative; other processors and numbers of threads stay below it
PROTOCOL = ("device", "sampler", "nfe", "precision", "weights", "iterations", "data")
SAMPLING = ("snr", "corrector_steps", "eps", "grid", "rtol", "atol", "method")
MOST = 5  # differences that are listed
LARGEST = sys.float_info.max  # JSON may hold larger whole numbers


def differences(trained: TrainedModel, summary: dict[str, Any], results: dict) -> list[str]:
    """Return one line for each number that differs from the run's own results.

    The held-out loss is computed again and compared with that of training, on the same kind of
    device, because the random numbers depend on it. The rest is compared
    with an earlier evaluation, where that had the same protocol; where it had not, nothing can be
    said.

    Args:
        summary: the content of the run's ``results.json``.
        results: what was measured now.
    """
    found = _of_training(trained, summary)
    before = summary.get("evaluation")
    if isinstance(before, dict):
        found += _of_evaluation(before, results)
    more = f"and {len(found) - MOST} more differences"
    return found if len(found) <= MOST else [*found[:MOST], more]


def _of_training(trained: TrainedModel, summary: dict[str, Any]) -> list[str]:
    now: dict[str, float] = {"iterations": trained.step}
    same = ("dataset", trained.data.spec.name), ("device", trained.device.type)
    if "heldout_loss" in summary and all(summary.get(key) == value for key, value in same):
        loss = build.loss(trained.config, trained.sde)
        how = (trained.data, trained.network, trained.device)
        now["heldout_loss"] = heldout_loss(trained.config, loss, *how)
    return [
        _said(key, summary[key], value)
        for key, value in now.items()
        if key in summary and not _equal(summary[key], value)
    ]


def _of_evaluation(before: dict[str, Any], now: dict) -> list[str]:
    """Numbers that differ although the protocol is the same; changed data in any case."""
    sums = before.get("data_sha256")
    found = [] if sums == now["data_sha256"] else ["the data have other checksums than before"]
    if any(before.get(key) != now[key] for key in PROTOCOL) or found:
        return found
    old, new = leaves(before), leaves(now)
    counted = [key for key in new if key.endswith(("num_real", "num_fake", "examples", "probes"))]
    settings = [f"sampling.{key}" for key in SAMPLING]
    if any(old.get(key) != new.get(key) for key in (*counted, *settings)):
        return found
    numbers = [key for key, value in new.items() if isinstance(value, float) and key in old]
    return [_said(key, old[key], new[key]) for key in numbers if not _equal(old[key], new[key])]


def _equal(before: Any, now: float) -> bool:
    if not isinstance(before, int | float) or LARGEST < abs(before) < math.inf:
        return False
    both_nan = math.isnan(before) and math.isnan(now)
    return both_nan or math.isclose(before, now, rel_tol=ROUNDING, abs_tol=1e-6)


def _said(key: str, before: Any, now: float) -> str:
    return f"{key} was {shown(before)}, is now {now:.6g}"
