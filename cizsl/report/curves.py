"""Seen-unseen curves of many runs in one small SVG, to stand inside an HTML page."""

from collections.abc import Iterable
from html import escape
from statistics import fmean

import numpy as np

from cizsl.report.grouping import Row, Section
from cizsl.report.runs import Run
from repro.errors import InputError

WIDTH, HEIGHT = 366, 290
LEFT, RIGHT, TOP, BOTTOM = 40, 352, 8, 252  # the corners of the plot
COLOURS = 6  # --c0 to --c5 in the page's style
DASHES = ("none", "6 3", "2 3")  # the seventh row has the first colour again, dashed
CURVES = {"reference": "best_on_test", "strict": "final"}  # strict: the one look


def chart(
    cell: tuple[str, str], section: Section, named: Iterable[tuple[str, Row]], points: int
) -> str:
    """A figure with one line for each run of the cell, and a legend with the mean areas.

    Args: ``named``, the section's rows with their names; ``points``, at most, of each line.
    Returns nothing where no run of the cell has kept its curve.
    """
    lines, legend, reach = [], [], 10.0
    for index, (name, row) in enumerate(named):
        loaded = [(run, load(run)) for run in row.cells.get(cell, ())]
        drawn = [(run, curve) for run, curve in loaded if curve is not None]
        style = f"stroke:var(--c{index % COLOURS});"
        style += f"stroke-dasharray:{DASHES[index // COLOURS % len(DASHES)]}"
        for run, (seen, unseen) in drawn:
            reach = max(reach, 100 * unseen.max())
            title = f"{name}, seed {run.summary.seed}, AUSUC {100 * run.scores.ausuc:.2f} %"
            lines.append((style, title, *thin(seen, unseen, points)))
        if drawn:
            area = 100 * fmean(run.scores.ausuc for run, _ in drawn)
            legend.append(f"<li>{_swatch(style)}{name} {escape(row.method)}: {area:.2f} %</li>")
    if not lines:
        return ""
    heading = escape(f"{' '.join(cell)}{', toy data' if section.kind == 'toy' else ''}")
    return (
        f"<figure><figcaption>{heading}</figcaption>{_svg(lines, reach, heading)}"
        f'<ul class="legend">{"".join(legend)}</ul></figure>'
    )


def load(run: Run) -> np.ndarray | None:
    """Seen and unseen accuracy (2, P), fractions, of the evaluation that the tables report; None
    where the run has not kept it. Raises :class:`InputError` for a broken file."""
    file = run.folder / "curves.npz"
    if not file.exists():
        return None
    try:
        with np.load(file, allow_pickle=False) as arrays:
            curve = arrays[CURVES[run.summary.protocol]].astype(float)
    except Exception as error:  # a damaged archive can fail anywhere in zipfile and numpy
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        raise InputError(f"{file}: cannot be read: {reason}") from None
    if curve.ndim != 2 or len(curve) != 2 or not curve.size or not np.isfinite(curve).all():
        raise InputError(f"{file}: expected a curve of shape (2, P), got {curve.shape}")
    return curve


def thin(seen: np.ndarray, unseen: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    """At most ``points`` of the curve, evenly along its length, both ends among them."""
    length = np.concatenate([[0], np.cumsum(np.abs(np.diff(seen)) + np.abs(np.diff(unseen)))])
    wanted = np.searchsorted(length, np.linspace(0, length[-1], points))
    kept = np.unique(np.concatenate([[0], wanted, [len(length) - 1]]))
    return seen[kept], unseen[kept]


def _svg(lines: list[tuple], reach: float, heading: str) -> str:
    step = 5 if reach <= 30 else 10 if reach <= 60 else 20
    end = step * -(-reach // step)
    parts = []
    for value in np.arange(0, end + 1, step):
        x = _scale(value / end, LEFT, RIGHT)
        parts.append(f'<path class="grid" d="M{x} {TOP}V{BOTTOM}"/>')
        parts.append(f'<text x="{x}" y="{BOTTOM + 15}" text-anchor="middle">{value:.0f}</text>')
    for value in range(0, 101, 20):
        y = _scale(value / 100, BOTTOM, TOP)
        parts.append(f'<path class="grid" d="M{LEFT} {y}H{RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value}</text>')
    for style, title, seen, unseen in lines:
        xs = (_scale(100 * u / end, LEFT, RIGHT) for u in unseen)
        ys = (_scale(s, BOTTOM, TOP) for s in seen)
        where = " ".join(f"{x},{y}" for x, y in zip(xs, ys, strict=True))
        parts.append(
            f'<polyline style="{style}" points="{where}"><title>{escape(title)}</title></polyline>'
        )
    middle = (LEFT + RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">unseen classes, %</text>'
        f'<text transform="translate(11 {(TOP + BOTTOM) / 2}) rotate(-90)" '
        'text-anchor="middle">seen classes, %</text>'
    )
    name = f"accuracy on seen over accuracy on unseen classes, {heading}"
    head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">'
    return f"{head}{''.join(parts)}</svg>"


def _scale(share: float, low: float, high: float) -> float:
    return round(float(low + share * (high - low)), 1)


def _swatch(style: str) -> str:
    line = f'<polyline style="{style}" points="0,5 28,5"/>'
    return f'<svg class="swatch" viewBox="0 0 28 10" aria-hidden="true">{line}</svg>'
