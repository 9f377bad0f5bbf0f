"""Starts the runs of a sweep as forks of a server that has imported what a training needs.

The imports take seconds of a core, which each run would spend anew. The server (`cizsl.cli.forks`)
imports and computes nothing else, so its forks begin like an interpreter of their own with the same
variables. A fork becomes a child of the sweep itself, as orphans do below a "subreaper" (Linux,
prctl(2)): the sweep learns its exit code whatever becomes of the server.
"""

import contextlib
import ctypes
import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Lock

SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of <sys/prctl.h>
POLL_SECONDS = 0.02
ROOM = " " * 2000  # in the server's command line, for those of its forks


class ForkedProcess:
    """A fork of the server, a child of this process: what a sweep needs of a ``Popen``."""

    def __init__(self, pid: int):
        self.pid = pid
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, -N for signal N; raise ``subprocess.TimeoutExpired``."""
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
            elif time.monotonic() >= end:
                raise subprocess.TimeoutExpired("cizsl train", timeout or 0)
            else:
                time.sleep(POLL_SECONDS)
        return self.returncode


class ForkServer:
    """The sweep's end of a server, which starts at the first :meth:`fork`.

    ``environment`` is added to the variables of this process. Threads may share a server.
    """

    def __init__(self, environment: dict[str, str]):
        self.environment = environment
        self.closed = False
        self._lock = Lock()
        self._server: subprocess.Popen[bytes] | None = None

    def fork(self, arguments: list[str], log: Path) -> ForkedProcess | None:
        """Start ``cizsl *arguments`` in a session of its own, its output appended to ``log``.

        Returns None where no server runs: it was killed, or this system has none. Raises
        InterruptedError after :meth:`close`.
        """
        request = json.dumps({"arguments": arguments, "log": str(log.absolute())}) + "\n"
        with self._lock, contextlib.suppress(OSError, ValueError):
            if self._server is None:
                self._server = self._started()
            if not self.closed:
                assert self._server.stdin and self._server.stdout  # they are pipes
                self._server.stdin.write(request.encode())
                return ForkedProcess(int(self._server.stdout.readline()))
        if self.closed:
            raise InterruptedError(errno.EINTR, "the sweep has ended")
        return None

    def close(self) -> None:
        """End the server; its forks continue."""
        self.closed = True
        if self._server is not None:
            self._server.kill()
            self._server.communicate()
            _adopt_orphans(False)

    def _started(self) -> subprocess.Popen[bytes]:
        _adopt_orphans(True)
        return subprocess.Popen(
            [sys.executable, "-m", "cizsl.cli.forks", ROOM],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **self.environment},
            start_new_session=True,
        )


def _adopt_orphans(wanted: bool) -> None:
    """Become the parent of processes below this one whose own has ended, or cease to.

    Raises OSError where the system does not have this.
    """
    if sys.platform != "linux":
        raise OSError("only Linux has subreapers")
    if ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, int(wanted), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
