"""Command-line parsers: short errors that name the nearest valid word, and one style of help."""

import argparse
import math
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from repro.errors import InputError
from repro.files.paths import expanded
from repro.wording import did_you_mean, shown

MOST = 10_000_000  # of anything that is counted on a command line


class Help(argparse.HelpFormatter):
    """Help texts that end in the default value, where there is one."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=28, width=96)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        none = action.default is None or action.default is False  # 0 is a default to show
        silent = none or action.default in (argparse.SUPPRESS, []) or not action.option_strings
        return text if silent or "default" in text else f"{text} (default: %(default)s)"


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors, did-you-mean, and an example at the end of each help.

    Args:
        example: a command line that works as it stands, for the end of ``--help``.
        others: of :class:`argparse.ArgumentParser`.
    """

    def __init__(self, *arguments, example: str | None = None, **others):
        super().__init__(*arguments, formatter_class=Help, allow_abbrev=False, **others)
        self.example = example
        self.set_defaults(command_parser=self)  # the command's own, once it is known

    def format_help(self) -> str:
        return super().format_help() + (f"\nexample:\n  {self.example}\n" if self.example else "")

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")

    def options(self) -> list[str]:
        """Return the names of all options."""
        return [name for action in self._actions for name in action.option_strings]

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        if isinstance(action, argparse._SubParsersAction):
            said = f"unknown command {shown(value)}{did_you_mean(str(value), known)}"
            self.error(f"{said} (commands: {', '.join(known)})")
        nearest = did_you_mean(str(value), known)
        raise argparse.ArgumentError(
            action, f"expected {' or '.join(known)}, got {shown(value)}{nearest}"
        )


def program(name: str, purpose: str, example: str) -> tuple[Parser, Any]:
    """Return the parser of a program, with ``--version``, and its group of commands."""
    top = Parser(prog=name, description=purpose, example=example)
    top.add_argument("--version", action=_Version)
    return top, _group(top)


def add_command(
    commands: Any, name: str, purpose: str, *, example: str, run: Callable | None = None
) -> Parser:
    """Return the parser of a new command.

    Args:
        commands: the group that it belongs to.
        name: of the command.
        purpose: one phrase, which the list of commands shows and the command's help begins with.
        example: a command line that works as it stands.
        run: called with the parsed options; returns the exit code, or None for 0.
    """
    about = f"{purpose[0].upper()}{purpose[1:]}."
    command = commands.add_parser(name, help=purpose, description=about, example=example)
    if run is not None:
        command.set_defaults(run=run)
    return command


def add_group(commands: Any, name: str, purpose: str, *, example: str) -> Any:
    """Return the group of commands below a new command, as those of ``cizsl data``."""
    return _group(add_command(commands, name, purpose, example=example))


def add_config(command: Parser, half: str) -> None:
    """Add the arguments CONFIG and key=value."""
    command.add_argument(
        "config",
        metavar="CONFIG",
        help=f"name of a configuration below configs/{half}, or the path of a YAML file",
    )
    add_overrides(command, "seed=1")


def add_overrides(command: Parser, example: str) -> None:
    """Add the argument key=value, any number of times."""
    command.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="key=value",
        help=f"settings to change, for instance {example}",
    )


def add_device(command: Parser) -> None:
    """Add ``--device``."""
    command.add_argument(
        "--device",
        metavar="NAME",
        help="compute on cpu, cuda or cuda:N (default: cuda if this machine has a GPU, else cpu)",
    )


def add_training(command: Parser, half: str) -> None:
    """Add what both training commands take: a configuration, a folder, and how to go on."""
    add_config(command, half)
    command.add_argument(
        "--out",
        type=path,
        metavar="DIR",
        help="where to write the run folder (default: a folder in runs/ named by the "
        "configuration, the changed settings and the seed)",
    )
    command.add_argument(
        "--resume", action="store_true", help="go on with the run in the folder, if there is one"
    )
    command.add_argument(
        "--accept-data",
        action="store_true",
        help="with --resume: go on although the data files are not those that the run began with",
    )
    add_device(command)


def positive(text: str) -> int:
    """Return a whole number from 1 to 10,000,000: the ``type`` of an option that counts."""
    return whole(1, MOST)(text)


def whole(least: int, most: int = MOST) -> Callable[[str], int]:
    """Return the ``type`` of an option that takes a whole number from ``least`` to ``most``."""

    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > 20 or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {least} to {most}, got {shown(text)}"
            )
        return int(text)

    return read


def number(least: float, most: float) -> Callable[[str], float]:
    """Return the ``type`` of an option that takes a number from ``least`` to ``most``."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f"expected a number from {least:g} to {most:g}, got {shown(text)}"
            )
        return value

    return read


def path(text: str) -> Path:
    """Return the path of a file or folder: the ``type`` of an option that takes one.

    ``~`` is the home folder, also where no shell has replaced it. Raises
    :class:`argparse.ArgumentTypeError` for an empty one, and what
    :func:`repro.files.paths.expanded` raises.
    """
    if not text:
        raise argparse.ArgumentTypeError("expected the path of a file or folder, got ''")
    try:
        return expanded(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _group(parser: Parser) -> Any:
    return parser.add_subparsers(title="commands", required=True, metavar="COMMAND")


class _Version(argparse.Action):
    """Prints the versions, which are looked up only where they are asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str):
        text = "show program's version number and exit"
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=text)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(_version(parser.prog))
        parser.exit()


def _version(name: str) -> str:
    found = []
    for package in ("cizsl-sde", "torch"):
        try:
            found.append(metadata.version(package))
        except metadata.PackageNotFoundError:
            found.append("(not installed)")
    return f"{name} {found[0]}, torch {found[1]}"
