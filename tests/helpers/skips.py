"""A limit on skipped tests: ``pytest --most-skips gpu=40 --most-skips shared=30``.

A skipped test proves nothing, so continuous integration fails where more are skipped than expected.
Skips are counted by what the test misses (:data:`REASONS`); a reason without a limit allows none.
Without the option nothing is limited. pytest's exit code becomes 1 where it would have been 0.
"""

from collections import Counter

import pytest

REASONS = {  # reason: words of the message, any of which tells it
    "gpu": ("needs a CUDA device", "a real GPU is here"),
    "shared": ("development files",),
    "extras": ("not installed", "could not import", "pip install"),
}


def pytest_addoption(parser):
    parser.addoption(
        "--most-skips",
        metavar="REASON=N",
        action="append",
        default=[],
        help=f"fail where more than N tests are skipped for this reason: {', '.join(REASONS)}; "
        "a reason not given allows none",
    )


def pytest_sessionfinish(session):
    if _too_many(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    for line in _too_many(config):
        terminalreporter.write_line(line, red=True)


def _too_many(config) -> list[str]:
    """One line for each reason with more skips than its limit; empty on the workers of xdist."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not config.option.most_skips or reporter is None or hasattr(config, "workerinput"):
        return []
    limits = limits_by_reason(config.option.most_skips)
    found = Counter(_reason(report) for report in reporter.stats.get("skipped", []))
    return [
        f"{number} tests skipped for the reason {name!r}: expected at most {limits.get(name, 0)}"
        for name, number in found.items()
        if number > limits.get(name, 0)
    ]


def limits_by_reason(options: list[str]) -> dict[str, int]:
    """Return the limits that ``["gpu=3", ...]`` states; raises UsageError for any other form."""
    limits = {}
    for option in options:
        name, _, number = option.partition("=")
        if name not in REASONS or not number.isdigit():
            raise pytest.UsageError(
                f"--most-skips {option}: expected REASON=N, REASON one of {', '.join(REASONS)}"
            )
        limits[name] = int(number)
    return limits


def _reason(report) -> str:
    """What the skipped test misses, by its message; ``other`` where no reason fits."""
    message = str(report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr)
    found = (name for name, words in REASONS.items() if any(word in message for word in words))
    return next(found, "other")
