"""Compares two methods seed by seed (``cizsl table --compare A B``).

A and B are run folders, folders of them, patterns such as "runs/cub_*_gazsl", or rows of the tables
that the same command prints, such as A1. A run of A pairs with the run of B that has the same
dataset, split, protocol, seed and data files; all others are left out, and named. A baseline in
closed form is the same for every seed and pairs with each. In one cell (dataset and split) and
protocol all runs of a side must have the same settings; otherwise the comparison is refused.

The test is over the seeds, or over the unseen classes (``--by class``): :mod:`cizsl.report.blocks`.
The numbers and the rule are those of :mod:`cizsl.report.paired_test`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from cizsl.report.blocks import BLOCKS, Block, Place, named
from cizsl.report.grouping import Row, ordered
from cizsl.report.runs import Run, collect, exists
from cizsl.training.records import CHOSEN
from repro.errors import InputError

Side = dict[tuple[str, int | None], Run]  # the runs of one side and place, by data and seed


@dataclass(frozen=True)
class Comparison:
    """A and B as ``given``, a block for each protocol and cell, words on what was left out, and
    what is paired ``by``: a key of :data:`cizsl.report.blocks.BLOCKS`."""

    given: tuple[str, str]
    blocks: tuple[Block, ...]
    left_out: tuple[str, ...]
    by: str = "seed"


def find(given: str, rows: dict[str, Row]) -> list[Run]:
    """Return the runs that A or B stands for: at a path, in a row of that name, or at the paths of
    a pattern."""
    if exists(Path(given)):
        return collect([Path(given)])
    if given in rows:
        return rows[given].runs
    if paths := sorted(glob(given)):
        return collect(map(Path, paths))
    known = f"nor one of the rows {', '.join(rows)}" if rows else "nor a row of a table given"
    raise InputError(f"--compare {given}: neither a folder nor a pattern of folders, {known}")


def compare(
    first: str, second: str, rows: dict[str, Row] | None = None, by: str = "seed"
) -> Comparison:
    """Pair the runs that A and B stand for.

    Args:
        first: A, a folder, a pattern or the name of a row.
        second: B, likewise.
        rows: the rows of the tables by name.
        by: what the test is paired by, a key of :data:`cizsl.report.blocks.BLOCKS`.

    Raises :class:`InputError` if one has no finished run, if it has several settings for one cell
    and protocol, if a run is in both, if nothing pairs, and where results by class are missing.
    """
    runs = [find(given, rows or {}) for given in (first, second)]
    if both := set.intersection(*({run.folder.resolve() for run in side} for side in runs)):
        raise InputError(f"--compare {first} {second}: {min(both)} is in both")
    blocks, left_out = [], []
    a, b = (_side(given, side, left_out) for given, side in zip((first, second), runs, strict=True))
    for place in _in_order({*a, *b}):
        if place not in a or place not in b:
            only = "A" if place in a else "B"
            left_out.append(f"{named(place)}: only in {only}")
            continue
        pairs, unpaired = _pair(a[place], b[place])
        left_out += [f"{named(place)}: {text}" for text in unpaired]
        if pairs:
            blocks.append(BLOCKS[by](*place, *map(tuple, zip(*pairs, strict=True))))
    if not blocks:
        raise InputError(f"--compare {first} {second}: no two runs pair: {'; '.join(left_out)}")
    return Comparison((first, second), tuple(blocks), tuple(left_out), by)


def _side(given: str, runs: list[Run], left_out: list[str]) -> dict[Place, Side]:
    """Return the finished runs by protocol and cell; of several with the same seed and data the
    first, the others are added to ``left_out``."""
    places: dict[Place, Side] = {}
    for run in (run for run in runs if run.results):
        place = run.summary.protocol, run.cell
        side = places.setdefault(place, {})
        _check(given, place, run, next(iter(side.values()), run))
        seed = None if run.summary.deterministic else run.summary.seed
        taken = side.setdefault((run.data_id, seed), run)
        if taken is not run:
            left_out.append(f"{run.folder}: the same seed and data as {taken.folder}")
    if not places:
        raise InputError(f"--compare {given}: no finished run")
    return places


def _check(given: str, place: Place, run: Run, other: Run) -> None:
    """Refuse a run that has other settings than ``other`` of its side, or unknown data."""
    if other.settings != run.settings:
        raise InputError(
            f"--compare {given}: {named(place)}: several settings, as in {other.folder} and "
            f"{run.folder}; name one of them"
        )
    if not run.data_id:
        raise InputError(f"{run.folder}: no checksums of its data, so it pairs with no run")


def _pair(a: Side, b: Side) -> tuple[list[tuple[int | None, Run, Run]], list[str]]:
    """Return (seed, run of A, run of B) of every pair, and words on what has no partner."""
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


def _seeds(seeds: Iterable[int | None]) -> str:
    known = [str(seed) for seed in sorted(seed for seed in seeds if seed is not None)]
    if not known:
        return "the baseline is"
    return f"seed{'s' if len(known) > 1 else ''} {', '.join(known)}"
