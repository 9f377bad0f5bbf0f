"""Groups runs that differ only in their seed, and sorts the groups into sections.

A cell is a dataset and a split. Runs of one cell are averaged if all their settings and the
checksums of their data agree. A row holds one such group for each cell. Along it only the
creativity weight may differ, as in the papers, the whitening of texts, as in the compact
configurations, and, of course, the data. Rows stand in sections that never share a table: text or
attributes, protocol by protocol, and by what the data are.
"""

import json
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from itertools import product
from string import ascii_uppercase
from typing import Any

from cizsl.report.published_numbers import BENCHMARKS, CELLS, GBU_CELLS, Benchmark
from cizsl.report.runs import KINDS, Run
from cizsl.training.records import CHOSEN

WEIGHT = "creativity.weight"
BY_CELL = (WEIGHT, "data.text_whitening")  # may differ along a row
BASELINES = ("ridge regression", "ESZSL", "bilinear softmax", "Gaussian classifier")
GENERATORS = ("Gaussian generator", "score-based generator")
METHODS = ("GAZSL", "CIZSL", "CIZSL-v2", "GRaWD", *GENERATORS, *BASELINES)  # in table order

Cell = tuple[str, str]  # dataset, split


@dataclass(frozen=True)
class Row:
    """One line of a table: the runs of each cell, by seed."""

    cells: dict[Cell, tuple[Run, ...]]

    @property
    def runs(self) -> list[Run]:
        """The runs of all cells."""
        return [run for runs in self.cells.values() for run in runs]

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the first run; the others have the same, but for :data:`BY_CELL`."""
        return self.runs[0].settings

    @property
    def is_trained(self) -> bool:
        """Whether the runs are trainings of a GAN, not fits of a baseline in closed form."""
        return not self.runs[0].summary.deterministic

    @property
    def searches(self) -> bool:
        """Whether each run chose its creativity weight on validation classes."""
        return isinstance(self.settings.get(WEIGHT), list)


@dataclass(frozen=True)
class Section:
    """Rows that may stand in one table: one protocol, one of KINDS, one of BENCHMARKS.

    ``letter``: the names of the rows begin with it. ``baselines``: rows of closed-form baselines on
    data of the section. They have the strict protocol, so only there they are among ``rows`` too.
    """

    protocol: str
    kind: str
    rows: tuple[Row, ...]
    baselines: tuple[Row, ...] = ()
    benchmark_name: str = "text"
    letter: str = "A"

    @property
    def benchmark(self) -> Benchmark:
        """The scores and published numbers of this kind of problem."""
        return BENCHMARKS[self.benchmark_name]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that have runs, in the order of the tables."""
        return tuple(ordered({cell for row in self.rows for cell in row.cells}))

    @property
    def named_rows(self) -> list[tuple[str, Row]]:
        """Each row with its name, such as A1."""
        return [(f"{self.letter}{number}", row) for number, row in enumerate(self.rows, 1)]


def ordered(cells: Iterable[Cell]) -> list[Cell]:
    """Return cells in the order of the tables: the published ones, then by the alphabet."""
    known = CELLS + GBU_CELLS
    return sorted(
        cells, key=lambda cell: (known.index(cell) if cell in known else len(known), cell)
    )


def group(runs: Iterable[Run]) -> tuple[list[Section], list[Run]]:
    """Return the sections in their fixed order, and the runs that are in none, each with a note."""
    kept, left_out = _without_repeats(runs)
    sections = []
    for kind, benchmark, protocol in product(KINDS, BENCHMARKS, CHOSEN):
        same_data = [run for run in kept if (run.kind, run.benchmark_name) == (kind, benchmark)]
        chosen = [run for run in same_data if run.summary.protocol == protocol]
        if chosen:
            rows, letter = tuple(_rows(chosen)), ascii_uppercase[len(sections)]
            baselines = _baselines_beside(rows, same_data)
            sections.append(Section(protocol, kind, rows, baselines, benchmark, letter))
    return sections, left_out


def rows_by_name(sections: Iterable[Section]) -> dict[str, Row]:
    """Return every row by its name in the tables, such as A1."""
    return {name: row for section in sections for name, row in section.named_rows}


def _without_repeats(runs: Iterable[Run]) -> tuple[list[Run], list[Run]]:
    """Return finished runs, of one seed on the same data the first, and all others."""
    kept: dict[tuple, Run] = {}
    left_out = []
    for run in runs:
        if run.results is None:
            left_out.append(run)
            continue
        seed = run.summary.seed
        place = (run.summary.protocol, run.kind, run.cell, _key(run), run.data_id, seed)
        if (first := kept.setdefault(place, run)) is not run:
            left_out.append(replace(run, note=f"repeats seed {seed} of {first.folder}"))
    return list(kept.values()), left_out


def _baselines_beside(rows: Iterable[Row], runs: Iterable[Run]) -> tuple[Row, ...]:
    """Return rows of the baselines on data that GANs of the section were trained on."""
    trained = {(run.cell, run.data_id) for row in rows if row.is_trained for run in row.runs}
    fitted = [run for run in runs if run.summary.deterministic]
    return tuple(_rows([run for run in fitted if (run.cell, run.data_id) in trained]))


def _rows(runs: list[Run]) -> list[Row]:
    rows = []
    differ = [lambda run, key=key: str(run.settings.get(key)) for key in BY_CELL]
    for family in _split(runs, lambda run: _key(run, but=BY_CELL)):
        rows += _separate(family, [*differ, lambda run: run.data_id])
    return sorted(rows, key=_order)


def _order(row: Row) -> tuple:
    """The sort key of a row: by method, with the published divergence before the others."""
    settings, method = row.settings, row.runs[0].summary.method
    place = METHODS.index(method) if method in METHODS else len(METHODS)
    divergence = str(settings.get("creativity.divergence"))
    return place, divergence != "sharma_mittal", divergence, _key(row.runs[0])


def _separate(runs: list[Run], keys: list) -> list[Row]:
    """One row if every cell holds one group of repeats; otherwise split by the first key."""
    groups = _split(runs, lambda run: (run.cell, _key(run), run.data_id))
    if not keys or len({group[0].cell for group in groups}) == len(groups):
        cells = {g[0].cell: tuple(sorted(g, key=lambda r: r.summary.seed)) for g in groups}
        return [Row({cell: cells[cell] for cell in ordered(cells)})]
    return [row for part in _split(runs, keys[0]) for row in _separate(part, keys[1:])]


def _split(runs: Iterable[Run], key: Callable[[Run], Hashable]) -> list[list[Run]]:
    parts: dict = {}
    for run in runs:
        parts.setdefault(key(run), []).append(run)
    return list(parts.values())


def _key(run: Run, but: tuple[str, ...] = ()) -> str:
    return json.dumps({k: v for k, v in run.settings.items() if k not in but}, sort_keys=True)
