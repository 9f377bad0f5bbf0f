"""Plumbing of the command lines: one place turns bad input into one line and exit code 2."""

import argparse
import hashlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from repro.errors import InputError
from repro.signals import Interrupted

RUNS = Path("runs")
LONGEST = 255  # bytes that a file system takes for a name


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors: the usage text stays behind ``--help``."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def run(parser: argparse.ArgumentParser, arguments: list[str] | None = None) -> int:
    """Parse, call the chosen command's ``run(options)`` and return its exit code.

    0 done; 2 bad input, with one line on stderr; 130 interrupted, state saved. A bug is a
    traceback: it is ours to mend, not the user's.
    """
    options, rest = parser.parse_known_args(arguments)
    if rest:  # key=value may stand anywhere, also after an option
        unknown = [text for text in rest if "=" not in text or text.startswith("-")]
        if unknown or not hasattr(options, "overrides"):
            parser.error(f"unrecognized arguments: {' '.join(unknown or rest)}")
        options.overrides = [*options.overrides, *rest]
    command: Callable[[argparse.Namespace], int | None] = options.run
    try:
        return command(options) or 0
    except InputError as error:
        for problem in getattr(error, "problems", [str(error)]):
            print(f"{parser.prog}: error: {' '.join(problem.split())}", file=sys.stderr)
        return 2
    except Interrupted as stop:
        print(f"{parser.prog}: stopped: {stop}", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def positive(text: str) -> int:
    """A whole number, 1 or more: the ``type`` of an option that counts."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number, 1 or more, got '{text}'")
    return int(text)


def default_folder(config: str, overrides: list[str], seed: int, root: Path = RUNS) -> Path:
    """``<root>/<file name>[<overrides>]/seed<seed>``: another setting is another folder.

    What would be too long for the name of a folder ends in a checksum."""
    others = [text for text in overrides if not text.startswith("seed=")]
    suffix = f"[{','.join(others)}]" if others else ""
    name = re.sub(r"[^\w\[\],.=+-]", "_", Path(config).stem + suffix)
    if len(name.encode()) > LONGEST:
        digest = hashlib.sha256(name.encode()).hexdigest()[:12]
        name = name.encode()[: LONGEST - 13].decode(errors="ignore") + f"-{digest}"
    return root / name / f"seed{seed}"
