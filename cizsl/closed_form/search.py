"""Search of settings: all combinations, or one setting at a time.

Where a method has many settings, a search of all combinations of their candidates takes too long.
:func:`one_at_a_time` (coordinate ascent) changes one setting, keeps the best value, goes on to the
next setting, and stops after a round without an improvement. It finds a point that no change of a
single setting improves.
"""

from collections.abc import Callable, Sequence
from typing import Any

Point = dict[str, Any]
Tried = list[tuple[Point, float]]
ROUNDS = 5  # at most; two or three are enough as a rule


def every(points: Sequence[Point], score: Callable[[Point], float]) -> Tried:
    """Return all points with their scores, in order."""
    return [(point, score(point)) for point in points]


def one_at_a_time(
    start: Point,
    moves: Sequence[Callable[[Point], list[Point]]],
    score: Callable[[Point], float],
) -> Tried:
    """Return the points tried with their scores, each once, in order.

    Args:
        start: the first point.
        moves: one for each setting: returns a point with every candidate of this setting.
        score: the higher, the better; of equal scores the first one tried wins.
    """
    tried: Tried = [(start, score(start))]

    def scored(point: Point) -> tuple[Point, float]:
        known = [found for found in tried if found[0] == point]
        if not known:
            tried.append((point, score(point)))
        return known[0] if known else tried[-1]

    best = tried[0]
    for _ in range(ROUNDS):
        before = best
        for move in moves:
            found = max((scored(point) for point in move(best[0])), key=lambda one: one[1])
            best = found if found[1] > best[1] else best
        if best == before:
            break
    return tried
