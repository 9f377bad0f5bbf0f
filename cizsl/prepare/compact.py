"""Making a compact dataset: principal components of the features, stored as bytes.

Let X (N, D) be features, m the mean and V (D, P) the first P principal directions of the images
whose classes are seen in every split. An image x becomes round((x - m) V / s), with one scale s for
each component: its largest absolute value over those images, divided by 127. Images of unseen
classes take no part in m, V and s; what of theirs lies beyond the scale is cut off.

Pooled activations x >= 0 may first become sqrt(x) / |sqrt(x)|_2, which gives large and small
activations more equal parts in the variance.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cizsl.data.compact_features import check_compact
from cizsl.data.convert import read_folder
from cizsl.data.npz import Dataset, read_npz
from cizsl.prepare.appearance import appearance
from cizsl.prepare.articles import read_articles
from repro.errors import InputError
from repro.files.atomic import write_arrays

BLOCK = 4096  # images at a time


def make_compact(
    source: Path,
    target: Path,
    components: int = 256,
    square_root: bool = False,
    articles: Path | None = None,
    overwrite: bool = False,
) -> tuple[int, float]:
    """Write the compact file `target` of a dataset, whole or not at all.

    Args:
        source: the dataset's folder in the published or the GBU layout, or a file of the npz one.
        target: a file with the ending .npz.
        components: the number of principal components.
        square_root: take square roots and bring every image to length one first.
        articles: folder of one article for each class, from which `cizsl.prepare.appearance` makes
            another description.
        overwrite: replace a file that is there.

    Returns the number of images and the share of the variance of the seen images that is kept.
    Raises `InputError` for a source that cannot be read, a split that does not take all images of
    its classes, a dataset without a list of terms, and a file that is there already.
    """
    if target.suffix != ".npz":
        raise InputError(f"{target}: expected a file with the ending .npz")
    if target.exists() and not overwrite:
        raise InputError(f"{target}: is there already; --overwrite replaces it")
    dataset = read_npz(source) if source.suffix == ".npz" else read_folder(source)
    arrays, kept = compact_arrays(dataset, components, square_root)
    if articles is not None:
        arrays |= described(articles, dataset.class_names)
    for split in dataset.splits:
        check_compact(arrays, split, "text" if articles is None else "appearance")
    write_arrays(target, arrays, compress=True)
    return len(dataset.features), kept


def compact_arrays(
    dataset: Dataset, components: int, square_root: bool = False
) -> tuple[dict[str, np.ndarray], float]:
    """Return the arrays of `cizsl.data.compact_features`, and the share of the variance kept."""
    if dataset.terms is None:
        raise InputError("the dataset has no list of terms, which the compact layout needs")
    for name, split in dataset.splits.items():
        _require_whole_classes(name, split, dataset.labels)
    fitted = np.isin(dataset.labels, always_seen(dataset))
    transform = _rooted if square_root else _as_they_are
    mean, directions, scale, kept = fit(dataset.features[fitted], components, transform)
    stored = [
        quantise((transform(block) - mean) @ directions, scale)
        for block in _blocks(dataset.features)
    ]
    rows, columns = np.nonzero(dataset.text)
    starts = np.searchsorted(rows, np.arange(len(dataset.text) + 1))
    arrays = {
        "features": np.concatenate(stored),
        "scale": scale.astype(np.float32),
        "labels": dataset.labels + 1,
        "text_data": dataset.text[rows, columns].astype(np.float32),
        "text_indices": columns,
        "text_indptr": starts,
        "terms": dataset.terms,
    }
    for name, values in (("classes", dataset.class_names), ("images", dataset.image_names)):
        if values is not None:
            arrays[name] = values
    for name, split in dataset.splits.items():
        arrays |= {f"{name}_seen": split.seen + 1, f"{name}_unseen": split.unseen + 1}
    return arrays, kept


def described(articles: Path, class_names: np.ndarray | None) -> dict[str, np.ndarray]:
    """Return the arrays of the appearance that the articles of the classes describe."""
    if class_names is None:
        raise InputError("--articles: the dataset does not name its classes")
    names = [str(name) for name in class_names]
    features, terms = appearance(read_articles(articles, names))
    return {"appearance": features, "appearance_terms": np.array(terms)}


def always_seen(dataset: Dataset) -> np.ndarray:
    """Return the classes that are seen in every split. Raises `InputError` where there is none."""
    classes = np.unique(dataset.labels)
    for split in dataset.splits.values():
        classes = np.intersect1d(classes, split.seen)
    if classes.size < 2:
        raise InputError("fewer than two classes are seen in every split: nothing to fit on")
    return classes


def fit(
    features: np.ndarray, components: int, transform
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return mean (D,), directions (D, P), scales (P,) and the share of the variance kept.

    The signs of the directions are fixed: the largest entry of each is positive.
    """
    count, dim = features.shape
    if not 1 <= components <= min(count - 1, dim):
        expected = f"1 to {min(count - 1, dim)}, of {count} seen images with {dim} features"
        raise InputError(f"--components {components}: expected {expected}")
    mean = sum(transform(block).sum(0) for block in _blocks(features)) / count
    scatter = np.zeros((dim, dim))
    for block in _blocks(features):
        centred = transform(block) - mean
        scatter += centred.T @ centred
    variances, directions = np.linalg.eigh(scatter)
    directions = directions[:, ::-1][:, :components]
    directions = directions * np.sign(directions[np.abs(directions).argmax(0), range(components)])
    largest = np.zeros(components)
    for block in _blocks(features):
        largest = np.maximum(largest, np.abs((transform(block) - mean) @ directions).max(0))
    kept = variances[::-1][:components].sum() / variances.sum()
    return mean, directions, np.where(largest > 0, largest, 1) / 127, float(kept)


def quantise(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the values (N, P) in units of their scale (P,) as int8."""
    return np.clip(np.round(values / scale), -127, 127).astype(np.int8)


def _require_whole_classes(name: str, split, labels: np.ndarray) -> None:
    if split.seen_test is not None or split.validation is not None:
        raise InputError(f"{name}: the compact layout has no place for seen_test, validation")
    for rows, classes in ((split.train, split.seen), (split.test, split.unseen)):
        if not np.array_equal(np.sort(rows), np.flatnonzero(np.isin(labels, classes))):
            raise InputError(f"{name}: does not take every image of its classes exactly once")


def _blocks(features: np.ndarray):
    return (features[start : start + BLOCK] for start in range(0, len(features), BLOCK))


def _as_they_are(features: np.ndarray) -> np.ndarray:
    return features.astype(np.float64)


def _rooted(features: np.ndarray) -> np.ndarray:
    if features.min() < 0:
        raise InputError("--square-root: expected features that are not negative")
    roots = np.sqrt(features.astype(np.float64))
    return roots / np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), 1e-12)
