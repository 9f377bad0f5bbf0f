"""The resumable training loop that both trainers share.

    for step in loop:
        ...                     # one training step

The loop counts steps and seconds, shows a progress bar, and saves at intervals and at the end. On a
stop request it saves after the current step and ends; a loop over the restored progress continues
with the next step.
"""

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from repro.cli.progress import Bar
from repro.distributed import SINGLE_PROCESS, DistributedContext
from repro.signals import Interrupted, StopRequest


class Progress(Protocol):
    """The progress of a training: steps done, and seconds so far."""

    step: int
    seconds: float


class TrainingLoop:
    """Iterator over the steps that are left, from ``progress.step`` to ``total``.

    Inside the body ``progress.step`` already counts the current step.

    Args:
        progress: steps and seconds so far, which the loop advances.
        total: steps of the whole training.
        save: writes a checkpoint.
        stop: a request to end early.
        name: of the progress bar.
        resume: tells the user how to continue, after a stop request.
        save_seconds: between checkpoints.
        stride: steps of one iteration; checkpoints and the bar count whole iterations.
        whole: whether to stop between iterations only.
        ranks: the processes, which stop together.

    Raises :class:`Interrupted` after a stop request, with everything saved.
    """

    def __init__(
        self,
        progress: Progress,
        total: int,
        save: Callable[[], None],
        stop: StopRequest,
        *,
        name: str,
        resume: str,
        save_seconds: float,
        stride: int = 1,
        whole: bool = False,
        ranks: DistributedContext = SINGLE_PROCESS,
    ):
        self.progress, self.total, self.save, self.stop = progress, total, save, stop
        self.resume, self.save_seconds, self.stride, self.ranks = (
            resume,
            save_seconds,
            stride,
            ranks,
        )
        self.finished, self.whole = False, whole
        self._bar = lambda: Bar(
            name=name,
            hidden=not ranks.leader,
            total=total // stride,
            initial=progress.step // stride,
            unit="it",
        )

    def show(self, numbers: dict[str, str]) -> None:
        """Show ``numbers`` by name behind the progress bar."""
        self.bar.show(numbers)

    def finish(self) -> None:
        """End the loop after the current step."""
        self.finished = True

    def __iter__(self) -> Iterator[int]:
        progress, before, started = self.progress, self.progress.seconds, time.monotonic()
        saved = started
        with self._bar() as self.bar:
            for step in range(progress.step, self.total):
                if self.finished:
                    break
                progress.seconds = before + time.monotonic() - started
                if not (self.whole and step % self.stride):
                    self._stop_if_asked()
                progress.step = step + 1
                yield step
                if progress.step % self.stride == 0:
                    self.bar.update()
                    if time.monotonic() - saved >= self.save_seconds:
                        self.save()
                        saved = time.monotonic()
        progress.seconds = before + time.monotonic() - started
        self.save()
        self.ranks.wait()  # no rank leaves while the last gradients are on their way

    def _stop_if_asked(self) -> None:
        if self.ranks.any(self.stop.requested):
            self.save()
            self.ranks.wait()  # torchrun stops all ranks where one has ended
            raise Interrupted(self.resume)
