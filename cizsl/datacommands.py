"""The commands `cizsl data ...`: their options, and what they print."""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from repro.errors import InputError


def add_parsers(commands) -> None:
    """Every command and option; what a command does is the function below with its name."""
    checks = {
        "verify": "list everything wrong with data files",
        "inspect": "print shapes, dtypes and class counts",
        "cells": "name the dataset and split pairs that are there",
    }
    for name, purpose in checks.items():
        command = commands.add_parser(name, help=purpose)
        command.add_argument("folder", type=Path, metavar="DIR", nargs="?", default=Path("data"))
        command.set_defaults(run=globals()[name])
    command = commands.add_parser("toy", help="write a small invented bird world")
    command.add_argument("folder", type=Path, metavar="DIR", nargs="?", default=Path("data/toy"))
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--gbu", nargs="?", const="", metavar="SPLITS", help=GBU)
    command.set_defaults(run=toy)
    _text_parser(commands.add_parser("text", help="text features from a folder of articles"))
    _images_parser(commands.add_parser("images", help="visual features from folders of images"))
    _splits_parser(commands.add_parser("splits", help="which classes are seen, and which unseen"))
    command = commands.add_parser("convert", help="a dataset's folder to one .npz file, or back")
    command.add_argument("source", type=Path, metavar="FROM", help="its folder, or NAME.npz")
    command.add_argument("target", type=Path, metavar="TO", help="NAME.npz, or a new folder NAME")
    command.add_argument("--overwrite", action="store_true", help="replace what is there")
    command.set_defaults(run=convert)


def _text_parser(command: argparse.ArgumentParser) -> None:
    command.description = "One UTF-8 file NAME.txt for each class becomes a row of TF-IDF."
    command.add_argument("source", type=Path, metavar="DIR", help="the folder of articles")
    _add_out(command)
    command.add_argument("--min-documents", type=_positive, default=1, metavar="N", help=NEED)
    command.add_argument("--vocabulary", type=Path, metavar="FILE", help=VOCABULARY)
    command.add_argument("--stop-words", metavar="FILE", help=STOP_WORDS)
    command.add_argument("--encoding", default="utf-8", help="of the files (default: utf-8)")
    command.set_defaults(run=text)


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
    command.set_defaults(run=images)


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
    command.set_defaults(run=splits)


GBU = "attributes instead; SPLITS: features for every att_splits.mat in that folder"
VOCABULARY = "the columns: a .mat file with TFIDF_Term, or one term a line"
NEED = "leave out terms in fewer articles than this (default: 1)"
STOP_WORDS = "words to leave out, one a line, or 'none' (default: scikit-learn's English ones)"
BACKBONE = "a TorchScript or .pt2 file, package.module:callable, or timm:NAME"
FAMILIES = "CSV with the columns class, family; or 'last-word' of each class's name"
FROM = "CSV with the column class and one for each split, of seen, unseen or nothing"
PREPROCESSING = ("resize", "crop", "interpolation", "mean", "std")
LAYOUT = "of the splits' features: MAT-files, or one file NAME.npz beside the folder"
NO_SPLIT = "no split yet: `cizsl data splits` makes some"
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


def verify(options) -> int:
    from cizsl.verify import run_verify

    return run_verify(options.folder)


def inspect(options) -> int:
    from cizsl.verify import run_inspect

    return run_inspect(options.folder)


def cells(options) -> None:
    from cizsl.birdfiles import LAYOUTS, dataset_folder, split_files

    for dataset in LAYOUTS:
        folder = dataset_folder(options.folder, dataset)
        for split in ("easy", "hard") if folder else ():
            if all(path.exists() for path in split_files(folder, dataset, split).values()):
                print(f"{dataset.lower()}_{split}")


def toy(options) -> None:
    from cizsl.gbutoy import make_gbu_toy
    from cizsl.toy import make_toy

    if options.gbu is None:
        made = make_toy(options.folder, options.seed)
    else:
        made = make_gbu_toy(options.folder, options.gbu or None, options.seed)
    print("\n".join(f"wrote {folder}" for folder in made))


def text(options) -> None:
    from cizsl.articles import make_text, read_stop_words

    with _writing(options.out):
        names = ("classes", "encoding", "vocabulary", "min_documents", "overwrite")
        others = {name: getattr(options, name) for name in names}
        others["stop_words"] = read_stop_words(options.stop_words)
        made, terms = make_text(options.source, options.out, **others)
    absent = int((~made.any(0)).sum())
    blank = f", {absent} of them in no article" if absent else ""
    print(f"wrote {options.out}: {len(made)} classes, {len(terms)} terms{blank}")


def images(options) -> None:
    from cizsl.owndata import make_features
    from repro.device import resolve

    replaced = {n: v for n in PREPROCESSING if (v := getattr(options, n)) is not None}
    names = ("weights", "classes", "overwrite", "layout", "batch", "dtype", "workers", "skip_bad")
    with _writing(options.out):
        record, completed = make_features(
            options.source,
            options.out,
            options.backbone,
            device=resolve(options.device),
            preprocessing=replaced,
            **{name: getattr(options, name) for name in names},
        )
    skipped = f", {len(record['skipped'])} skipped" if record["skipped"] else ""
    print(
        f"wrote {options.out}: {record['images']} images of {record['classes']} classes{skipped}, "
        f"{record['feature_dim']} features, {record['plan']['dtype']}"
    )
    print("\n".join(f"completed the split {split}" for split in completed) or NO_SPLIT)


def splits(options) -> None:
    from cizsl.classnames import class_list
    from cizsl.owndata import family_splits, make_splits, splits_there
    from cizsl.splits import read_families, read_splits, with_seen_relatives

    if options.check and options.families is None:
        raise InputError("--check: expected --families, to say who is related to whom")
    if not options.check and (options.families is None) == (options.file is None):
        raise InputError("expected either --families or --from")
    names = class_list(options.folder, options.classes)
    if names is None:
        raise InputError(f"{options.folder}: no classes.txt; --classes FILE names the classes")
    families = None if options.families is None else read_families(options.families, names)
    if options.check:
        found, completed = splits_there(options.folder, len(names)), True
        if not found:
            raise InputError(f"{options.folder}: no split here")
    else:
        given = read_splits(options.file, names) if options.file else None
        found = given or family_splits(options.folder, families, options.unseen, options.seed)
        with _writing(options.folder):
            completed = make_splits(options.folder, found, options.overwrite, options.layout)
    for split, (seen, unseen) in found.items():
        kin = ""
        if families is not None:
            count = int(with_seen_relatives(families, unseen, seen).sum())
            kin = f"; {count} of the {len(unseen)} unseen have a seen relative"
        print(f"{split}: {len(seen)} seen and {len(unseen)} unseen classes{kin}")
    if not completed:
        print("no features yet: `cizsl data images` completes the splits")


def convert(options) -> None:
    from cizsl.convert import convert

    with _writing(options.target):
        print(f"wrote {convert(options.source, options.target, options.overwrite)}")


@contextlib.contextmanager
def _writing(place: Path) -> Iterator[None]:
    """A full disk, or a place that cannot be written, is no fault of ours."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{place}: cannot be written: {error.strerror}") from None
