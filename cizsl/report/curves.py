"""Seen-unseen curves of many runs in one chart for each cell."""

from statistics import fmean

import numpy as np

from cizsl.report.grouping import Cell, Section
from cizsl.report.labels import method
from cizsl.report.runs import Run
from cizsl.training.records import read_curve
from repro.pages.charts import Axis, Chart, axis, line_style, polyline, ticks

CURVES = {"reference": "best_on_test", "strict": "final"}  # strict evaluates on test once, finally
SEEN = Axis((0, 20, 40, 60, 80, 100))


def chart(cell: Cell, section: Section, points: int) -> Chart | None:
    """Return a chart with a line for each run of the cell, and a legend with the mean areas.

    Each line has at most ``points`` points. None where no run of the cell has kept its curve.
    Raises :class:`InputError` for a damaged curve.
    """
    drawn, legend = [], []
    for index, (name, row) in enumerate(section.named_rows):
        loaded = [(run, load(run)) for run in row.cells.get(cell, ())]
        kept = [(run, curve) for run, curve in loaded if curve is not None]
        drawn += [(line_style(index), _title(name, run), curve) for run, curve in kept]
        if kept:
            area = 100 * fmean(run.scores.ausuc for run, _ in kept)
            legend.append((line_style(index), f"{name} {method(row)}: {area:.2f} %"))
    if not drawn:
        return None
    unseen = axis(0, max(10, *(100 * curve[1].max() for *_, curve in drawn)))
    lines = []
    for style, title, curve in drawn:
        ys, xs = (100 * values for values in thin(curve[0], curve[1], points))
        lines.append(polyline(style, title, xs, ys, unseen, SEEN))
    return Chart(
        f"{' '.join(cell)}{', toy data' if section.kind == 'toy' else ''}",
        "accuracy on unseen classes, %",
        "accuracy on seen classes, %",
        tuple(lines),
        tuple(legend),
        **ticks(unseen, SEEN),
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


def _title(name: str, run: Run) -> str:
    return f"{name}, seed {run.summary.seed}, AUSUC {100 * run.scores.ausuc:.2f} %"
