"""Writing a small invented dataset of birds in the published layout.

It lets everything run without a download. `cizsl.prepare.toy_world` invents species, articles and
features; no number on them says anything about nature.
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np

from cizsl.data.birds_write import BirdSplit, write_birds
from cizsl.prepare.tfidf import tfidf
from cizsl.prepare.toy_world import ToyWorld, make_world, unseen_classes
from repro.errors import InputError

VERSION = 1  # raised whenever a seed gives other birds than before
SIZES = {"CUB": (12, 5), "NAB": (15, 6)}  # families, species in each
MARK = b"INVENTED BIRDS, made by `cizsl data toy`"  # the first bytes of each .mat file
README = """# Invented birds

**NO BIRD IN THIS FOLDER EXISTS.** `cizsl data toy` (version {version}, seed {seed}) made them up,
so that everything can be run without a download: species, articles and image features. The files
have the layout and the names of the published {name} data, but no accuracy on them says anything
about real birds, or may stand beside a paper's.

{counts}.
`articles/` holds what the text was made from, one article per species.
"""


def split_world(world: ToyWorld, unseen: np.ndarray, order: np.ndarray) -> BirdSplit:
    """Return the images of `world` in `order` (N,) on the two sides of `unseen` (C,) bool."""
    sides = []
    for side in (~unseen, unseen):
        classes = np.flatnonzero(side)
        rows = order[side[world.labels[order]]]
        labels = np.searchsorted(classes, world.labels[rows])
        sides.append((classes + 1, world.features[rows], labels))
    (train_ids, *train), (test_ids, *test) = sides
    return BirdSplit(train_ids, test_ids, *train, *test)


def make_toy(root: str | Path, seed: int = 0) -> list[Path]:
    """Write a CUB-like and a NAB-like folder under `root`, and return them.

    The same seed gives the same bytes. An earlier toy is replaced, with its articles, once the new
    one is complete. Raises `InputError` where a folder holds any other file.
    """
    root = Path(root)
    if seed < 0:
        raise InputError(f"seed {seed}: expected a whole number that is not negative")
    try:
        root.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".toy-", dir=root))
    except OSError as error:
        raise InputError(f"{root}: cannot write here ({error.strerror})") from error
    try:
        made = [_write_world(staging, dataset, seed) for dataset in SIZES]
        targets = [root / folder.name for folder in made]
        for folder, target in zip(made, targets, strict=True):
            _refuse_foreign(target, folder)
        for folder, target in zip(made, targets, strict=True):
            if target.exists():
                target.rename(staging / f"old-{target.name}")
            folder.rename(target)
    finally:
        shutil.rmtree(staging)
    return targets


def _write_world(root: Path, dataset: str, seed: int) -> Path:
    rng = np.random.default_rng([seed, VERSION, *dataset.encode()])
    world = make_world(*SIZES[dataset], rng)
    text, terms = tfidf(world.articles)
    order = np.arange(len(world.labels))
    if dataset == "NAB":  # whose published labels are not sorted
        rng.shuffle(order)
    unseen = unseen_classes(world.family, rng)
    splits = {name: split_world(world, classes, order) for name, classes in unseen.items()}
    folder = write_birds(root, dataset, text, terms, splits)
    for file in folder.glob("*.mat"):
        file.write_bytes(MARK.ljust(116) + file.read_bytes()[116:])  # there was a date
    (folder / "articles").mkdir()
    for name, article in world.articles.items():
        (folder / "articles" / f"{name}.txt").write_text(article, encoding="utf-8")
    counts = f"{len(text)} species, {len(order)} images, {len(terms)} terms"
    about = README.format(version=VERSION, seed=seed, name=folder.name, counts=counts)
    (folder / "TOY.md").write_text(about, encoding="utf-8")
    return folder


def _refuse_foreign(target: Path, made: Path) -> None:
    """Raise `InputError` unless `target` is missing or a folder with nothing but a toy in it."""
    if target.exists() and not target.is_dir():
        raise InputError(f"{target}: expected a folder, or nothing, where the toy goes")
    toy = (target / "TOY.md").exists()
    for file in sorted(target.glob("*")):
        ours = toy and (made / file.name).exists()
        if not ours or (file.suffix == ".mat" and not file.read_bytes().startswith(MARK[:14])):
            raise InputError(f"{file}: not written by the toy, which will not overwrite it")
