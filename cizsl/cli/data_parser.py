"""The options of the commands `cizsl data ...`, which are in `cizsl.cli.data`."""

from __future__ import annotations

import argparse
import re
from functools import partial
from pathlib import Path

from cizsl.cli import data


def add_parsers(commands) -> None:
    """Every command and option; what one does is the function of its name in `data`."""
    checks = {
        "verify": "list everything wrong with data files",
        "inspect": "print shapes, dtypes and class counts",
        "cells": "name the dataset and split pairs that are there",
    }
    for name, purpose in checks.items():
        command = commands.add_parser(name, help=purpose)
        command.add_argument("folder", type=Path, metavar="DIR", nargs="?", default=Path("data"))
        command.set_defaults(run=getattr(data, name))
    command = commands.add_parser("toy", help="write a small invented bird world")
    command.add_argument("folder", type=Path, metavar="DIR", nargs="?", default=Path("data/toy"))
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--gbu", nargs="?", const="", metavar="SPLITS", help=GBU)
    command.set_defaults(run=data.toy)
    _text_parser(commands.add_parser("text", help="text features from a folder of articles"))
    _images_parser(commands.add_parser("images", help="visual features from folders of images"))
    _splits_parser(commands.add_parser("splits", help="which classes are seen, and which unseen"))
    command = commands.add_parser("convert", help="a dataset's folder to one .npz file, or back")
    command.add_argument("source", type=Path, metavar="FROM", help="its folder, or NAME.npz")
    command.add_argument("target", type=_dataset, metavar="TO", help="NAME.npz, or a folder NAME")
    command.add_argument("--overwrite", action="store_true", help="replace what is there")
    command.set_defaults(run=data.convert)


def _text_parser(command: argparse.ArgumentParser) -> None:
    command.description = "One UTF-8 file NAME.txt for each class becomes a row of TF-IDF."
    command.add_argument("source", type=Path, metavar="DIR", help="the folder of articles")
    _add_out(command)
    command.add_argument("--min-documents", type=_positive, default=1, metavar="N", help=NEED)
    command.add_argument("--vocabulary", type=Path, metavar="FILE", help=VOCABULARY)
    command.add_argument("--stop-words", metavar="FILE", help=STOP_WORDS)
    command.add_argument("--encoding", default="utf-8", help="of the files (default: utf-8)")
    command.set_defaults(run=data.text)


def _images_parser(command: argparse.ArgumentParser) -> None:
    command.description = "One folder of images for each class becomes rows of features."
    command.add_argument("source", type=Path, metavar="DIR", help="a folder NAME for each class")
    _add_out(command)
    command.add_argument("--backbone", required=True, metavar="NAME", help=BACKBONE)
    command.add_argument("--weights", type=Path, metavar="FILE", help="a state dict")
    command.add_argument("--resize", type=_positive, metavar="N", help="shorter side (256)")
    command.add_argument("--crop", type=_positive, metavar="N", help="square in the middle (224)")
    command.add_argument("--interpolation", help="nearest, bilinear (default), bicubic or lanczos")
    command.add_argument("--mean", type=_three, metavar="R,G,B", help="(0.485,0.456,0.406)")
    command.add_argument("--std", type=_three, metavar="R,G,B", help="(0.229,0.224,0.225)")
    command.add_argument("--batch", type=_positive, default=64, metavar="N", help="images (64)")
    _add_layout(command)
    command.add_argument("--dtype", choices=("float32", "float16"), default="float32")
    command.add_argument("--workers", type=_positive, default=4, metavar="N", help="threads (4)")
    command.add_argument("--skip-bad", action="store_true", help="leave out what cannot be read")
    command.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    command.set_defaults(run=data.images)


def _splits_parser(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Easy: every unseen class has a seen one in its family. Hard: whole families are unseen."
    )
    command.add_argument("folder", type=Path, metavar="DIR", help="the dataset's folder")
    command.add_argument("--families", metavar="FILE", help=FAMILIES)
    command.add_argument("--from", type=Path, dest="file", metavar="FILE", help=FROM)
    command.add_argument("--unseen", type=float, default=0.25, help="share (default: 0.25)")
    command.add_argument("--seed", type=_natural, default=0)
    _add_layout(command)
    command.add_argument("--check", action="store_true", help="only look at the splits there")
    command.add_argument("--classes", type=Path, metavar="FILE", help=CLASSES)
    command.add_argument("--overwrite", action="store_true", help="replace what is there")
    command.set_defaults(run=data.splits)


GBU = "attributes instead; SPLITS: features for every att_splits.mat in that folder"
VOCABULARY = "the columns: a .mat file with TFIDF_Term, or one term a line"
NEED = "leave out terms in fewer articles than this (default: 1)"
STOP_WORDS = "words to leave out, one a line, or 'none' (default: scikit-learn's English ones)"
BACKBONE = "a TorchScript or .pt2 file, package.module:callable, or timm:NAME"
FAMILIES = "CSV with the columns class, family; or 'last-word' of each class's name"
FROM = "CSV with the column class and one for each split, of seen, unseen or nothing"
LAYOUT = "of the splits' features: MAT-files, or one file NAME.npz beside the folder"
CLASSES = "class names in their order, one a line (default: classes.txt, or sorted names)"


def _add_out(command: argparse.ArgumentParser) -> None:
    out = "the dataset's folder, and its last part the dataset's name"
    command.add_argument("--out", type=_dataset, required=True, metavar="DIR", help=out)
    command.add_argument("--classes", type=Path, metavar="FILE", help=CLASSES)
    command.add_argument("--overwrite", action="store_true", help="replace what is there")


def _add_layout(command: argparse.ArgumentParser) -> None:
    command.add_argument("--layout", choices=("published", "npz"), default="published", help=LAYOUT)


def _natural(value: str, least: int = 0) -> int:
    if not value.isdecimal() or int(value) < least:
        raise argparse.ArgumentTypeError(f"{value!r}: expected a whole number from {least}")
    return int(value)


_positive = partial(_natural, least=1)


def _three(value: str) -> tuple[float, ...]:
    try:
        first, second, third = map(float, value.split(","))
        return first, second, third
    except ValueError:
        raise argparse.ArgumentTypeError(f"{value!r}: expected three numbers R,G,B") from None


def _dataset(value: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", Path(value).resolve().name):
        expected = "expected letters, digits and _.- in its last part"
        raise argparse.ArgumentTypeError(f"{value!r}: {expected}")
    return Path(value)
