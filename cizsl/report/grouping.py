"""Which runs belong together: a row of the table is everything that is the same but the seed.

A cell is a dataset and a split. Runs of one cell are averaged if all their settings and the
checksums of their data agree. A row holds one such group for each cell; only the creativity weight
and, of course, the data may differ along it, because the published weights differ by cell. Rows
stand in sections that never share a table: text or attributes, protocol by protocol, and by what
the data are.
"""

import json
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from itertools import product
from string import ascii_uppercase

from cizsl.report.published_numbers import BENCHMARKS, CELLS, GBU_CELLS
from cizsl.report.runs import CHOSEN, KINDS, Run

WEIGHT = "creativity.weight"
METHODS = ("GAZSL", "CIZSL", "ridge regression", "ESZSL")  # in the order of the tables

DIVERGENCES = {
    "sharma_mittal": "Sharma-Mittal",
    "renyi": "Rényi",
    "tsallis": "Tsallis",
    "bhattacharyya": "Bhattacharyya",
    "kl": "KL",
    "new_class": "K+1 classes",
}
EXPONENTS = {"sharma_mittal": ("alpha", "beta"), "renyi": ("alpha",), "tsallis": ("alpha",)}
USUAL = {"realness": 1.0, "mixing": [0.2, 0.8]}  # not worth a word
NETWORKS = {  # what `Row.description` tells of every method
    "model.hidden_dim": "hidden",
    "model.text_embed_dim": "text",
    "model.noise_dim": "noise",
    "optimiser.batch_size": "batch",
    "optimiser.learning_rate": "learning rate",
    "optimiser.iterations": "iterations",
}


@dataclass(frozen=True)
class Row:
    """One line of a table: the runs of each cell, by seed."""

    cells: dict[tuple[str, str], tuple[Run, ...]]

    @property
    def runs(self) -> list[Run]:
        return [run for runs in self.cells.values() for run in runs]

    @property
    def settings(self) -> dict[str, object]:
        """Those of the first run; the others have the same, but for the creativity weight."""
        return self.runs[0].settings()

    @property
    def is_trained(self) -> bool:
        """Whether it is of a trained GAN and not of a baseline in closed form."""
        return not self.runs[0].summary.deterministic

    @property
    def method(self) -> str:
        """The name of the runs, if they have one, else what they are."""
        return self.settings.get("name") or self._kind

    @property
    def _kind(self) -> str:
        settings = self.settings
        divergence, form = settings.get("creativity.divergence"), settings.get("creativity.form")
        if divergence is None:
            return settings["method"]
        return f"{settings['method']}, {DIVERGENCES.get(divergence, divergence)}, {form} form"

    @property
    def weight(self) -> str:
        """The creativity weight, one for each cell where they differ; empty for GAZSL. Where each
        run chose its own on validation classes, all that were chosen."""
        if WEIGHT not in self.settings:
            return ""
        weights = [_weights(runs) for runs in self.cells.values()]
        text = " / ".join(weights if len(set(weights)) > 1 else weights[:1])
        return f"chosen: {text}" if self.searches else text

    @property
    def searches(self) -> bool:
        """Whether the creativity weight was chosen among several on validation classes."""
        return isinstance(self.settings.get(WEIGHT), list)

    @property
    def description(self) -> str:
        """The settings that a reader wants to know first, as far as they are recorded."""
        if not self.is_trained:
            return self._choices
        settings = self.settings
        exponents = EXPONENTS.get(str(settings.get("creativity.divergence")), ())
        names = {f"creativity.{name}": name for name in exponents} | NETWORKS
        parts = [self._kind] if settings.get("name") else []
        if self.weight:
            parts.append(f"creativity weight {self.weight}")
        if self.searches:
            tried = ", ".join(f"{weight:g}" for weight in settings[WEIGHT])
            parts[-1] += f" (on validation classes, of {tried})"
        parts += [
            f"{key} {settings[f'creativity.{key}']}"
            for key, usual in USUAL.items()
            if settings.get(f"creativity.{key}", usual) != usual
        ]
        parts += [f"{name} {settings[key]}" for key, name in names.items() if key in settings]
        return ", ".join(parts) or "settings not recorded"

    @property
    def _choices(self) -> str:
        """What a baseline's validation classes chose, for each cell."""
        places: dict[str, list[str]] = {}
        for cell, runs in self.cells.items():
            chosen = runs[0].summary.chosen or {}
            values = (f"{key.replace('_', ' ')} {value}" for key, value in chosen.items())
            places.setdefault(", ".join(values) or "not recorded", []).append(" ".join(cell))
        parts = (f"{values} ({', '.join(cells)})" for values, cells in places.items())
        criterion = self.settings.get("evaluation.select_by", "a score")
        return f"chosen by {criterion} on validation classes: {'; '.join(parts)}"


