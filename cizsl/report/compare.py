"""``cizsl table --compare A B``: two methods, seed by seed.

A and B are run folders, folders of them, patterns such as "runs/cub_*_gazsl", or rows of the tables
that the same command prints, such as A1. A run of A pairs with the run of B that has the same
dataset, split, protocol, seed and data files; all others are left out, and named. A baseline in
closed form is the same for every seed and pairs with each. In one cell (dataset and split) and
protocol each side must be one setting, or nobody could say what is compared.

The numbers and the rule are those of :mod:`cizsl.report.paired_test`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from glob import glob
from pathlib import Path

from cizsl.report.grouping import Row, ordered
from cizsl.report.paired_test import Difference, difference
from cizsl.report.runs import CHOSEN, Run, collect
from cizsl.training.results import RETRIEVAL, SCORES
from repro.errors import InputError

Place = tuple[str, tuple[str, str]]  # protocol, cell


@dataclass(frozen=True)
class Block:
    """The pairs of one protocol and cell; a ``seed`` is None for two baselines."""

    protocol: str
    cell: tuple[str, str]
    seeds: tuple[int | None, ...]
    first: tuple[Run, ...]
    second: tuple[Run, ...]

    @property
    def title(self) -> str:
        """Cell and protocol, and loudly whether the data are toy."""
        toy = ", TOY DATA" if self.first[0].summary.toy else ""
        return f"{_named((self.protocol, self.cell))}{toy}"

    @property
    def methods(self) -> tuple[str, str]:
        """What each side is called in tables."""
        return tuple(Row({self.cell: side}).method for side in (self.first, self.second))

    @cached_property
    def differences(self) -> dict[str, Difference]:
        """By metric, those that every run has."""
        found = {}
        for name in SCORES + RETRIEVAL:
            sides = [
                [getattr(run.scores, name) for run in side] for side in (self.first, self.second)
            ]
            if None not in sides[0] + sides[1]:
                found[name] = difference(*sides)
        return found

    def other_settings(self) -> list[str]:
        """What A and B differ in besides the method: "hidden dim 4096 / 4086"."""
        runs = self.first[0], self.second[0]
        if any(run.summary.deterministic for run in runs):
            return []
        a, b = (run.settings() for run in runs)
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
class Comparison:
    """A and B as ``given``, a block for each protocol and cell, and what was ``left_out``."""

    given: tuple[str, str]
    blocks: tuple[Block, ...]
    left_out: tuple[str, ...]


def find(given: str, rows: dict[str, Row]) -> list[Run]:
    """The runs that A or B stands for: at a path, in a row by its name, at paths of a pattern."""
    if Path(given).exists():
        return collect([Path(given)])
    if given in rows:
        return rows[given].runs
    if paths := sorted(glob(given)):
        return collect(map(Path, paths))
    known = f"nor one of the rows {', '.join(rows)}" if rows else "nor a row of a table given"
    raise InputError(f"--compare {given}: neither a folder nor a pattern of folders, {known}")


def compare(first: str, second: str, rows: dict[str, Row] | None = None) -> Comparison:
    """Pair the runs that A and B stand for; ``rows``: those of the tables, by name.

    Raises :class:`InputError` if one has no finished run, if it has several settings for one cell
    and protocol, if a run is in both, and if nothing pairs.
    """
    runs = [find(given, rows or {}) for given in (first, second)]
    if both := set.intersection(*({run.folder.resolve() for run in side} for side in runs)):
        raise InputError(f"--compare {first} {second}: {min(both)} is in both")
    blocks, left_out = [], []
    a, b = (_side(given, side, left_out) for given, side in zip((first, second), runs, strict=True))
    places = _in_order({*a, *b})
    for place in places:
        if place not in a or place not in b:
            only = "A" if place in a else "B"
            left_out.append(f"{_named(place)}: only in {only}")
            continue
        pairs, unpaired = _pair(a[place], b[place])
        left_out += [f"{_named(place)}: {text}" for text in unpaired]
        if pairs:
            blocks.append(Block(*place, *map(tuple, zip(*pairs, strict=True))))
    if not blocks:
        raise InputError(f"--compare {first} {second}: no two runs pair: {'; '.join(left_out)}")
    return Comparison((first, second), tuple(blocks), tuple(left_out))


def _side(
    given: str, runs: list[Run], left_out: list[str]
) -> dict[Place, dict[tuple[str, int | None], Run]]:
    """Finished runs by protocol and cell, then by data and seed; of several the first."""
    places: dict[Place, dict] = {}
    for run in (run for run in runs if run.summary):
        place = run.summary.protocol, run.cell
        side = places.setdefault(place, {})
        other = next(iter(side.values()), run)
        if other.settings() != run.settings():
            raise InputError(
                f"--compare {given}: {_named(place)}: several settings, as in {other.folder} and "
                f"{run.folder}; name one of them"
            )
        seed = None if run.summary.deterministic else run.summary.seed
        if not run.data_id:
            raise InputError(f"{run.folder}: no checksums of its data, so it pairs with no run")
        taken = side.setdefault((run.data_id, seed), run)
        if taken is not run:
            left_out.append(f"{run.folder}: the same seed and data as {taken.folder}")
    if not places:
        raise InputError(f"--compare {given}: no finished run")
    return places


def _pair(a: dict, b: dict) -> tuple[list[tuple[int | None, Run, Run]], list[str]]:
    """(seed, run of A, run of B) of every pair, and what is left over, in words."""
    keys = {key for key in {*a, *b} if key[1] is not None} or {*a, *b}
    pairs, lonely = [], {"A": [], "B": []}
    for data, seed in sorted(keys, key=lambda key: (key[1] or 0, key[0])):
        runs = [side.get((data, seed)) or side.get((data, None)) for side in (a, b)]
        if all(runs):
            pairs.append((seed, *runs))
        else:
            lonely["A" if runs[0] else "B"].append(seed)
    both = {*lonely["A"]} & {*lonely["B"]}
    words = [f"{_seeds(both)} on different data files"] if both else []
    for name, seeds in lonely.items():
        if alone := {*seeds} - both:
            words.append(f"{_seeds(alone)} only in {name}")
    return pairs, words


def _in_order(places: Iterable[Place]) -> list[Place]:
    cells = ordered({cell for _, cell in places})
    return sorted(places, key=lambda p: (list(CHOSEN).index(p[0]), cells.index(p[1])))


def _named(place: Place) -> str:
    protocol, cell = place
    return f"{' '.join(cell)}, {protocol} protocol"


def _seeds(seeds: Iterable[int | None]) -> str:
    known = [str(seed) for seed in sorted(seed for seed in seeds if seed is not None)]
    if not known:
        return "the baseline is"
    return f"seed{'s' if len(known) > 1 else ''} {', '.join(known)}"
