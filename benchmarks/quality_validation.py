"""Does validation on whole families rank settings as unseen families do?

    python benchmarks/quality_validation.py [--outer family] [--splits 20] [--draws 3]

Only the seen classes of the hard split of "CUB, compact features" take part. An outer draw holds
out a fifth of them, as whole families or as single classes, and plays the test. On the classes that
are left, every setting of the classifiers in closed form is scored three times: on validation
classes drawn singly, on validation classes drawn by whole families, and, fitted to all classes that
are left, on the outer ones. Spearman's rank correlation of validation and outer scores says which
validation ranks settings as the outer classes do; the loss is the outer score of the best setting
minus that of the setting that validation selects. Both for single draws of validation classes and
for the mean score over the draws. The test classes are never read.
"""

import argparse
import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr
from tqdm import tqdm

from cizsl import protocols
from cizsl.closed_form.registry import BASELINES
from cizsl.config import BaselineEvaluation
from cizsl.data.dataset import ZSLData
from cizsl.data.layouts import load
from cizsl.training.fit_baselines import measure

SETTINGS = [
    *(("ridge", {"penalty": p, "similarity": "cosine"}) for p in (1e-3, 0.01, 0.1, 1.0, 10.0)),
    *(
        ("eszsl", {"feature_penalty": f, "text_penalty": t})
        for f, t in ((0.01, 1.0), (0.1, 10.0), (1.0, 1.0), (1.0, 100.0))
    ),
    *(
        ("gaussian", {"penalty": p, "shrinkage": a, "spread": s})
        for p, a, s in ((0.03, 0.1, 0.0), (0.1, 0.1, 0.3), (0.3, 0.5, 0.0), (1.0, 0.5, 1.0))
    ),
]
CRITERIA = ("top1", "ausuc")
KINDS = ("class", "family")
SHARE = 0.2
HELD_OUT = BaselineEvaluation().heldout_share
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Comparison:
    """Of each validation, one number an outer draw, the mean over draws of validation classes.

    correlation: Spearman's; loss: of the outer score by the selection.
    """

    correlation: dict[str, np.ndarray]
    loss: dict[str, np.ndarray]


def held_out(data: ZSLData, kind: str, seed: int) -> ZSLData:
    """Return the seen classes alone, a share of which takes the place of the unseen ones."""
    families = data.families if kind == "family" else None
    outer = protocols.validation_classes(data.num_seen, SHARE, seed, families)
    inner = np.setdiff1d(np.arange(data.num_seen), outer)
    parts: dict = {"families": None if data.families is None else data.families[inner]}
    for part, side, classes in (("train", "seen", inner), ("test", "unseen", outer)):
        place = np.full(data.num_seen, -1)
        place[classes] = np.arange(len(classes))
        rows = np.flatnonzero(place[data.train_labels] >= 0)
        parts[f"{part}_features"] = data.train_features[rows]
        parts[f"{part}_labels"] = place[data.train_labels[rows]]
        parts[f"{side}_text"] = data.seen_text[classes]
        parts[f"{side}_ids"] = data.seen_ids[classes]
    return dataclasses.replace(data, **parts)


def scores(task: protocols.ZSLTask) -> np.ndarray:
    """Return every criterion of every setting: (settings, criteria)."""
    fitted = {name: BASELINES[name](task) for name in dict(SETTINGS)}
    found = (measure(fitted[name], point, task) for name, point in SETTINGS)
    return np.array([[getattr(one, name) for name in CRITERIA] for one in found])


def validated(data: ZSLData, kind: str, draw: int) -> np.ndarray:
    """Return the scores on one draw of validation classes."""
    return scores(protocols.validation_task(data, "none", CPU, HELD_OUT, draw, SHARE, kind))


def compare(outer: np.ndarray, inner: dict[str, np.ndarray]) -> Comparison:
    """Compare validations of one criterion.

    Args:
        outer: scores on the outer classes (draws, settings).
        inner: by validation, scores (draws, validation draws, settings).
    """
    correlation, loss = {}, {}
    for kind, found in inner.items():
        pairs = list(zip(found, outer, strict=True))
        ranks = [[spearmanr(one, o).statistic for one in draws] for draws, o in pairs]
        lost = [[o.max() - o[one.argmax()] for one in draws] for draws, o in pairs]
        correlation[kind], loss[kind] = np.mean(ranks, 1), np.mean(lost, 1)
    return Comparison(correlation, loss)


def report(name: str, found: Comparison) -> list[str]:
    """Return the lines of a table on one criterion."""
    lines = [
        f"| {name} | {kind} | {_spread(found.correlation[kind], 2)} "
        f"| {_spread(100 * found.loss[kind], 2)} |"
        for kind in KINDS
    ]
    gain = found.correlation["family"] - found.correlation["class"]
    saved = 100 * (found.loss["family"] - found.loss["class"])
    return [*lines, f"| {name} | family - class | {_error(gain)} | {_error(saved)} |"]


def _spread(values: np.ndarray, digits: int) -> str:
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}"


def _error(values: np.ndarray) -> str:
    error = values.std(ddof=1) / len(values) ** 0.5
    better = int((values > 0).sum())
    return f"{values.mean():+.3f}, standard error {error:.3f} ({better} of {len(values)} above 0)"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--outer", choices=KINDS, default="family", help="what is held out")
    parser.add_argument("--splits", type=int, default=20, help="outer draws")
    parser.add_argument("--draws", type=int, default=3, help="draws of validation classes")
    options = parser.parse_args()
    data = load("data", "CUB-compact", "hard", "compact")
    outer, inner = [], {kind: [] for kind in KINDS}
    for seed in tqdm(range(options.splits)):
        rest = held_out(data, options.outer, 1000 + seed)
        outer.append(scores(protocols.strict_test_task(rest, "none", CPU, HELD_OUT, 0)))
        for kind in KINDS:
            inner[kind].append([validated(rest, kind, draw) for draw in range(options.draws)])
    print(f"{len(SETTINGS)} settings, outer classes by {options.outer}, {options.splits} draws")
    print("| score | validation by | Spearman | points lost |\n| --- | --- | --- | --- |")
    for place, name in enumerate(CRITERIA):
        found = np.array(outer)[..., place]
        single = {kind: np.array(scored)[..., place] for kind, scored in inner.items()}
        mean = {kind: scored.mean(1, keepdims=True) for kind, scored in single.items()}
        print("\n".join(report(f"{name}, one draw", compare(found, single))))
        print("\n".join(report(f"{name}, mean of {options.draws}", compare(found, mean))))


if __name__ == "__main__":
    main()