@dataclass(frozen=True)
class Section:
    """Rows that may stand in one table: one protocol, one of :data:`KINDS`, and of BENCHMARKS.

    ``baselines``: rows of closed-form baselines on data of the section, which are of the strict
    protocol and so among ``rows`` only there."""

    protocol: str
    kind: str
    rows: tuple[Row, ...]
    baselines: tuple[Row, ...] = ()
    benchmark: str = "text"

    @property
    def cells(self) -> tuple[tuple[str, str], ...]:
        """The columns: the four published cells of the birds, unless all runs are on other data."""
        found = {cell for row in self.rows for cell in row.cells}
        if self.benchmark == "gbu":
            return tuple(ordered(found))
        return tuple(ordered(found if found.isdisjoint(CELLS) else found | set(CELLS)))

    def label(self, row: Row) -> str:
        """The row's method, and whatever else tells it from the other rows."""
        others = [other for other in self.rows if other is not row and other.method == row.method]
        peers, settings = [other.settings for other in others], row.settings
        parts = [row.method]
        if row.searches or any(other.weight != row.weight for other in others):
            parts.append(f"weight {row.weight}")
        parts += [
            f"{key.split('.')[-1].replace('_', ' ')} {value}"
            for key, value in settings.items()
            if key not in (WEIGHT, "feature_dim", "name")
            and any(p.get(key) != value for p in peers)
        ]
        if settings in peers:  # the same settings on other data
            parts.append(f"data {row.runs[0].data_id}")
        return ", ".join(parts)


def _weights(runs: tuple[Run, ...]) -> str:
    """The creativity weight of repeats, or those that they chose, smallest first."""
    given = runs[0].settings()[WEIGHT]
    if not isinstance(given, list):
        return str(given)
    return ", ".join(map(str, sorted({run.summary.creativity["weight"] for run in runs})))


def ordered(cells: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Datasets and splits in the order of the tables: the published cells, then the alphabet."""
    known = CELLS + GBU_CELLS
    return sorted(
        cells, key=lambda cell: (known.index(cell) if cell in known else len(known), cell)
    )


def group(runs: list[Run]) -> tuple[list[Section], list[Run]]:
    """Sections in their fixed order, and the runs that are in none, each with a note."""
    kept: dict[tuple, Run] = {}
    left_out = [run for run in runs if run.summary is None]
    for run in runs:
        if run.summary is None:
            continue
        summary = run.summary
        place = (*_section(run), run.cell, _key(run), run.data_id, summary.seed)
        if (first := kept.setdefault(place, run)) is not run:
            note = f"repeats seed {summary.seed} of {first.folder}"
            left_out.append(replace(run, note=note))
    sections = []
    for kind, benchmark, protocol in product(KINDS, BENCHMARKS, CHOSEN):
        chosen = [run for run in kept.values() if _section(run) == (kind, benchmark, protocol)]
        if chosen:
            baselines = [
                run
                for run in kept.values()
                if _section(run)[:2] == (kind, benchmark) and run.summary.deterministic
            ]
            section = Section(protocol, kind, tuple(_rows(chosen)), benchmark=benchmark)
            sections.append(replace(section, baselines=_beside(section, baselines)))
    return sections, left_out


def _section(run: Run) -> tuple[str, str, str]:
    return run.kind, run.benchmark, run.summary.protocol


def _beside(section: Section, baselines: list[Run]) -> tuple[Row, ...]:
    """Rows of the baselines on data that the section has trained GANs on."""
    trained = {
        (run.cell, run.data_id) for row in section.rows if row.is_trained for run in row.runs
    }
    return tuple(_rows([run for run in baselines if (run.cell, run.data_id) in trained]))


def _rows(runs: list[Run]) -> list[Row]:
    rows = []
    for family in _split(runs, lambda run: _key(run, but=WEIGHT)):
        rows += _separate(family, [lambda r: str(r.settings().get(WEIGHT)), lambda r: r.data_id])
    # by method; the published divergence before others of the same method
    return sorted(rows, key=_order)


def _order(row: Row) -> tuple:
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


def _split(runs: list[Run], key: Callable[[Run], Hashable]) -> list[list[Run]]:
    parts: dict = {}
    for run in runs:
        parts.setdefault(key(run), []).append(run)
    return list(parts.values())


def _key(run: Run, but: str = "") -> str:
    return json.dumps({k: v for k, v in run.settings().items() if k != but}, sort_keys=True)


def letters(sections: list[Section]) -> Iterable[tuple[str, Section]]:
    """Sections with the letter that their rows' names begin with."""
    return zip(ascii_uppercase, sections, strict=False)
