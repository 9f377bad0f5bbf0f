"""Seen-unseen curves of many runs in one small chart, which a template draws as SVG."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

import numpy as np

from cizsl.report.grouping import Cell, Section
from cizsl.report.labels import method
from cizsl.report.runs import Run
from cizsl.training.records import read_curve

WIDTH, HEIGHT = 366, 290
LEFT, RIGHT, TOP, BOTTOM = 40, 352, 8, 252  # the corners of the plot
COLOURS = 6  # --c0 to --c5 in the page's style
DASHES = ("none", "6 3", "2 3")  # the seventh row has the first colour again, dashed
CURVES = {"reference": "best_on_test", "strict": "final"}  # strict evaluates on test once, finally


class Polyline(NamedTuple):
    """A line of the chart; ``points`` are "x,y" pairs in the units of the SVG."""

    style: str
    title: str
    points: str


@dataclass(frozen=True)
class Chart:
    """The curves of one cell: ``ticks`` of each axis as (coordinate, text)."""

    heading: str
    lines: tuple[Polyline, ...]
    legend: tuple[tuple[str, str], ...]  # (style, text)
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    corners: tuple[int, int, int, int] = (LEFT, RIGHT, TOP, BOTTOM)


def chart(cell: Cell, section: Section, points: int) -> Chart | None:
    """Return a chart with a line for each run of the cell, and a legend with the mean areas.

    Each line has at most ``points`` points. None where no run of the cell has kept its curve.
    Raises :class:`InputError` for a damaged curve.
    """
    drawn, legend = [], []
    for index, (name, row) in enumerate(section.named_rows):
        loaded = [(run, load(run)) for run in row.cells.get(cell, ())]
        kept = [(run, curve) for run, curve in loaded if curve is not None]
        drawn += [(_style(index), name, run, curve) for run, curve in kept]
        if kept:
            area = 100 * fmean(run.scores.ausuc for run, _ in kept)
            legend.append((_style(index), f"{name} {method(row)}: {area:.2f} %"))
    if not drawn:
        return None
    ticks = _ticks(max(100 * curve[1].max() for *_, curve in drawn))
    lines = (_line(*one, end=ticks[-1], points=points) for one in drawn)
    return Chart(
        f"{' '.join(cell)}{', toy data' if section.kind == 'toy' else ''}",
        tuple(lines),
        tuple(legend),
        tuple((_scale(value / ticks[-1], LEFT, RIGHT), str(value)) for value in ticks),
        tuple((_scale(value / 100, BOTTOM, TOP), str(value)) for value in range(0, 101, 20)),
    )


def load(run: Run) -> np.ndarray | None:
    """Return seen and unseen accuracy (2, P), fractions, of the evaluation that the tables report.

    None where the run has not kept it. Raises :class:`InputError` for a damaged file.
    """
    file = run.folder / "curves.npz"
    return read_curve(file, CURVES[run.summary.protocol]) if file.exists() else None


def thin(seen: np.ndarray, unseen: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Return at most ``points`` of the curve, evenly along its length, both ends among them."""
    length = np.concatenate([[0], np.cumsum(np.abs(np.diff(seen)) + np.abs(np.diff(unseen)))])
    wanted = np.searchsorted(length, np.linspace(0, length[-1], points))
    kept = np.unique(np.concatenate([[0], wanted, [len(length) - 1]]))
    return seen[kept], unseen[kept]


def _line(
    style: str, name: str, run: Run, curve: np.ndarray, *, end: float, points: int
) -> Polyline:
    seen, unseen = thin(*curve, points)
    xs = (_scale(100 * u / end, LEFT, RIGHT) for u in unseen)
    ys = (_scale(s, BOTTOM, TOP) for s in seen)
    title = f"{name}, seed {run.summary.seed}, AUSUC {100 * run.scores.ausuc:.2f} %"
    return Polyline(style, title, coordinates(xs, ys))


def coordinates(xs: Iterable[float], ys: Iterable[float]) -> str:
    """Return the points of an SVG polyline."""
    return " ".join(f"{x:g},{y:g}" for x, y in zip(xs, ys, strict=True))


def _style(index: int) -> str:
    dashes = DASHES[index // COLOURS % len(DASHES)]
    return f"stroke:var(--c{index % COLOURS});stroke-dasharray:{dashes}"


def _ticks(reach: float) -> list[int]:
    """Return round values from 0 to at least ``reach`` (and at least 10), in %."""
    reach = max(10.0, reach)
    step = 5 if reach <= 30 else 10 if reach <= 60 else 20
    end = step * int(-(-reach // step))
    return list(range(0, end + 1, step))


def _scale(share: float, low: float, high: float) -> float:
    return round(float(low + share * (high - low)), 1)
