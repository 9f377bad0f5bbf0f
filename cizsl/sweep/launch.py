"""Trains the runs of a sweep as processes on this machine.

Each run is one ``cizsl train ... --resume`` with its output in ``train.log`` of its run folder. A
process that is killed takes no other with it, and a run of a sweep is the same as one started by
hand. On CPUs they are forks of a server that has imported PyTorch (`cizsl.sweep.fork_server`).
joblib's threads wait for the processes (its own worker processes would give up every run when one
of them is killed).
"""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from joblib import Parallel, cpu_count, delayed

from cizsl.sweep.fork_server import ForkedProcess, ForkServer
from cizsl.sweep.plan import PlannedRun
from repro.signals import StopRequest

STOPPED = 130  # exit code of a run that was asked to stop and has saved its state
GRACE_SECONDS = 60
POLL_SECONDS = 0.5
LOG_BYTES = 64 * 2**10  # the end of a log that is searched for the last message


class TrainingProcess:
    """A run as a process, whose output is appended to ``train.log`` of its folder.

    It has a session of its own: Ctrl-C in the terminal reaches it through :meth:`stop` only.
    ``environment`` is added to the variables of this process. ``server``, if given, has them
    already, and starts the process as long as it runs.
    """

    def __init__(
        self, run: PlannedRun, environment: dict[str, str], server: ForkServer | None = None
    ):
        self.run, self.environment, self.server = run, environment, server
        self.log = run.folder.path / "train.log"
        self.begin = self.log.stat().st_size if self.log.exists() else 0
        self.process: subprocess.Popen | ForkedProcess | None = None
        self.stopping = False

    def start(self) -> None:
        """Start the process. Raises OSError if its folder cannot be written."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as file:
            forked = self.server.fork(self.run.arguments, self.log) if self.server else None
            self.process = forked or subprocess.Popen(
                [sys.executable, "-m", "cizsl", *self.run.arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    def wait(self, seconds: float | None = None) -> int | None:
        """Return the exit code, or None if the process still runs after so many seconds."""
        assert self.process is not None  # :meth:`start` made it
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """Ask the process, if it runs, to save and stop, which takes seconds."""
        self.stopping = True
        if self.process is not None and self.process.returncode is None:
            os.kill(self.process.pid, signal.SIGTERM)

    def __call__(self) -> int:
        """Run to the end and return the exit code: what submitit calls on the node."""
        self.start()
        try:
            code = self.wait()
        except KeyboardInterrupt:
            self.stop()
            raise
        if code == STOPPED:  # SLURM sends SIGTERM to all, then the signal that requeues to us
            time.sleep(GRACE_SECONDS)
        assert code is not None  # the wait has no limit
        return code

    def checkpoint(self):
        """Return what submitit requeues before a time limit or on pre-emption: the same run.

        The process has saved by then. submitit calls this from a signal handler, inside
        :meth:`wait`, whose lock is held.
        """
        from submitit.helpers import DelayedSubmission

        self.stop()
        if self.process is not None:
            with contextlib.suppress(ChildProcessError):  # it has ended, and been waited for
                os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(TrainingProcess(self.run, self.environment))

    def reason(self, code: int) -> str:
        """Return why the process ended with this exit code, in one line; empty for 0."""
        if code == 0:
            return ""
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        lines = self._output() or ["no output"]
        # another process may write to this log, too: a run of a sweep that was killed, itself alive
        last = ([line for line in lines if line.startswith("cizsl: ")] or lines)[-1]
        last = last.removeprefix("cizsl: error: ").removeprefix("cizsl: ")
        return last.removeprefix(f"{self.run.folder.path}: ")

    def _output(self) -> list[str]:
        """Return the last lines that were written since the start."""
        with open(self.log, "rb") as file:
            file.seek(max(self.begin, file.seek(0, os.SEEK_END) - LOG_BYTES))
            lines = file.read().decode(errors="replace").replace("\r", "\n").split("\n")
        return [line.strip() for line in lines if line.strip()]


@dataclass(frozen=True)
class Outcome:
    """How a run ended: ``failure`` says why it is not complete; ``stopped``: it was asked to be."""

    run: PlannedRun
    failure: str = ""
    stopped: bool = False


class LocalLauncher:
    """Trains runs on this machine, ``jobs`` at a time; see :meth:`launch`.

    Cores are divided among them (``OMP_NUM_THREADS`` stands where it is set), and several GPUs are
    taken in turn. ``show`` is told twice a second what is running: progress by name.
    """

    def __init__(self, jobs: int, stop: StopRequest, show: Callable[[dict[str, str]], None]):
        self.jobs, self.stop, self.show = jobs, stop, show
        self._places: queue.SimpleQueue = queue.SimpleQueue()
        self._running: dict[str, str] = {}
        self._started: list[TrainingProcess] = []

    def launch(self, runs: list[PlannedRun]) -> Iterator[Outcome]:
        """Train ``runs`` and yield outcomes as they come.

        After a stop request those that run save and stop, and no other starts.
        """
        device = runs[0].device if runs else None
        places = environments(self.jobs, device)
        for place in places:
            self._places.put(place)
        # CUDA does not survive a fork; without it all places are alike
        on_cpu = device in (None, "cpu") and not gpus(device)
        server = ForkServer(places[0]) if on_cpu else None
        how = {"backend": "threading", "return_as": "generator_unordered"}
        try:
            train = delayed(self._train)
            outcomes = Parallel(n_jobs=self.jobs, **how)(train(run, server) for run in runs)
            yield from cast(Iterator[Outcome], outcomes)  # joblib does not say what it returns
        finally:  # a second Ctrl-C does not wait for them
            if server:
                server.close()
            for training in self._started:
                training.stop()

    def _train(self, run: PlannedRun, server: ForkServer | None) -> Outcome:
        if self.stop.requested:
            return Outcome(run, "not started", stopped=True)
        place = self._places.get()
        try:
            training = TrainingProcess(run, place, server)
            training.start()
            self._started.append(training)
            code = self._wait(training)
        except OSError as error:
            return Outcome(run, f"{run.folder.path}: cannot be written: {error.strerror}")
        finally:
            self._places.put(place)
        return Outcome(run, training.reason(code), bool(code) and training.stopping)

    def _wait(self, training: TrainingProcess) -> int:
        """Return the exit code; until then pass on stop requests and show the progress."""
        run, code = training.run, None
        while code is None:
            if self.stop.requested and not training.stopping:
                training.stop()
            code = training.wait(POLL_SECONDS)
            self._running[run.name] = run.progress
            self.show(dict(sorted(self._running.items())))
        self._running.pop(run.name, None)
        self.show(dict(sorted(self._running.items())))
        return code


def environments(jobs: int, device: str | None) -> list[dict[str, str]]:
    """Return the variables of each of ``jobs`` places: threads, and of several GPUs one each."""
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, cpu_count() // jobs))
    names = gpus(device)
    return [
        {"OMP_NUM_THREADS": threads}
        | ({"CUDA_VISIBLE_DEVICES": names[place % len(names)]} if len(names) > 1 else {})
        for place in range(jobs)
    ]


def gpus(device: str | None) -> list[str]:
    """Return the GPUs that ``--device`` leaves open, as ``CUDA_VISIBLE_DEVICES`` names them."""
    if device not in (None, "cuda"):
        return []
    from torch import cuda  # after the answer that needs no torch, which takes seconds to load

    count = cuda.device_count()
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    return names.split(",")[:count] if names else [str(index) for index in range(count)]
