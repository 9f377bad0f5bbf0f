"""The commands `cizsl data ...`; `cizsl.cli.data_parser` has their options."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from repro.errors import InputError

PREPROCESSING = ("resize", "crop", "interpolation", "mean", "std")
NO_SPLIT = "no split yet: `cizsl data splits` makes some"


def download(options) -> int:
    """Download the published files, verify them, and name the files that are not listed."""
    from cizsl.data.birds_layout import LAYOUTS
    from cizsl.data.verify import run_verify
    from cizsl.prepare.download import download

    mirror = {} if options.mirror is None else {"mirror": options.mirror.rstrip("/")}
    found = download(options.dataset.upper(), options.root, **mirror)
    for path in found.fetched:
        print(f"fetched {path}")
    for path in found.other:
        print(f"kept {path}, which is not the listed file: remove it to fetch that one")
    if found.missing:
        print(
            f"not listed there: {', '.join(found.missing)}; without them the runs on this dataset "
            "cannot start, and data/README.md says where else to look"
        )
        return 0
    return run_verify(options.root / LAYOUTS[options.dataset.upper()]["folder"])


def verify(options) -> int:
    """List everything that is wrong with the files in a folder; 2 if anything is an error."""
    from cizsl.data.verify import run_verify

    return run_verify(options.folder)


def inspect(options) -> int:
    """Print every variable of the files in a folder; refuse where one cannot be read."""
    from cizsl.data.verify import run_inspect

    return run_inspect(options.folder)


def cells(options) -> None:
    """Print the published datasets and splits whose files are all there."""
    from cizsl.data.birds_layout import LAYOUTS, dataset_folder, split_files

    for dataset in LAYOUTS:
        if (folder := dataset_folder(options.folder, dataset)) is None:
            continue
        for split in ("easy", "hard"):
            if all(path.exists() for path in split_files(folder, dataset, split).values()):
                print(f"{dataset.lower()}_{split}")


def toy(options) -> None:
    """Write invented data: birds, or with `--gbu` an attribute benchmark."""
    from cizsl.prepare.toy_birds import make_toy
    from cizsl.prepare.toy_gbu import make_gbu_toy

    with writing(options.folder):
        if options.gbu is None:
            made = make_toy(options.folder, options.seed)
        else:
            made = make_gbu_toy(options.folder, options.gbu or None, options.seed)
    print("\n".join(f"wrote {folder}" for folder in made))


def images(options) -> None:
    """Write the features of a dataset, and complete the splits that are there."""
    from cizsl.prepare.features import make_features
    from repro.device import resolve

    replaced = {n: v for n in PREPROCESSING if (v := getattr(options, n)) is not None}
    names = ("weights", "classes", "parts", "overwrite", "layout", "batch", "dtype", "workers")
    names += ("skip_bad",)
    with writing(options.out):
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
    """Write splits and complete them, or only look at those that are there."""
    from cizsl.prepare.class_names import class_list
    from cizsl.prepare.split_files import make_splits, splits_there
    from cizsl.prepare.splits import read_families, with_seen_relatives

    sources = [options.families is not None, options.random, options.file is not None]
    if options.check and options.families is None:
        raise InputError("--check: expected --families, to say who is related to whom")
    if not options.check and sum(sources) != 1:
        raise InputError("expected one of --families, --random and --from")
    names = class_list(options.folder, options.classes)
    if names is None:
        raise InputError(f"{options.folder}: no classes.txt; --classes FILE names the classes")
    families = None if options.families is None else read_families(options.families, names)
    if options.check:
        found, completed = splits_there(options.folder, len(names)), True
        if not found:
            raise InputError(f"{options.folder}: no split here")
    else:
        found = _chosen_splits(options, names, families)
        with writing(options.folder):
            completed = make_splits(options.folder, found, options.overwrite, options.layout)
    for split, (seen, unseen) in found.items():
        kin = ""
        if families is not None:
            count = int(with_seen_relatives(families, unseen, seen).sum())
            kin = f"; {count} of the {len(unseen)} unseen have a seen relative"
        print(f"{split}: {len(seen)} seen and {len(unseen)} unseen classes{kin}")
    if not completed:
        print("no features yet: `cizsl data images` completes the splits")


def _chosen_splits(options, names: list[str], families: list[str] | None) -> Mapping:
    """Return seen and unseen classes of the splits that the options ask for."""
    from cizsl.prepare.split_files import family_splits, random_splits
    from cizsl.prepare.splits import read_splits

    draw = {"share": options.unseen, "seed": options.seed}
    if families is not None:
        return family_splits(options.folder, families, **draw)
    if options.random:
        return random_splits(options.folder, len(names), **draw)
    return read_splits(options.file, names)


def convert(options) -> None:
    """Convert a dataset from one layout to another."""
    from cizsl.data.convert import convert

    with writing(options.target):
        print(f"wrote {convert(options.source, options.target, options.overwrite)}")


def compact(options) -> None:
    """Write the compact file of a dataset."""
    from cizsl.prepare.compact import make_compact

    names = ("components", "square_root", "articles", "overwrite")
    with writing(options.target):
        images, kept = make_compact(
            options.source, options.target, **{name: getattr(options, name) for name in names}
        )
    share = f"{100 * kept:.1f} % of the variance of the seen images"
    print(f"wrote {options.target}: {images} images, {options.components} components, {share}")


@contextlib.contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn an `OSError`, such as that of a full disk, into an `InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{place}: cannot be written: {error.strerror}") from None
