"""Processes that are copies of this one, have loaded PyTorch already, and start in milliseconds.

They are real processes, with signals, exit codes and output of their own. What starts from an empty
interpreter is tested elsewhere: by ``torchrun``, by the sweeps and by the scripts.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path


class Forked:
    """A process that calls ``work()`` and ends with the exit code that it returns.

    It has what tests need of :class:`subprocess.Popen`. Its output goes to ``folder/NAME.log``.
    """

    def __init__(
        self,
        work: Callable[[], int | None],
        folder: Path,
        name: str = "process",
        environment: dict[str, str] | None = None,
    ):
        self.log = folder / f"{name}.log"
        self._process = get_context("fork").Process(
            target=_work, args=(work, self.log, environment or {})
        )
        self._process.start()
        self.pid: int = self._process.pid or 0  # which a started process has

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    @property
    def stderr(self):
        """The output so far, as an open file."""
        return open(self.log)

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            self.kill()
            raise subprocess.TimeoutExpired(self.log.stem, timeout or 0)
        return self._process.exitcode

    def said(self, timeout: float) -> str:
        """Wait for the end and return all that the process wrote."""
        self.wait(timeout)
        return self.log.read_text()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def ranks(work: Callable[[], int | None], folder: Path, count: int = 2) -> list[Forked]:
    """Start ``work()`` in ``count`` ranks with the variables that ``torchrun`` gives to each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    common |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    own = ({"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count))
    return [
        Forked(work, folder, f"rank{rank}", common | variables)
        for rank, variables in enumerate(own)
    ]


def _work(work: Callable[[], int | None], log: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(target, descriptor)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", 1, closefd=False) for number in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(work())
