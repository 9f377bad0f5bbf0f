"""Trainings as processes of their own: here through joblib, on a cluster through submitit.

Each run of a sweep is one ``cizsl train ... --resume`` with its output in ``train.log`` of its run
folder. A process that is killed takes no other with it, and a run of a sweep is the same as one
started by hand. joblib's threads wait for them (its own worker processes would give up every run
when one of them is killed).
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

import torch
from joblib import Parallel, cpu_count, delayed

from repro.run import RunFolder
from repro.signals import StopRequest

STOPPED = 130  # exit code of a run that was asked to stop and has saved its state
GRACE_SECONDS = 60


@dataclass(frozen=True)
class Planned:
    """One run: ``cizsl train <file> <overrides>`` in ``folder``, whose settings those are."""

    file: str
    overrides: tuple[str, ...]
    folder: RunFolder
    device: str | None = None

    @property
    def name(self) -> str:
        return "/".join(self.folder.path.parts[-2:])

    @property
    def arguments(self) -> list[str]:
        """Those of ``cizsl`` that start the run or go on with it."""
        where = ["--out", str(self.folder.path), "--resume"]
        device = ["--device", self.device] if self.device else []
        return ["train", self.file, *self.overrides, *where, *device]

    @property
    def state(self) -> str:
        """``complete``, ``half done`` or ``new``."""
        if self.folder.complete:
            return "complete"
        return "half done" if self.folder.started else "new"

    @property
    def progress(self) -> str:
        """How far the run is, by its last evaluation."""
        records = self.folder.read_log("metrics")
        if not records:
            return "begins"
        last, total = records[-1], self.folder.settings.optimiser.iterations
        weight = f" weight {last['weight']}" if "weight" in last else ""
        return f"{last['phase']}{weight} {last['iteration'] + 1}/{total}"


class Training:
    """The run as a process, its output appended to ``train.log`` of its folder.

    It has a session of its own: Ctrl-C in the terminal reaches it through :meth:`stop` only.
    ``environment`` is added to the variables of this process.
    """

    def __init__(self, run: Planned, environment: dict[str, str]):
        self.run, self.environment = run, environment
        self.log = run.folder.path / "train.log"
        self.begin = self.log.stat().st_size if self.log.exists() else 0
        self.process, self.stopping = None, False

    def start(self) -> None:
        """Start the process. Raises OSError if its folder cannot be written."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cizsl", *self.run.arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    def wait(self, seconds: float | None = None) -> int | None:
        """The exit code, or None if it still runs after so many seconds."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """Ask it to save and stop, if it runs; it does within seconds."""
        self.stopping = True
        if self.process is not None and self.process.returncode is None:
            os.kill(self.process.pid, signal.SIGTERM)

    def __call__(self) -> int:
        """Run to the end: what submitit calls on the node. Returns the exit code."""
        self.start()
        try:
            code = self.wait()
        except KeyboardInterrupt:
            self.stop()
            raise
        if code == STOPPED:  # SLURM sends SIGTERM to all, then the signal that requeues to us
            time.sleep(GRACE_SECONDS)
        return code

    def checkpoint(self):
        """What submitit requeues before a time limit or on pre-emption: the same, once the process
        has saved. It is called from a signal handler, inside :meth:`wait`, whose lock is held."""
        from submitit.helpers import DelayedSubmission

        self.stop()
        if self.process is not None:
            with contextlib.suppress(ChildProcessError):  # it has ended, and been waited for
                os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(Training(self.run, self.environment))

    def reason(self, code: int) -> str:
        """Why it ended with this exit code, in one line, the last that it printed; empty for 0."""
        if code == 0:
            return ""
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        with open(self.log, "rb") as file:
            file.seek(self.begin)
            lines = file.read().decode(errors="replace").replace("\r", "\n").split("\n")
        lines = [line.strip() for line in lines if line.strip()] or ["no output"]
        # another process may write to this log, too: a run of a sweep that was killed, itself alive
        last = ([line for line in lines if line.startswith("cizsl: ")] or lines)[-1]
        last = last.removeprefix("cizsl: error: ").removeprefix("cizsl: ")
        return last.removeprefix(f"{self.run.folder.path}: ")


@dataclass(frozen=True)
class Outcome:
    """How a run ended: ``failure`` says why it is not complete; ``stopped``: it was asked to be."""

    run: Planned
    failure: str = ""
    stopped: bool = False


def here(
    runs: list[Planned], stop: StopRequest, show: Callable[[str], None], *, jobs: int
) -> Iterator[Outcome]:
    """Train ``jobs`` runs at a time on this machine and yield outcomes as they come.

    Cores are divided among them (``OMP_NUM_THREADS`` stands where it is set), and several GPUs are
    taken in turn. ``show`` is told what is running, twice a second. After a stop request that
    saves and stops, and nothing else starts.
    """
    places: queue.SimpleQueue = queue.SimpleQueue()
    for place in environments(jobs, runs[0].device if runs else None):
        places.put(place)
    running: dict[str, str] = {}
    started: list[Training] = []

    def show_running() -> None:
        show("; ".join(f"{name} {text}" for name, text in sorted(running.items())))

    def one(run: Planned) -> Outcome:
        if stop.requested:
            return Outcome(run, "not started", stopped=True)
        place = places.get()
        try:
            training = Training(run, place)
            training.start()
            started.append(training)
            while (code := training.wait(0.5)) is None:
                if stop.requested and not training.stopping:
                    training.stop()
                running[run.name] = run.progress
                show_running()
            running.pop(run.name, None)
            show_running()
        except OSError as error:
            return Outcome(run, f"{run.folder.path}: cannot be written: {error.strerror}")
        finally:
            places.put(place)
        return Outcome(run, training.reason(code), bool(code) and training.stopping)

    parallel = Parallel(n_jobs=jobs, backend="threading", return_as="generator_unordered")
    try:
        yield from parallel(delayed(one)(run) for run in runs)
    finally:  # a second Ctrl-C does not wait for them
        for training in started:
            training.stop()


def environments(jobs: int, device: str | None) -> list[dict[str, str]]:
    """The variables of each of ``jobs`` places: threads, and one GPU where there are several."""
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, cpu_count() // jobs))
    names = gpus(device)
    return [
        {"OMP_NUM_THREADS": threads}
        | ({"CUDA_VISIBLE_DEVICES": names[place % len(names)]} if len(names) > 1 else {})
        for place in range(jobs)
    ]


def gpus(device: str | None) -> list[str]:
    """Names of the GPUs that ``--device`` leaves open, as ``CUDA_VISIBLE_DEVICES`` has them."""
    if device not in (None, "cuda"):
        return []
    count = torch.cuda.device_count()
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    return names.split(",")[:count] if names else [str(index) for index in range(count)]
