"""Invented image features in the GBU layout, for use without `res101.mat`.

A class c has attributes, and as many traits that no attribute describes. An image shows both
inexactly, and its features are a random two-layer map of them plus noise, cut off below zero, like
the features of a ResNet:

    t_c = [(a_c - mean over classes) / deviation,  UNTOLD u_c]        u, e, n standard normal
    x = max(0, tanh((t_c + JITTER e) A) B + NOISE n)

The attributes are those of a real `att_splits.mat` where one is given, else they are invented too:
families of classes whose attributes vary around the family's. A real `att_splits.mat` says which
images are seen, but not which classes they show. So the classes are assigned at random, in
runs of equal length: unseen ones, as many as published, to the images of test_unseen_loc,
validation classes to those of val_loc, and the others to the rest.
"""

from pathlib import Path

import numpy as np

from cizsl.data.birds_write import write_mat
from cizsl.data.gbu import FEATURES, SPLITS, read_splits
from cizsl.data.gbu_validate import PUBLISHED
from repro.errors import InputError
from repro.files.atomic import write_atomically

VERSION = 1  # raised whenever a seed gives other numbers than before
DIM, TOY_DIM = 2048, 64  # features of an image: where real splits are completed, and of the toy
JITTER, UNTOLD, NOISE = 1.3, 0.8, 0.5
UNITS = 256  # of the random map
CLASSES, FAMILIES, ATTRIBUTES, IMAGES = 24, 6, 20, 40  # of the invented world; images of a class
UNSEEN, VALIDATING = 6, 5
README = """# Invented features

**NO IMAGE STANDS BEHIND THIS FOLDER.** `cizsl data toy` (version {version}, seed {seed}) made up
`res101.mat`, so that everything can be run without a download. {source}
No accuracy on these data says anything about real images, or may stand beside a paper's.
"""
INVENTED = "The classes, their attributes and the split are invented as well."
COMPLETED = (
    "The attributes and the locations are those of a given `att_splits.mat`; which class an image "
    "shows, and which classes are unseen, is invented."
)


def make_gbu_toy(root: str | Path, splits: str | Path | None = None, seed: int = 0) -> list[Path]:
    """Write folders of the GBU layout under `root`, and return them.

    One invented dataset, named AWA2; or, with `splits`, one for each folder with an
    `att_splits.mat` in there. The same seed gives the same bytes. Raises `InputError` where a
    folder holds files that are not from here, and for splits that cannot be read.
    """
    root = Path(root)
    if seed < 0:
        raise InputError(f"seed {seed}: expected a whole number that is not negative")
    if splits is None:
        return [_write_world(root / "AWA2", seed)]
    found = sorted(file.parent for file in Path(splits).rglob(SPLITS))
    if not found:
        raise InputError(f"{splits}: no folder with {SPLITS} in here")
    return [_complete(folder, root / folder.resolve().name, seed) for folder in found]


