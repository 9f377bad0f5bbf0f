"""``python -m cizsl.cli.forks``: imports what a training needs, then forks one for each request.

A sweep starts it (`cizsl.sweep.fork_server`). A request is a line of JSON on stdin: the arguments
of ``cizsl`` and the log to append to. The answer, on stdout, is the id of the process.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import cizsl
from cizsl.cli.parser import main

NEEDED = (
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "torch._dynamo",  # the first optimiser imports it
    "cizsl.report.tables",
    "cizsl.score.training",
    "cizsl.training.run",
)


def serve() -> int | None:
    """Serve until the sweep has gone; in a fork, run the command and return its exit code."""
    for name in NEEDED:
        importlib.import_module(name)
    gc.freeze()  # collections in the forks would look at all of this, and copy it
    for arguments in _forks():
        sys.argv = [str(Path(cizsl.__file__).with_name("__main__.py")), *arguments]
        return main()


def _forks() -> Iterator[list[str]]:
    """Fork for each line of stdin, and yield its arguments in the fork."""
    for line in sys.stdin:
        request = json.loads(line)
        if (child := _orphan()) == 0:
            _begin(request["log"], request["arguments"])
            yield request["arguments"]
        print(child, flush=True)


def _orphan() -> int:
    """Fork a process without a parent: return 0 in it, and its id here."""
    read, write = os.pipe()
    if (parent := os.fork()) == 0:
        if (child := os.fork()) != 0:
            os.write(write, str(child).encode())
            os._exit(0)
    else:
        os.waitpid(parent, 0)
    child = int(os.read(read, 20)) if parent else 0
    os.close(read)
    os.close(write)
    return child


def _begin(log: str, arguments: list[str]) -> None:
    """Give this process a session, input, output and name of its own."""
    os.setsid()
    appended = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    nothing, file = os.open(os.devnull, os.O_RDONLY), os.open(log, appended)
    for source, target in ((nothing, 0), (file, 1), (file, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(file)
    with contextlib.suppress(OSError):
        _rename([sys.executable, "-m", "cizsl", *arguments])


def _rename(words: list[str]) -> None:
    """Show these words as the command of this process, by writing over the one it has."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    begin, end = int(fields[45]), int(fields[46])  # arg_start and arg_end of proc(5)
    text = "\0".join(words).encode()[: end - begin - 1]
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, text, len(text))


if __name__ == "__main__":
    sys.exit(serve())
