"""Line charts for HTML pages, drawn as SVG by the macro `chart` of
`repro/pages/templates/chart.html`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import NamedTuple, TypedDict

WIDTH, HEIGHT = 366, 290
LEFT, RIGHT, TOP, BOTTOM = 56, 352, 8, 252  # the corners of the plot
COLOURS = 6  # --c0 to --c5 in `style.css`
LARGEST = 1e100  # of what is drawn
DASHES = ("none", "6 3", "2 3")  # the seventh line has the first colour again, dashed


class Polyline(NamedTuple):
    """A line of a chart; ``points`` are "x,y" pairs in the units of the SVG."""

    style: str
    title: str
    points: str


@dataclass(frozen=True)
class Chart:
    """Lines, a legend of (style, text), and the ticks of each axis as (coordinate, text)."""

    heading: str
    x_label: str
    y_label: str
    lines: tuple[Polyline, ...]
    legend: tuple[tuple[str, str], ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    corners: tuple[int, int, int, int] = (LEFT, RIGHT, TOP, BOTTOM)


class Ticks(TypedDict):
    """The ticks of both axes of a :class:`Chart`."""

    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


class Axis(NamedTuple):
    """An axis from the first to the last of its round ``values``."""

    values: tuple[float, ...]

    def share(self, value: float) -> float:
        """Return where ``value`` lies on the axis, from 0 to 1."""
        return (value - self.values[0]) / (self.values[-1] - self.values[0])


def line_style(index: int) -> str:
    """Return colour and dashes of the line with this number."""
    dashes = DASHES[index // COLOURS % len(DASHES)]
    return f"stroke:var(--c{index % COLOURS});stroke-dasharray:{dashes}"


def axis(low: float, high: float, steps: int = 6) -> Axis:
    """Return an axis of at most about ``steps`` round steps that holds ``low`` to ``high``."""
    largest = max(abs(low), abs(high))
    span = max(high - low, 1e-6 * largest) if high > low else largest or 1.0
    exponent = floor(log10(span / steps))
    unit = 10.0**exponent
    step = next(unit * k for k in (1, 2, 5, 10) if span <= steps * unit * k * (1 + 1e-9))
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return Axis(
        tuple(round(k * step, 1 - exponent) for k in range(first, max(last, first + 1) + 1))
    )


def polyline(
    style: str, title: str, xs: Iterable[float], ys: Iterable[float], x_axis: Axis, y_axis: Axis
) -> Polyline:
    """Return the line through the points (x, y)."""
    places = (
        f"{_scaled(x_axis.share(x), LEFT, RIGHT):g},{_scaled(y_axis.share(y), BOTTOM, TOP):g}"
        for x, y in zip(xs, ys, strict=True)
    )
    return Polyline(style, title, " ".join(places))


def ticks(x_axis: Axis, y_axis: Axis) -> Ticks:
    """Return the ``x_ticks`` and ``y_ticks`` of a chart."""
    return {
        "x_ticks": tuple((_scaled(x_axis.share(v), LEFT, RIGHT), f"{v:g}") for v in x_axis.values),
        "y_ticks": tuple((_scaled(y_axis.share(v), BOTTOM, TOP), f"{v:g}") for v in y_axis.values),
    }


def line_chart(
    heading: str,
    x_label: str,
    y_label: str,
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
) -> Chart | None:
    """Return a chart of ``series``, (xs, ys) by name.

    Points that are not finite, or beyond 1e100, are left out. None where no point is left.
    """
    points = {
        name: [(x, y) for x, y in zip(xs, ys, strict=True) if abs(x) + abs(y) < LARGEST]
        for name, (xs, ys) in series.items()
    }
    every = [point for line in points.values() for point in line]
    if not every:
        return None
    x_axis, y_axis = (axis(min(values), max(values)) for values in zip(*every, strict=True))
    drawn = [(line_style(i), name, line) for i, (name, line) in enumerate(points.items()) if line]
    lines = (
        polyline(style, name, *zip(*_thinned(line), strict=True), x_axis=x_axis, y_axis=y_axis)
        for style, name, line in drawn
    )
    legend = tuple((style, f"{name}: {line[-1][1]:.4g}") for style, name, line in drawn)
    return Chart(heading, x_label, y_label, tuple(lines), legend, **ticks(x_axis, y_axis))


def _thinned(line: list, most: int = 400) -> list:
    """Return at most ``most`` points, evenly spaced, both ends among them; one point twice."""
    step = max(1, ceil((len(line) - 1) / (most - 1)))
    return [*line[:-1:step], line[-1]] if len(line) > 1 else line * 2


def _scaled(share: float, low: float, high: float) -> float:
    return round(low + share * (high - low), 1)
