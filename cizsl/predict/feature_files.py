"""Features of images in a file, in the forms that the layouts have.

.npy    one array (N, D)
.npz    an array `features` (N, D), and perhaps `image_names` (N,), as `cizsl data images` and
        the npz layout write them; of a compact file `features` in units of `scale`
.mat    `pfc_feat` (N, D) of the published birds, or `features` (D, N) of the attribute
        benchmarks
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cizsl.data.matfile import damage, mat_variables
from repro.errors import InputError
from repro.files.regular_file import open_regular
from repro.files.safe_npz import read_arrays

NAMES = ("image_names", "images")  # of the npz and the compact layout


@dataclass(frozen=True, eq=False)
class Features:
    """``numbers`` (N, D) of N items, and their names, by place where the file has none."""

    names: list[str]
    numbers: np.ndarray

    @classmethod
    def unnamed(cls, numbers: np.ndarray) -> "Features":
        """Features (N, D) whose items are named by their rows, from 0."""
        return cls([f"row {number}" for number in range(len(numbers))], numbers)

    def __len__(self) -> int:
        return len(self.names)


def read_features(path: Path, dim: int) -> Features:
    """Read a file of features.

    Args: ``path``, a .npy, .npz or .mat file; ``dim``: the number D of features that is expected.

    Raises :class:`InputError` for other files, and for features of another shape or type.
    """
    try:
        numbers, names = READERS[path.suffix.lower()](path)
        _check(numbers, dim)
        if names is None:
            return Features.unnamed(numbers)
        return Features(_listed(names, len(numbers)), numbers)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _check(numbers: np.ndarray, dim: int) -> None:
    if numbers.ndim != 2 or numbers.dtype.kind not in "fiu":
        raise InputError(f"expected numbers (N, {dim}), got {numbers.dtype} {numbers.shape}")
    if numbers.shape[1] != dim:
        raise InputError(
            f"expected {dim} features of each item, as the run has, got {numbers.shape}"
        )
    if not len(numbers):
        raise InputError("no item")


def _listed(names: np.ndarray, count: int) -> list[str]:
    if names.shape != (count,) or names.dtype.kind != "U":
        raise InputError(f"names: expected {count} strings, got {names.dtype} {names.shape}")
    return names.tolist()


def _npy(path: Path) -> tuple[np.ndarray, None]:
    with damage("an array of numbers"):
        open_regular(path).close()
        return np.load(path, mmap_mode="r", allow_pickle=False), None


def _npz(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    arrays, headers = read_arrays(path, lambda name: name in ("features", "scale", *NAMES))
    if "features" not in arrays:
        found = ", ".join(list(headers)[:5]) or "none"
        raise InputError(f"no array features (N, D); arrays in the file: {found}")
    numbers = arrays["features"]
    if "scale" in arrays:
        with damage("of the compact layout"):
            numbers = numbers * arrays["scale"].astype(np.float32)
    return numbers, next((arrays[name] for name in NAMES if name in arrays), None)


def _mat(path: Path) -> tuple[np.ndarray, None]:
    names = []
    for found in mat_variables(path):
        if found.name == "pfc_feat":
            return found.read(), None
        if found.name == "features":
            return found.read_transposed(), None
        names.append(found.name)
    raise InputError(f"no variable pfc_feat or features; variables in the file: {names[:5]}")


READERS = {".npy": _npy, ".npz": _npz, ".mat": _mat}
