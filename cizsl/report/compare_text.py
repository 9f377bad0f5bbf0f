"""A comparison in tables and sentences, by the rule of :mod:`cizsl.report.paired_test`."""

from cizsl.report.blocks import Block
from cizsl.report.compare import Comparison
from cizsl.report.paired_test import LEVEL, TRUSTED, Difference, smallest_p
from cizsl.report.tables import HEADINGS
from repro.pages.tables import Column, Line, Table

RULES = {
    "seed": (
        "A − B is in percentage points, over the seeds that both have. The data support a "
        "difference where the 95 % bootstrap interval of the mean excludes 0 and the exact "
        "Wilcoxon signed-rank test gives p < 0.05. Where they support none, A and B need not be "
        "equal."
    ),
    "class": (
        "A − B is in percentage points. Both scores are averages over the unseen classes; the "
        "AUSUC of a class is that of its images against all images of seen classes. The data "
        "support a difference where the 95 % bootstrap interval of the mean over classes excludes "
        "0 and the sign-flip test of that mean gives p < 0.05. The seen classes and the runs are "
        "given."
    ),
}
TITLES = {"seed": "A against B, seed by seed", "class": "A against B, class by class"}
COLUMNS = (
    Column("Metric"),
    *(Column(name, kind="number") for name in ("A", "B", "A − B", "95 % interval", "p")),
    Column("The data support"),
)


def legend(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Return the letter, the method, and what was given for each of A and B."""
    return list(zip("AB", comparison.blocks[0].methods, comparison.given, strict=True))


def table(block: Block) -> Table:
    """Return one line for each metric."""
    lines = tuple(
        Line("run", (HEADINGS[name], *_numbers(found), _conclusion(found)))
        for name, found in block.differences.items()
    )
    title = f"{block.title}: {block.title_of_pairs}"
    return Table(title, COLUMNS, lines).without_empty_columns()


def sentences(block: Block) -> list[str]:
    """Return the conclusion of a block, and the limits of what it shows."""
    if smallest_p(block.count) >= LEVEL:
        return [_too_few(block.count), *_limits(block)]
    supported = {name: one for name, one in block.differences.items() if one.supported}
    if not supported:
        return ["The data support no difference in any metric.", *_limits(block)]
    higher = {"A": [], "B": []}
    for name, one in supported.items():
        points = f"{HEADINGS[name]} (by {100 * abs(one.mean):.2f} points)"
        higher["A" if one.mean > 0 else "B"].append(points)
    clauses = [f"{name} is higher in {', '.join(told)}" for name, told in higher.items() if told]
    rest = "" if len(supported) == len(block.differences) else "; no other difference"
    return [f"The data support that {' and that '.join(clauses)}{rest}.", *_limits(block)]


def lead(comparison: Comparison) -> str:
    """Return the conclusion on the first score of every protocol and cell."""
    (_, first, _), (_, second, _) = legend(comparison)
    said = "; ".join(f"{block.title}: {_first_conclusion(block)}" for block in comparison.blocks)
    return f"A ({first}) against B ({second}): {said}."


def caution(comparison: Comparison) -> str:
    """Return a warning of the number of tests, and of how many would succeed by chance alone."""
    tests = sum(
        1 for block in comparison.blocks for one in block.differences.values() if one.decidable
    )
    if tests < 2:
        return ""
    return (
        f"{tests} tests at 5 %: if A and B did not differ at all, up to {LEVEL * tests:.1f} of "
        "them would still be expected to support a difference. Decide before the runs which metric "
        "counts."
    )


def _first_conclusion(block: Block) -> str:
    name = block.first[0].benchmark.scores[0]
    name = name if name in block.differences else next(iter(block.differences))
    one = block.differences[name]
    by = f" by {100 * abs(one.mean):.2f} points" if one.supported else ""
    return f"{_conclusion(one)}{by} in {HEADINGS[name]} ({block.pairs})"


def _limits(block: Block) -> list[str]:
    limits = []
    if block.protocol == "reference":
        limits.append(
            "Both are the best of many evaluations on the test classes, so they are optimistic."
        )
    if other := block.other_settings():
        besides = "Besides the method, " if len(set(block.methods)) > 1 else ""
        limits.append(f"{besides}A and B differ in: {'; '.join(other)}.")
    return limits


def _too_few(pairs: int) -> str:
    if pairs == 1:
        return "One pair of runs gives no interval and no test, so it can support no difference."
    trust = " An interval of so few pairs cannot be trusted." if pairs < TRUSTED else ""
    return (
        f"{pairs} pairs are too few to support any difference: the smallest p of the test is "
        f"{smallest_p(pairs):.4g}. At least six pairs are needed.{trust}"
    )


def _numbers(one: Difference) -> tuple[str, ...]:
    interval, p = "", ""
    if one.interval is not None:
        interval = " to ".join(map(_points, one.interval))
        p = f"{one.p:.4f}"
    return (
        f"{100 * one.first:.2f}",
        f"{100 * one.second:.2f}",
        _points(one.mean),
        interval,
        p,
    )


def _points(fraction: float) -> str:
    """Return percentage points with a sign; zero after rounding has a plus."""
    return f"{round(100 * fraction, 2) + 0.0:+.2f}"


def _conclusion(one: Difference) -> str:
    if one.supported:
        return "A is higher" if one.mean > 0 else "B is higher"
    if one.mean == 0 and one.interval == (0, 0):
        return "equal in every pair"
    return "no difference" if one.decidable else "cannot tell"
