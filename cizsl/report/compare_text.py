"""What a comparison says, in tables and sentences; the rule is that of
:mod:`cizsl.report.paired_test`."""

from cizsl.report.compare import Block, Comparison
from cizsl.report.paired_test import LEVEL, TRUSTED, Difference, smallest_p
from cizsl.report.tables import HEADINGS, Table

RULE = (
    "A − B in percentage points, over the seeds that both have. The data support a difference "
    "where the 95 % bootstrap interval of the mean excludes 0 and the exact Wilcoxon signed-rank "
    "test gives p < 0.05. No support is no proof that A and B are equal."
)
COLUMNS = ("Metric", "A", "B", "A − B", "95 % interval", "p", "The data support")


def legend(comparison: Comparison) -> list[tuple[str, str, str]]:
    """A and B: the letter, the method, and what was given for it."""
    return list(zip("AB", comparison.blocks[0].methods, comparison.given, strict=True))


def table(block: Block) -> Table:
    """One line for each metric."""
    lines = [
        ("run", (HEADINGS[name], *_numbers(found), _verdict(found)))
        for name, found in block.differences.items()
    ]
    seeds = ", ".join(str(seed) for seed in block.seeds if seed is not None) or "any"
    pairs = f"{len(block.seeds)} pair{'s' if len(block.seeds) > 1 else ''}"
    title = f"{block.title}: {pairs}, seed{'s' if len(block.seeds) > 1 else ''} {seeds}"
    return Table(title, tuple(("", name) for name in COLUMNS), tuple(lines))


def sentences(block: Block) -> list[str]:
    """The verdict of a block, and what to know about it."""
    if smallest_p(len(block.seeds)) >= LEVEL:
        return [_too_few(len(block.seeds)), *_limits(block)]
    found = block.differences
    higher = {"A": [], "B": []}
    for name, one in found.items():
        if one.supported:
            points = f"{HEADINGS[name]} (by {100 * abs(one.mean):.2f} points)"
            higher["A" if one.mean > 0 else "B"].append(points)
    clauses = [f"{name} is higher in {', '.join(told)}" for name, told in higher.items() if told]
    verdict = "The data support no difference in any metric."
    if clauses:
        rest = "" if all(one.supported for one in found.values()) else "; no other difference"
        verdict = f"The data support that {' and that '.join(clauses)}{rest}."
    return [verdict, *_limits(block)]


def caution(comparison: Comparison) -> str:
    """How many tests there were, and how many would come out by chance alone."""
    tests = sum(
        1 for block in comparison.blocks for one in block.differences.values() if one.decidable
    )
    if tests < 2:
        return ""
    return (
        f"{tests} tests at 5 %: if A and B did not differ at all, up to {LEVEL * tests:.1f} of "
        "them would be expected to come out by chance. Name the metric that counts beforehand."
    )


def _limits(block: Block) -> list[str]:
    limits = []
    if block.protocol == "reference":
        limits.append(
            "Both are the best of many looks at the test classes, so they are optimistic."
        )
    if other := block.other_settings():
        besides = "Besides the method, " if len(set(block.methods)) > 1 else ""
        limits.append(f"{besides}A and B differ in: {'; '.join(other)}.")
    return limits


def _too_few(pairs: int) -> str:
    if pairs == 1:
        return "One pair has no interval and no test: it can support no difference."
    trust = " An interval of so few pairs cannot be trusted." if pairs < TRUSTED else ""
    return (
        f"{pairs} pairs can support no difference, whatever they are: the smallest p of the test "
        f"is {smallest_p(pairs):.4g}. It takes six.{trust}"
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
    """In percentage points with a sign; what rounds to nothing is not negative."""
    return f"{round(100 * fraction, 2) + 0.0:+.2f}"


def _verdict(one: Difference) -> str:
    if one.supported:
        return "A is higher" if one.mean > 0 else "B is higher"
    if one.mean == 0 and one.interval == (0, 0):
        return "equal in every pair"
    return "no difference" if one.decidable else "cannot tell"
