"""Images in npz files.

images             (N, H, W) or (N, H, W, C) uint8
labels, vectors    optional: (N,) integers and (N, K) real numbers, for ``model.condition``
test_images, test_labels, test_vectors   likewise, optional: the official test part
"""

import math
import os
from pathlib import Path

import numpy as np

from repro.errors import InputError
from repro.files.safe_npz import ArrayHeader, read_arrays
from sde.data.formats import Images, damage, times

NAMES = tuple(f"{part}{n}" for part in ("", "test_") for n in ("images", "labels", "vectors"))
MOST_CLASSES = 100_000


def read_npz(path: Path) -> tuple[Images, Images | None]:
    """Return the images of an npz file and, if it has them, its ``test_images``.

    Headers are checked before any array is read; unknown arrays are never read. Raises InputError
    where there is no array ``images``, or one is not as this module's docstring says, or the arrays
    do not fit into memory.
    """
    with damage(path):
        _, headers = read_arrays(path, lambda name: False)
        if "images" not in headers:
            read_arrays(path, NAMES.__contains__)  # raises where the array is there but damaged
            others = ", ".join(sorted(set(headers) - set(NAMES))[:5])
            raise InputError(f"no array 'images'; it holds {others or 'nothing'}")
        _check_npz(headers)
        arrays, _ = read_arrays(path, NAMES.__contains__)
    train = _npz_images(arrays, "", path)
    return train, _npz_images(arrays, "test_", path) if "test_images" in arrays else None


def _check_npz(headers: dict[str, ArrayHeader]) -> None:
    """Raise InputError for shapes and types that cannot be used, or too large for memory."""
    for part in ("", "test_"):
        if (images := headers.get(f"{part}images")) is None:
            continue
        shape, dtype = images.shape, images.dtype
        if dtype != np.uint8 or len(shape) not in (3, 4) or not math.prod(shape):
            raise InputError(
                f"{part}images is {times(shape)} of {dtype}, expected uint8 (N, H, W) or "
                "(N, H, W, C)"
            )
        if len(shape) == 4 and shape[3] not in (1, 3):
            raise InputError(f"{part}images has {shape[3]} channels, expected 1 or 3")
        labels = headers.get(f"{part}labels")
        if labels and (labels.shape != shape[:1] or labels.dtype.kind not in "iu"):
            raise _bad_labels(part, labels, shape[0])
        vectors = headers.get(f"{part}vectors")
        if vectors and not _are_vectors(vectors, shape[0]):
            raise InputError(
                f"{part}vectors is {times(vectors.shape)} of {vectors.dtype}, expected {shape[0]} "
                "rows of real numbers"
            )
    known = [header for name, header in headers.items() if name in NAMES]
    size = sum(math.prod(header.shape) * header.dtype.itemsize for header in known)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > memory:
        raise InputError(
            f"its arrays take {size / 1e9:.1f} GB, more than the {memory / 1e9:.1f} GB of memory"
        )


def _are_vectors(vectors: ArrayHeader, count: int) -> bool:
    real = vectors.dtype.kind in "iuf"
    return real and len(vectors.shape) == 2 and vectors.shape[0] == count and vectors.shape[1] > 0


def _bad_labels(part: str, labels: np.ndarray | ArrayHeader, count: int) -> InputError:
    return InputError(
        f"{part}labels is {times(labels.shape)} of {labels.dtype}, expected {count} whole "
        "numbers from 0"
    )


def _npz_images(arrays: dict[str, np.ndarray], part: str, path: Path) -> Images:
    values, labels = arrays[f"{part}images"], arrays.get(f"{part}labels")
    values = values[:, None] if values.ndim == 3 else values.transpose(0, 3, 1, 2)
    values = np.ascontiguousarray(values)
    vectors = arrays.get(f"{part}vectors")
    if vectors is not None:
        vectors = vectors.astype(np.float32)
        if not np.isfinite(vectors).all():
            raise InputError(f"{path}: {part}vectors holds values that are not finite")
    if labels is None:
        return Images(values, vectors=vectors)
    if labels.min() < 0:
        raise InputError(f"{path}: {_bad_labels(part, labels, len(values))}")
    count = max(int(arrays[name].max()) for name in arrays if name.endswith("labels")) + 1
    if count > MOST_CLASSES:
        raise InputError(f"{path}: a label is {count - 1}, expected below {MOST_CLASSES}")
    return Images(values, labels.astype(np.int64), tuple(map(str, range(count))), vectors)
