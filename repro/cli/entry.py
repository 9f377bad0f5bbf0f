"""Entry point of both command lines: bad input becomes one line and exit code 2."""

import argparse
import errno
import io
import os
import sys
from collections.abc import Callable

from repro import locate
from repro.cli.parser import Parser
from repro.errors import InputError
from repro.signals import Interrupted
from repro.wording import did_you_mean, printable, shown

MACHINE = (  # errors that a full disk, a limit or a permission causes, wherever they come up
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENAMETOOLONG,
)


def run(parser: Parser, arguments: list[str] | None = None) -> int:
    """Parse, call the chosen command's ``run(options)`` and return its exit code.

    0: done. 2: bad input, a full disk or too little memory, with one line on stderr for each
    mistake. 130: interrupted, with the state saved. Any other exception is a bug and shows its
    traceback.
    """
    for stream in (sys.stdout, sys.stderr):  # names of files may not be UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        options = _parsed(parser, sys.argv[1:] if arguments is None else arguments)
        command: Callable[[argparse.Namespace], int | None] = options.run
        return command(options) or 0
    except InputError as error:
        return _refused(parser, getattr(error, "problems", [str(error)]))
    except Interrupted as stop:
        print(f"{parser.prog}: stopped: {stop}", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, MemoryError, RuntimeError) as error:
        if (reason := _of_the_machine(error)) is None:
            raise
        return _refused(parser, [reason])


def _parsed(parser: Parser, arguments: list[str]) -> argparse.Namespace:
    """Return the options; ``key=value`` may stand anywhere, also after an option."""
    options, rest = parser.parse_known_args(arguments)
    command, overrides = options.command_parser, getattr(options, "overrides", None)
    for text in rest:
        if text.startswith("-"):
            command.error(_unknown_option(text, arguments, command, parser.prog))
        if "=" not in text or overrides is None:
            command.error(f"unexpected argument {shown(text)}")
    if rest:
        assert overrides is not None  # else the loop has refused them
        options.overrides = [*overrides, *rest]
    return options


def _unknown_option(text: str, arguments: list[str], command: Parser, half: str) -> str:
    """Return the message on an option that does not exist, with the nearest valid words."""
    option, equals, value = text.partition("=")
    if not equals and text in arguments:
        after = arguments[arguments.index(text) + 1 :]
        value = after[0] if after and not after[0].startswith("-") else "VALUE"
    unknown = f"unknown option {shown(option)}"
    if nearest := did_you_mean(option, command.options()):
        return unknown + nearest
    name = option.lstrip("-").replace("-", "_")
    known = locate.keys(half)
    keys = [name] if name in known else [key for key in known if key.split(".")[-1] == name]
    if not keys:
        return unknown
    return f"{unknown}; settings have no dashes: write {' or '.join(f'{k}={value}' for k in keys)}"


def _refused(parser: Parser, problems: list[str]) -> int:
    for problem in problems:
        print(f"{parser.prog}: error: {printable(problem)}", file=sys.stderr)
    return 2


def _of_the_machine(error: BaseException) -> str | None:
    """Return one line on an error of the machine or its files, and None for a bug of ours."""
    if isinstance(error, OSError):
        if error.errno not in MACHINE:
            return None
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    signs = ("can't allocate memory", "out of memory")
    if isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in signs):
        return "not enough memory for these settings"
    return None
