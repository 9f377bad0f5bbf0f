"""Charts: where points fall, and axes that hold what they show."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.pages.charts import BOTTOM, LEFT, RIGHT, TOP, axis, line_chart

NUMBERS = st.floats(-1e6, 1e6).map(lambda x: x if abs(x) > 1e-250 else 0.0)


@given(NUMBERS, NUMBERS)
def test_an_axis_holds_its_range_in_few_round_steps(a, b):
    low, high = min(a, b), max(a, b)
    values = axis(low, high).values
    step = values[1] - values[0]
    slack = 1e-6 * max(abs(low), abs(high), step)
    assert values[0] <= low + slack and values[-1] >= high - slack
    assert 2 <= len(values) <= 9
    mantissa = step / 10.0 ** math.floor(math.log10(step) + 1e-3)
    assert any(math.isclose(mantissa, k, rel_tol=1e-3) for k in (1, 2, 5, 10))


def test_points_fall_where_they_belong():
    chart = line_chart("h", "x", "y", {"a": ([0, 5, 10], [0, 100, 50])})
    (line,) = chart.lines
    assert line.points.split() == [
        f"{LEFT},{BOTTOM}",
        f"{(LEFT + RIGHT) / 2:g},{TOP}",
        f"{RIGHT},{(TOP + BOTTOM) / 2:g}",
    ]
    assert chart.x_ticks[0] == (LEFT, "0") and chart.y_ticks[-1] == (TOP, "100")


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf, math.nan]])
def test_without_finite_points_there_is_no_chart(values):
    assert line_chart("h", "x", "y", {"a": (range(len(values)), values)}) is None


def test_values_that_are_not_finite_are_left_out():
    chart = line_chart("h", "x", "y", {"a": ([0, 1, 2], [1, math.nan, 3]), "b": ([0], [math.inf])})
    assert [text for _, text in chart.legend] == ["a: 3"]
    assert len(chart.lines[0].points.split()) == 2
