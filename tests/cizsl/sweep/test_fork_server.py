"""The server that forks the runs of a sweep, where it does not serve.

That a fork trains what a single training does, and that the sweep outlives a server that is killed,
is tested with the sweeps.
"""

import os
import signal
import subprocess
import sys

import pytest

from cizsl.sweep import fork_server
from cizsl.sweep.fork_server import ForkedProcess, ForkServer
from tests.helpers.waiting import ENOUGH


@pytest.fixture
def log(tmp_path):
    return tmp_path / "train.log"


def test_a_server_that_ends_at_once_forks_nothing(log, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    server = ForkServer({})
    assert server.fork(["train"], log) is None and server.fork(["train"], log) is None
    server.close()
    assert not log.exists()


def test_other_systems_have_no_server(log, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(subprocess, "Popen", None)  # nothing is started
    server = ForkServer({})
    assert server.fork(["train"], log) is None
    server.close()


def test_nothing_is_forked_after_the_end(log, monkeypatch):
    """A second Ctrl-C may come while a thread waits for the server."""
    server = ForkServer({})
    server.close()
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: None)
    with pytest.raises(InterruptedError):
        server.fork(["train"], log)
    fork_server._adopt_orphans(False)


def test_exit_codes_and_limits_of_waiting_are_those_of_popen():
    for arguments, code in ((["false"], 1), (["sh", "-c", "kill -9 $$"], -9)):
        process = started(arguments)
        assert process.wait(ENOUGH) == process.wait() == process.returncode == code
    sleeping = started(["sleep", str(ENOUGH)])
    with pytest.raises(subprocess.TimeoutExpired):
        sleeping.wait(0.01)
    os.kill(sleeping.pid, signal.SIGKILL)
    assert sleeping.wait() == -9


def started(arguments):
    return ForkedProcess(os.spawnvp(os.P_NOWAIT, arguments[0], arguments))
