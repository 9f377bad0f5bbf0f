"""``cizsl predict``: names of classes for features and images, by a finished run."""

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cizsl.predict.api import Model, Predictions, load
from cizsl.predict.images import ImageSource
from repro.errors import InputError
from repro.files.atomic import write_atomically
from repro.wording import printable

COLUMNS = ("item", "rank", "class", "group", "score")


def command(options) -> int:
    """Run ``cizsl predict``: print a line for each item, or write a CSV file; return 0."""
    _check_paths(options.source, options.out)
    model = load(options.folder, device=options.device, data_root=options.data_root)
    source = model.source(options.source, options.backbone, options.weights, options.skip_bad)
    print(_about(model, options.folder))
    found = model.predictions(source, options.top)
    if options.out is None:
        for part in found:
            print("\n".join(_lines(part)))
    else:
        with tqdm(total=len(source), unit="item", desc="predict") as bar:
            _write(options.out, _counted(found, bar))
        skipped = len(source.skipped)
        print(f"wrote {options.out}: {len(source) - skipped} items, {_best(options.top, model)}")
    if isinstance(source, ImageSource) and source.skipped:
        print(f"left out, since they cannot be read: {', '.join(map(printable, source.skipped))}")
    return 0


def _check_paths(source: Path, out: Path | None) -> None:
    """Refuse what nothing can come of, before a run is loaded."""
    if not os.path.exists(source):
        raise InputError(f"{source}: no such file or folder")
    if out is not None and os.path.isdir(out):
        raise InputError(f"--out {out}: a folder; expected the name of a file to write")


def _about(model: Model, folder: Path) -> str:
    summary, unseen = model.run.summary, len(model.class_names) - model.num_seen
    chosen = "chosen on validation classes"
    if not model.chose_offset:
        chosen = "the reference protocol has no validation classes that could choose it"
    return (
        f"{folder}: {summary.method} on {summary.dataset} {summary.split}; {model.num_seen} seen "
        f"and {unseen} unseen classes; offset of the unseen {model.offset:.4g} ({chosen})"
    )


def _best(top: int, model: Model) -> str:
    count = min(top, len(model.class_names))
    return f"the {count} best classes of each" if count > 1 else "the best class of each"


def _rows(part: Predictions) -> Iterator[tuple[str, list[tuple[str, str, float]]]]:
    """Yield each item with the name, group and score of its classes."""
    groups = part.is_unseen.tolist()
    for item, names, unseen, scores in zip(
        part.items, part.names, groups, part.scores.tolist(), strict=True
    ):
        kinds = ["unseen" if one else "seen" for one in unseen]
        yield item, list(zip(names, kinds, scores, strict=True))


def _lines(part: Predictions) -> Iterator[str]:
    for item, classes in _rows(part):
        said = (f"{printable(name)} ({kind}) {score:.4g}" for name, kind, score in classes)
        yield f"{printable(item)}: {', '.join(said)}"


def _counted(found: Iterable[Predictions], bar: tqdm) -> Iterator[Predictions]:
    for part in found:
        yield part
        bar.update(len(part))


def _write(path: Path, found: Iterable[Predictions]) -> None:
    """Write a line for each item and class, whole or not at all."""

    def write(file: Any) -> None:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for part in found:
            for item, classes in _rows(part):
                for rank, (name, kind, score) in enumerate(classes, 1):
                    table.writerow((item, rank, name, kind, f"{score:.9g}"))

    write_atomically(path, write, mode="w")
