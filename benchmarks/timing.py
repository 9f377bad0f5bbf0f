"""Times of functions, and what the machine can do."""

import statistics
import time
from collections.abc import Callable

import torch


def in_turn(functions: dict, repeat: int) -> dict[str, float]:
    """Median seconds of each function, all run in turn ``repeat`` times after a warm-up."""
    times = {name: [] for name in functions}
    for round in range(repeat + 1):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            finish()
            if round:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def finish() -> None:
    """Wait for the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def matrix_rate(m: int, k: int, n: int, device: torch.device) -> float:
    """FLOP/s of one product (m, k) (k, n), the best of five."""
    a, b = torch.randn(m, k, device=device), torch.randn(k, n, device=device)
    return 2.0 * m * k * n / best_of_five(lambda: torch.mm(a, b))


def memory_rate(device: torch.device) -> float:
    """Bytes/s of a copy of 256 MB, read and written, the best of five."""
    source = torch.ones(2**26, device=device)
    target = torch.empty_like(source)
    return 2 * 4 * 2**26 / best_of_five(lambda: target.copy_(source))


def best_of_five(function: Callable[[], object]) -> float:
    """The least seconds that ``function`` takes on the device."""
    best = float("inf")
    for _ in range(5):
        finish()
        started = time.perf_counter()
        function()
        finish()
        best = min(best, time.perf_counter() - started)
    return best
