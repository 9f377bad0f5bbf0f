"""Whole iterations as one CUDA graph.

At the published sizes the host takes as long to issue an iteration's kernels as the GPU takes to
run them. A captured graph is issued in one call. It reads from and writes to fixed places: batches
are copied into buffers, and terms are overwritten by the next iteration. Random numbers are drawn
outside, so that they are those of an iteration without the graph.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch

from cizsl.batches import Batch
from cizsl.losses import Terms
from repro.wording import one_line

WARM_UP = 3  # iterations before the capture, in which libraries and optimisers allocate


class IterationGraph:
    """Runs ``iteration``, a function of its batches, and replays it once it has been captured.

    The first iterations run as they are: they train like all others. So do all others, after a
    warning, where the capture fails; ``recover`` is then called to drop what it has left.
    """

    def __init__(
        self, iteration: Callable[[Sequence[Batch]], list[Terms]], recover: Callable[[], None]
    ):
        self.iteration, self.recover, self.calls = iteration, recover, 0
        self.works = True
        self.buffers: list[Batch] = []
        self.terms: list[Terms] = []
        self.replay: Callable[[], None] | None = None

    def __call__(self, batches: Sequence[Batch]) -> list[Terms]:
        """Run one iteration on these batches; return the terms of each step, which the next call
        may overwrite."""
        self.calls += 1
        if self.calls <= WARM_UP:
            return aside(lambda: self.iteration(batches))
        if self.replay is None and self.works:
            self._capture(batches)
        if self.replay is None:
            return self.iteration(batches)
        for buffer, batch in zip(self.buffers, batches, strict=True):
            buffer.copy_(batch)
        self.replay()
        return self.terms

    def _capture(self, batches: Sequence[Batch]) -> None:
        self.buffers = [batch.clone() for batch in batches]
        try:
            self.terms, self.replay = capture(lambda: self.iteration(self.buffers))
        except RuntimeError as error:  # PyTorch's, for all that CUDA refuses
            self.works = False
            self.recover()
            reason = one_line(error)[:200]
            print(
                f"warning: no CUDA graph, so that iterations take longer ({reason})",
                file=sys.stderr,
            )


def capture(function: Callable[[], list[Terms]]) -> tuple[list[Terms], Callable[[], None]]:
    """Record what ``function`` does without doing it; return its results' places, and a function
    that does it."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = function()
    return results, graph.replay


def aside(function: Callable[[], Any]) -> Any:
    """Return what ``function`` returns, run on a stream of its own, as PyTorch asks for before a
    capture."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        result = function()
    torch.cuda.current_stream().wait_stream(stream)
    return result
