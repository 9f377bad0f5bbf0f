"""Coordinate ascent against the search of all combinations."""

from itertools import product

from cizsl.closed_form.search import every, one_at_a_time

VALUES = {"a": (0, 1, 2, 3), "b": (0, 1, 2), "c": (0, 5)}
POINTS = [dict(zip(VALUES, values, strict=True)) for values in product(*VALUES.values())]


def moves():
    return [
        lambda point, name=name, values=values: [{**point, name: value} for value in values]
        for name, values in VALUES.items()
    ]


def best(tried):
    return max(tried, key=lambda one: one[1])


def separable(point):
    return -((point["a"] - 2) ** 2) - abs(point["b"] - 1) + 0.1 * point["c"]


def test_of_a_separable_score_it_finds_the_maximum_with_fewer_evaluations():
    tried = one_at_a_time({"a": 0, "b": 0, "c": 0}, moves(), separable)
    assert best(tried) == best(every(POINTS, separable)) == ({"a": 2, "b": 1, "c": 5}, 0.5)
    assert len(tried) <= len(POINTS) / 2
    points = [tuple(point.values()) for point, _ in tried]
    assert len(set(points)) == len(points)  # no point twice


def test_no_change_of_one_setting_improves_the_point_found():
    def score(point):  # with products of settings, and several local maxima
        return (7 * point["a"] + 3 * point["b"] * point["c"] + 5 * point["a"] * point["b"]) % 17

    for start in POINTS:
        found, value = best(one_at_a_time(start, moves(), score))
        around = [score(point) for move in moves() for point in move(found)]
        assert max(around) == value == score(found)


def test_of_equal_points_the_first_stays():
    start = {"a": 1, "b": 2, "c": 5}
    tried = one_at_a_time(start, moves(), lambda point: 1.0)
    assert best(tried) == (start, 1.0) and len(tried) == 1 + 3 + 2 + 1
