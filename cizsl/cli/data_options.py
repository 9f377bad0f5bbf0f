"""Options that several of the commands ``cizsl data ...`` take, and the types of their values."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from repro.cli import parser as parsing

CLASSES = "class names in their order, one a line (default: classes.txt, else the names sorted)"


def command(commands: Any, name: str, purpose: str, example: str, run: Callable) -> parsing.Parser:
    """Add the command ``cizsl data name`` and return its parser."""
    return parsing.add_command(commands, name, purpose, example=f"cizsl data {example}", run=run)


def add_preprocessing(command: parsing.Parser) -> None:
    """Add what replaces the network's own preprocessing; an option not given has no value."""
    for name, what in (
        (
            "--resize",
            "pixels of the shorter side (default: the network's own, else 256)",
        ),
        ("--crop", "pixels of the square cut out (default: the network's own, else 224)"),
    ):
        command.add_argument(name, type=parsing.whole(1, 16384), metavar="N", help=what)
    command.add_argument(
        "--interpolation",
        metavar="NAME",
        help="nearest, bilinear, bicubic or lanczos (default: the network's own, else bilinear)",
    )
    for name, what, value in (
        ("--mean", "means subtracted", "0.485,0.456,0.406"),
        ("--std", "deviations divided by", "0.229,0.224,0.225"),
    ):
        text = f"{what}, by channel (default: the network's own, else {value})"
        command.add_argument(name, type=three, metavar="R,G,B", help=text)


def add_folder(command: parsing.Parser, default: Path, what: str) -> None:
    """Add the folder, which may be left out."""
    text = f"{what} (default: {default})"
    command.add_argument(
        "folder", type=parsing.path, metavar="DIR", nargs="?", default=default, help=text
    )


def add_out(command: parsing.Parser, more: str = "") -> None:
    """Add ``--out``, ``--classes`` and ``--overwrite``; ``more``: what else ``--out`` may be."""
    command.add_argument(
        "--out",
        type=dataset,
        required=True,
        metavar="DIR_OR_FILE" if more else "DIR",
        help=f"folder of the dataset to write; its last part is the name of the dataset{more}",
    )
    add_classes(command)


def add_classes(command: parsing.Parser) -> None:
    """Add ``--classes`` and ``--overwrite``."""
    command.add_argument("--classes", type=parsing.path, metavar="FILE", help=CLASSES)
    add_overwrite(command)


def add_overwrite(command: parsing.Parser) -> None:
    """Add ``--overwrite``."""
    command.add_argument("--overwrite", action="store_true", help="replace files that are there")


def add_layout(command: parsing.Parser) -> None:
    """Add ``--layout``."""
    command.add_argument(
        "--layout",
        choices=("published", "npz"),
        default="published",
        help="how to store the features of the splits: MAT-files as published, or one .npz file "
        "beside the folder",
    )


def add_seed(command: parsing.Parser, what: str) -> None:
    """Add ``--seed``."""
    command.add_argument(
        "--seed", type=parsing.whole(0, 2**63 - 1), default=0, metavar="N", help=what
    )


def three(text: str) -> tuple[float, ...]:
    """Return three numbers R,G,B."""
    try:
        first, second, third = map(parsing.number(-1e6, 1e6), text.split(","))
    except (ValueError, argparse.ArgumentTypeError):
        raise argparse.ArgumentTypeError(f"{text!r}: expected three numbers R,G,B") from None
    return first, second, third


def dataset(text: str) -> Path:
    """Return the path of a dataset, whose last part is its name."""
    place = parsing.path(text)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", place.resolve().name):
        expected = "expected letters, digits and _.- in its last part"
        raise argparse.ArgumentTypeError(f"{text!r}: {expected}")
    return place
