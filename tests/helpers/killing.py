"""SIGKILL at random moments of a run that goes on where it stopped."""

import os
import random
import shutil
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path


def kill_at_random_moments(
    work: Callable[[], object], folder: Path, seconds: float, kills: int = 5
) -> None:
    """Run ``work()`` in child processes that are killed at random moments of it.

    It returns after ``kills`` kills, or when the run has ended after two at least; a run that ends
    before is begun anew, with earlier kills. So no speed of the machine decides what is tested.

    Args:
        work: goes on in ``folder`` with what an earlier call left, and writes results.json last.
        folder: the folder of the run.
        seconds: how long a whole run takes on this machine; a kill comes within half of that.
        kills: how often to kill.
    """
    moments, killed = random.Random(0), 0
    while killed < kills:
        child = get_context("fork").Process(target=work)
        child.start()
        child.join(moments.uniform(0, seconds / 2))
        if child.exitcode is None:
            os.kill(child.pid, signal.SIGKILL)
            killed += 1
        child.join()
        assert child.exitcode in (0, -signal.SIGKILL)
        if (folder / "results.json").exists():
            if killed >= 2:
                return
            shutil.rmtree(folder)
            killed, seconds = 0, seconds / 2
