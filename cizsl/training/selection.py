"""Selection of hyper-parameters and of the number of iterations on validation classes.

One training on the validation task gives the iteration at which ``evaluation.select_by`` is best.
Where the section ``search`` has candidates, there is one such training for each combination, all
with the same seed, classes and images, in the order of :mod:`cizsl.config.candidates`. The best one
wins, and the first of equal ones, so that a smaller weight wins over a larger one. A combination
with which training diverges is excluded, and recorded as such.

Each finished training is a line of ``search.jsonl`` and is never repeated. Of the checkpoints only
those of the best one so far are kept. A search that was stopped therefore continues where it was.

The published code selects the creativity weight by the same loop on the test classes
(docs/deviations.md).
"""

from collections.abc import Callable
from dataclasses import dataclass

from cizsl.config import CIZSLConfig
from cizsl.training import results
from cizsl.training.fitted import FittedTrainer
from cizsl.training.records import SearchLine
from cizsl.training.stage import Progress
from cizsl.training.terms import Diverged
from cizsl.training.trainer import Trainer
from repro.errors import InputError
from repro.files import checkpoint
from repro.files.json_file import as_model
from repro.run import RunFolder
from repro.signals import StopRequest

STAGE = "validation"
MakeTrainer = Callable[[CIZSLConfig, dict, str], Trainer | FittedTrainer]


@dataclass(frozen=True)
class Selection:
    """What was selected.

    ``config`` has the chosen values; ``record`` is the best evaluation of its training, which is
    ``progress``; ``seconds`` are those of all trainings; ``search`` goes into ``results.json``,
    None where nothing was searched.
    """

    config: CIZSLConfig
    record: dict
    progress: Progress
    seconds: float
    search: dict | None


def select(
    config: CIZSLConfig, folder: RunFolder, make: MakeTrainer, stop: StopRequest
) -> Selection:
    """Train on the validation task, and select.

    Args:
        config: with its candidates.
        folder: the run folder, which this process owns.
        make: ``make(config, candidate, name)`` returns the training with a configuration; the
            candidate values and the name of its checkpoints' folder are empty without a search.
        stop: a request to end early.

    Raises :class:`Interrupted` with everything saved, and :class:`InputError` if training diverges
    with every candidate.
    """
    criterion = config.evaluation.select_by
    if not config.searched:
        progress = make(config, {}, "").run(stop)
        record = results.best(progress.records, criterion)
        return Selection(config, record, progress, progress.seconds, None)
    search = _Search(config, folder, make)
    best = search.run(stop)
    if best is None:
        raise InputError(f"{folder.path}: training diverged with every candidate of the search")
    progress = search.trainer(best).run(stop)  # from its last checkpoint: no step is left
    return Selection(
        search.trials[best],
        results.best(progress.records, criterion),
        progress,
        sum(line.seconds for line in search.lines),
        search.summary(best),
    )


class _Search:
    """The trainings of one search, and their lines in ``search.jsonl``."""

    def __init__(self, config: CIZSLConfig, folder: RunFolder, make: MakeTrainer):
        self.config, self.folder, self.make = config, folder, make
        self.trials = config.trials()
        self.candidates = [trial.values_of(config.searched) for trial in self.trials]
        file = str(folder.path / "search.jsonl")
        lines = [
            as_model(line, SearchLine, f"{file}, line {number}")
            for number, line in enumerate(folder.read_log("search"), 1)
        ]
        if [line.candidate for line in lines] != self.candidates[: len(lines)]:
            raise InputError(f"{file}: not of this search")
        self.lines = lines

    def run(self, stop: StopRequest) -> int | None:
        """Train with every candidate that is left; return the place of the best, if any."""
        for place in range(len(self.lines), len(self.trials)):
            self.lines.append(self._line(place, stop))
            self.folder.write_log("search", [line.model_dump() for line in self.lines])
            self._drop_losers()
        return self._best()

    def trainer(self, place: int) -> Trainer | FittedTrainer:
        """Return the training with the candidate at ``place``."""
        return self.make(self.trials[place], self.candidates[place], _name(place))

    def summary(self, best: int) -> dict:
        """Return what ``results.json`` says of the search."""
        return {
            "select_by": self.config.evaluation.select_by,
            "chosen": self.candidates[best],
            "candidates": [
                {**line.candidate, **line.model_dump(exclude={"candidate", "seconds"})}
                for line in self.lines
            ],
        }

    def _line(self, place: int, stop: StopRequest) -> SearchLine:
        trainer = self.trainer(place)
        try:
            trainer.run(stop)
            best = results.best(trainer.progress.records, self.config.evaluation.select_by)
            found = {"score": best[self.config.evaluation.select_by]}
            found |= {"iteration": best["iteration"]}
        except Diverged:  # the evaluations before do not count: they may have been distorted
            found = {"score": None, "iteration": None}
        return SearchLine(
            candidate=self.candidates[place],
            **found,
            evaluations=len(trainer.progress.records),
            seconds=trainer.progress.seconds,
        )

    def _best(self) -> int | None:
        scores = {i: line.score for i, line in enumerate(self.lines) if line.score is not None}
        return max(scores, key=lambda place: scores[place], default=None)

    def _drop_losers(self) -> None:
        best = self._best()
        for place in range(len(self.lines)):
            folder = self.folder.checkpoints / STAGE / _name(place)
            checkpoint.prune(folder, keep=int(place == best))


def _name(place: int) -> str:
    return f"candidate_{place:03d}"
