"""What the strict protocol chooses on validation classes: how long to train, and the weight.

One training on the validation problem gives the iteration at which ``evaluation.select_by`` is
best. Where ``creativity.weight`` is a list there is one such training for each weight, all with the
same seed, classes and images, in ascending order; the best one wins, the smaller weight at a tie. A
weight with which training diverges is out, and recorded as such.

A weight that is done is a line of ``search.jsonl`` and is never trained again; of the checkpoints
only the winner's so far is kept. So a search can stop at any moment and goes on where it was.

The published search did the same over the same weights on the test classes (docs/deviations.md).
"""

from collections.abc import Callable
from dataclasses import dataclass

from cizsl.config import CIZSLConfig
from cizsl.training import results
from cizsl.training.trainer import Diverged, Progress, Trainer
from repro import checkpoint
from repro.errors import InputError
from repro.run import RunFolder
from repro.signals import StopRequest


@dataclass(frozen=True)
class Selection:
    """``config`` with the chosen weight; the best ``record`` of its training, which is
    ``progress``; the ``seconds`` of all trainings; ``candidates``, one dict for each weight, empty
    if there was no choice of weights."""

    config: CIZSLConfig
    record: dict
    progress: Progress
    seconds: float
    candidates: list[dict]


def select(
    config: CIZSLConfig,
    folder: RunFolder,
    phase: Callable[[CIZSLConfig], Trainer],
    stop: StopRequest,
) -> Selection:
    """Train on the validation problem and choose; ``phase(config)`` is that training.

    Raises :class:`Interrupted` with everything saved, and :class:`InputError` if every weight
    diverges."""
    criterion = config.evaluation.select_by
    if not config.searches:
        progress = phase(config).run(stop)
        record = results.best(progress.records, criterion)
        return Selection(config, record, progress, progress.seconds, [])
    done = {line["weight"]: line for line in folder.read_log("search")}
    for weight in config.creativity.weight:
        if weight not in done:
            done[weight] = _try(phase(with_weight(config, weight)), weight, criterion, stop)
            folder.write_log("search", list(done.values()))
        _drop_losers(folder, done)
    seconds = sum(line.pop("seconds") for line in done.values())
    chosen = _best(done)
    if chosen is None:
        raise InputError(f"{folder.path}: training diverged with every creativity weight")
    config = with_weight(config, chosen["weight"])
    progress = phase(config).run(stop)  # from its last checkpoint: nothing is left to do
    record = results.best(progress.records, criterion)
    return Selection(config, record, progress, seconds, list(done.values()))


def with_weight(config: CIZSLConfig, weight: float) -> CIZSLConfig:
    """The configuration with that one creativity weight."""
    creativity = config.creativity.model_copy(update={"weight": weight})
    return config.model_copy(update={"creativity": creativity})


def _try(phase: Trainer, weight: float, criterion: str, stop: StopRequest) -> dict:
    """Train with one weight: its best score and iteration, both None if training diverged."""
    try:
        phase.run(stop)
        best = results.best(phase.progress.records, criterion)
        found = {"score": best[criterion], "iteration": best["iteration"]}
    except Diverged:  # evaluations before that count for nothing: it may have been about to
        found = {"score": None, "iteration": None}
    evaluations = len(phase.progress.records)
    seconds = phase.progress.seconds
    return {"weight": weight, **found, "evaluations": evaluations, "seconds": seconds}


def _best(done: dict[float, dict]) -> dict | None:
    """The line with the best score, of equal ones that with the smallest weight."""
    lines = [line for _, line in sorted(done.items()) if line["score"] is not None]
    return max(lines, key=lambda line: line["score"], default=None)


def _drop_losers(folder: RunFolder, done: dict[float, dict]) -> None:
    best = _best(done)
    for weight, line in done.items():
        checkpoint.prune(folder.checkpoints / "selection" / f"weight_{weight}", int(line is best))