def draw_features(
    att: np.ndarray, labels: np.ndarray, dim: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw features (N, dim) float32, none negative, of images with labels (N,) in [0, C).

    att: (C, A). The formula is at the top of this module; the result has variance one.
    """
    told = (att - att.mean(0)) / (att - att.mean(0)).std()
    traits = np.concatenate([told, UNTOLD * rng.normal(size=told.shape)], axis=1)
    a = rng.normal(size=(traits.shape[1], UNITS)) / np.sqrt(traits.shape[1])
    b = rng.normal(size=(UNITS, dim)) / np.sqrt(UNITS)
    features = np.empty((len(labels), dim), np.float32)
    for start in range(0, len(labels), 2048):  # a copy in float64 of all would be large
        shown = traits[labels[start : start + 2048]]
        shown = shown + JITTER * rng.normal(size=shown.shape)
        look = np.tanh(shown @ a) @ b
        features[start : start + 2048] = np.maximum(look + NOISE * rng.normal(size=look.shape), 0)
    return features / features.std()


def deal_classes(
    locations: dict[str, np.ndarray], classes: int, unseen: int, rng: np.random.Generator
) -> np.ndarray:
    """Assign classes (N,), from one, to the images of a split; locations count from one, too.

    `unseen` of the `classes` classes go to test_unseen_loc. Of the seen ones, val_loc and train_loc
    get their shares, which have no class in common; images in neither are of any seen class.
    """
    count, nothing = max(loc.max() for loc in locations.values()), np.empty(0, np.int64)
    test = locations["test_unseen_loc"]
    val, train = (locations.get(name, nothing) for name in ("val_loc", "train_loc"))
    rest = np.setdiff1d(np.arange(1, count + 1), np.concatenate([test, val, train]))
    ids = rng.permutation(classes) + 1
    validating = round((classes - unseen) * len(val) / max(1, len(val) + len(train)))
    new, chosen, learnt = np.split(ids, [unseen, unseen + validating])
    labels = np.empty(count, np.int64)
    for images, group in ((test, new), (val, chosen), (train, learnt), (rest, ids[unseen:])):
        runs = np.arange(len(images)) * len(group) // max(1, len(images))
        labels[np.sort(images) - 1] = np.sort(group)[runs]
    return labels


def invent_world(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Draw the variables of an `att_splits.mat`, and the class (N,), from one, of every image."""
    family = np.repeat(np.arange(FAMILIES), CLASSES // FAMILIES)
    att = rng.random((FAMILIES, ATTRIBUTES))[family] + 0.6 * rng.random((CLASSES, ATTRIBUTES))
    labels = np.repeat(np.arange(CLASSES), IMAGES)
    unseen, validating, _ = np.split(rng.permutation(CLASSES), [UNSEEN, UNSEEN + VALIDATING])
    is_unseen, is_val = np.isin(labels, unseen), np.isin(labels, validating)
    kept = rng.random(len(labels)) < 0.8
    parts = {
        "trainval_loc": ~is_unseen & kept,
        "test_seen_loc": ~is_unseen & ~kept,
        "test_unseen_loc": is_unseen,
        "train_loc": ~is_unseen & ~is_val & kept,
        "val_loc": is_val & kept,
    }
    variables = {name: np.flatnonzero(part)[:, None] + 1.0 for name, part in parts.items()}
    length = np.linalg.norm(att, axis=1)
    variables |= {"att": (att / length[:, None]).T, "original_att": att.T}
    return variables, labels + 1


def _write_world(folder: Path, seed: int) -> Path:
    rng = np.random.default_rng([seed, VERSION])
    variables, labels = invent_world(rng)
    features = draw_features(variables["att"].T, labels - 1, TOY_DIM, rng)
    _begin(folder, seed, INVENTED)
    write_mat(folder / SPLITS, variables)
    write_mat(folder / FEATURES, {"features": features.T, "labels": labels[:, None].astype(float)})
    return folder


def _complete(source: Path, folder: Path, seed: int) -> Path:
    """Copy the real `att_splits.mat` of `source`, and add invented features."""
    read = read_splits(source)
    if read.findings:
        raise InputError(f"{read.findings[0].file}: {read.findings[0].message}")
    att, dataset = read.arrays.pop("att"), folder.name
    rng = np.random.default_rng([seed, VERSION, *dataset.encode()])
    unseen = PUBLISHED[dataset][1][1] if dataset in PUBLISHED else round(0.2 * len(att))
    labels = deal_classes(read.arrays, len(att), unseen, rng)
    content = (source / SPLITS).read_bytes()
    features = draw_features(att, labels - 1, DIM, rng)
    _begin(folder, seed, COMPLETED)
    write_atomically(folder / SPLITS, lambda file: file.write(content))
    write_mat(folder / FEATURES, {"features": features.T, "labels": labels[:, None].astype(float)})
    return folder


def _begin(folder: Path, seed: int, source: str) -> None:
    """Make the folder and mark it as invented, before any other file is written."""
    mark = folder / "TOY.md"
    for file in (folder / FEATURES, folder / SPLITS):
        if file.exists() and not (mark.exists() and "`cizsl data toy`" in mark.read_text()):
            raise InputError(f"{file}: not written by the toy, which will not overwrite it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = README.format(version=VERSION, seed=seed, source=source)
        mark.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder}: cannot write here ({error.strerror})") from error
