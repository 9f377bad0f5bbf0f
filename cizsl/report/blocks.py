"""The pairs of two methods in one protocol and cell, by seed or by unseen class.

By seed, a pair is two runs. By class, a pair is an unseen class, with the mean over the runs of a
side of its top-1 accuracy and of its part of the AUSUC. So two classifiers in closed form, which
have no seed, can be compared, and the question is another one: whether the difference would hold
on other unseen classes, for these seen classes and these runs.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cizsl.report.grouping import Row
from cizsl.report.labels import method
from cizsl.report.paired_test import Difference, difference, sign_flip_p
from cizsl.report.runs import Run
from cizsl.training.records import EVERY, ByClass
from repro.errors import InputError

Place = tuple[str, tuple[str, str]]  # protocol, cell


@dataclass(frozen=True)
class Block:
    """The pairs of one protocol and cell; the seed of two baselines is None."""

    protocol: str
    cell: tuple[str, str]
    seeds: tuple[int | None, ...]
    first: tuple[Run, ...]
    second: tuple[Run, ...]

    @property
    def title(self) -> str:
        """Cell and protocol, and whether the data are toy."""
        toy = ", TOY DATA" if self.first[0].summary.toy else ""
        return f"{named((self.protocol, self.cell))}{toy}"

    @property
    def methods(self) -> tuple[str, str]:
        """What the tables call each side."""
        return method(Row({self.cell: self.first})), method(Row({self.cell: self.second}))

    @property
    def pairs(self) -> str:
        """How many pairs there are, in words."""
        return f"{len(self.seeds)} pair{'s' if len(self.seeds) > 1 else ''}"

    @property
    def count(self) -> int:
        """The number of pairs of the test."""
        return len(self.seeds)

    @property
    def title_of_pairs(self) -> str:
        """What is paired, in words."""
        seeds = ", ".join(str(seed) for seed in self.seeds if seed is not None) or "any"
        return f"{self.pairs}, seed{'s' if len(self.seeds) > 1 else ''} {seeds}"

    @cached_property
    def differences(self) -> dict[str, Difference]:
        """The statistics of every metric that all runs have, by name."""
        sides = self.first, self.second
        values = {
            name: [[getattr(run.scores, name) for run in side] for side in sides] for name in EVERY
        }
        return {name: difference(a, b) for name, (a, b) in values.items() if None not in a + b}

    def other_settings(self) -> list[str]:
        """Return what A and B differ in besides the method, such as "hidden dim 4096 / 4086"."""
        runs = self.first[0], self.second[0]
        if any(run.summary.deterministic for run in runs):
            return []
        a, b = (run.settings for run in runs)
        same_method = a["method"] == b["method"]
        keys = [key for key in {**a, **b} if a.get(key) != b.get(key)]
        told = (key for key in keys if same_method or not key.startswith("creativity."))
        names = {key: key.split(".")[-1].replace("_", " ") for key in told}
        return [
            f"{name} {a.get(key)} / {b.get(key)}"
            for key, name in names.items()
            if name not in ("method", "name")
        ]


@dataclass(frozen=True)
class ClassBlock(Block):
    """The unseen classes as pairs; the runs of a side are averaged class by class.

    Raises :class:`InputError` where a run has no results by class.
    """

    def __post_init__(self):
        counts = {len(_by_class(run).top1) for run in (*self.first, *self.second)}
        if len(counts) > 1:
            raise InputError(f"{self.first[0].folder}: other unseen classes than the runs of B")

    @property
    def pairs(self) -> str:
        """How many classes there are, in words."""
        return f"{self.count} unseen classes"

    @property
    def count(self) -> int:
        """The number of classes."""
        return len(_by_class(self.first[0]).top1)

    @property
    def title_of_pairs(self) -> str:
        """What is paired, and how many runs of each side were averaged."""
        runs = [len({run.folder for run in side}) for side in (self.first, self.second)]
        return f"{self.pairs}, runs averaged: {runs[0]} of A, {runs[1]} of B"

    @cached_property
    def differences(self) -> dict[str, Difference]:
        """The statistics of top-1 and AUSUC, averages over classes."""
        found = {}
        for name, key in (("per_class_top1", "top1"), ("ausuc", "ausuc")):
            a, b = (
                np.mean([getattr(_by_class(run), key) for run in side], axis=0)
                for side in (self.first, self.second)
            )
            found[name] = difference(a, b, sign_flip_p)
        return found


BLOCKS: dict[str, type[Block]] = {"seed": Block, "class": ClassBlock}


def named(place: Place) -> str:
    """Return dataset, split and protocol in words."""
    protocol, cell = place
    return f"{' '.join(cell)}, {protocol} protocol"


def _by_class(run: Run) -> ByClass:
    if run.summary.protocol != "strict":
        raise InputError(f"{run.folder}: --by class compares runs of the strict protocol only")
    if run.summary.by_class is None:
        raise InputError(f"{run.folder}: its results have no accuracies by class; run it again")
    return run.summary.by_class
