"""The commands ``config schema``, ``config show`` and ``config new`` of both command lines."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from repro import config as configuration
from repro import locate
from repro.cli import parser
from repro.errors import InputError
from repro.files.atomic import write_atomically


def add_config_commands(
    commands: Any, half: str, model: Callable[[], type[configuration.Settings]], example: str
) -> None:
    """Add ``config`` and its three commands.

    Args:
        commands: the group of all commands of the program.
        half: ``cizsl`` or ``sde``.
        model: returns the configuration model; called when a command needs it.
        example: the name of a shipped configuration, for the examples.
    """
    show = f"{half} config show {example} seed=1"
    purpose = "show what a configuration says and may say, or write a new one"
    group = parser.add_group(commands, "config", purpose, example=show)

    command = parser.add_command(
        group,
        "schema",
        "print the JSON schema of configurations, for editors",
        example=f"{half} config schema > {half}.json",
        run=lambda options: print(configuration.schema(model()), end=""),
    )
    command = parser.add_command(
        group,
        "show",
        "print a configuration with every default written out",
        example=show,
        run=lambda options: print(configuration.dump(_load(options, half, model())), end=""),
    )
    parser.add_config(command, half)
    command = parser.add_command(
        group,
        "new",
        "write a configuration file to start from, which editors check by its schema",
        example=f"{half} config new mine.yaml --from {example} seed=1",
        run=lambda options: _new(options, half, model()),
    )
    command.add_argument("file", type=parser.path, metavar="FILE", help="YAML file to write")
    parser.add_overrides(command, "seed=1")
    command.add_argument(
        "--from",
        dest="config",
        metavar="CONFIG",
        help="configuration to copy: a name or a path (default: none, the file then sets the seed)",
    )


def new(
    file: Path,
    half: str,
    model: type[configuration.Settings],
    source: str | None = None,
    overrides: list[str] | None = None,
) -> None:
    """Write a configuration file that names its schema in the first line.

    It holds what ``source`` and its base set, and the overrides; all else keeps its default.
    Raises :class:`InputError` where the file exists, for an unknown source and a wrong setting.
    """
    if file.suffix not in locate.ENDINGS:
        raise InputError(f"{file}: expected a name that ends in .yaml")
    if os.path.lexists(file):
        raise InputError(f"{file}: exists already")
    values, purpose = {"seed": 0}, f"# A configuration of {half}."
    if source is not None:
        path = locate.find(source, half)
        locate.load(source, half, model)
        values, _ = configuration.gather(path)
        purpose = _purpose(path) or purpose
    values = configuration.overridden(values, overrides)
    configuration.validate(values, model, str(file))
    body = "".join(_lines(key, value) for key, value in values.items())
    text = f"# yaml-language-server: $schema={_schema_from(file, half)}\n{purpose}\n{body}"
    write_atomically(file, lambda out: out.write(text), mode="w")


def _load(options, half: str, model: type[configuration.Settings]) -> configuration.Settings:
    return locate.load(options.config, half, model, options.overrides)


def _new(options, half: str, model: type[configuration.Settings]) -> None:
    new(options.file, half, model, options.config, options.overrides)
    print(f"wrote {options.file}; train it: {half} train {options.file}")


def _lines(key: str, value: Any) -> str:
    """One setting, or one section, as short YAML: ``data: {dataset: CUB, split: easy}``."""
    flow = None if isinstance(value, dict | list) else False
    return yaml.safe_dump({key: value}, allow_unicode=True, default_flow_style=flow, width=100)


def _purpose(path: Path) -> str | None:
    """The comment of a shipped file that says what it reproduces."""
    lines = path.read_text(encoding="utf-8").splitlines()[:2]
    comments = [line for line in lines if line.startswith("# ") and "$schema=" not in line]
    return comments[0] if comments else None


def _schema_from(file: Path, half: str) -> str:
    """The path of the schema: relative to ``file`` where both lie in one source tree."""
    schema, folder = locate.schema_file(half), file.resolve().parent
    tree = locate.configs().parent
    return os.path.relpath(schema, folder) if folder.is_relative_to(tree) else str(schema)
