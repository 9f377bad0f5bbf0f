"""Writing files in the published layout, each completely or not at all.

The same arrays give the same bytes, because the date that scipy writes into a MAT-file is replaced.
"""

import io
import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io

from cizsl.data.birds_layout import dataset_layout, split_layout
from repro.errors import InputError
from repro.files.atomic import write_atomically

LIMIT = 2**32 - 2**16  # bytes of one variable and what describes it
HEADING = b"MATLAB 5.0 MAT-file, written by cizsl"  # of each MAT-file: 116 bytes of free text


def write_mat(path: Path, variables: Mapping[str, np.ndarray], compress: bool = False) -> None:
    """Write a MAT-file of version 5; float16, which the format lacks, becomes float32.

    Raises `InputError` for a variable of 4 GiB, which the format cannot describe.
    """
    fitting = {
        n: x.astype(np.float32) if x.dtype == np.float16 else x for n, x in variables.items()
    }
    sizes = [x.nbytes for x in fitting.values() if isinstance(x, np.ndarray)]
    if (size := max(sizes, default=0)) >= LIMIT:
        large = f"{size / 2**30:.1f} GiB in one variable"
        raise InputError(
            f"{path}: {large}; a MAT-file holds less than 4, the npz layout holds more"
        )

    def write(file: io.BufferedIOBase) -> None:
        scipy.io.savemat(file, fitting, do_compression=compress)
        file.seek(0)
        file.write(HEADING.ljust(116))

    write_atomically(path, write)


def write_ids(path: Path, train_ids: np.ndarray, test_ids: np.ndarray) -> None:
    """Write the classes of a split: train_ids (S,) seen, test_ids (U,) unseen, from one."""
    ids = {"train_cid": train_ids, "test_cid": test_ids}
    write_mat(path, {name: np.asarray(value)[None] for name, value in ids.items()})


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a UTF-8 text file, one line for each of `lines`."""
    text = "".join(f"{line}\n" for line in lines).encode()
    write_atomically(path, lambda file: file.write(text))


def write_labels(path: Path, labels: np.ndarray) -> None:
    """Write labels (N,) as a pickle of uint16.

    Protocol 2 and the old name of numpy's module let numpy 1, Python 2 and the published code read
    it.
    """
    data = pickle.dumps(np.asarray(labels, np.uint16), protocol=2)
    data = data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    write_atomically(path, lambda file: file.write(data))


@dataclass(frozen=True, eq=False)
class BirdSplit:
    """The classes and images of one split, as `write_birds` takes them.

    train_ids, test_ids: (S,), (U,) one-based class ids, rows of the text counted from one.
    train_features, test_features: (N, D), (M, D) float.
    train_labels, test_labels: (N,), (M,) integers in [0, S), [0, U), in the order of the ids.
    """

    train_ids: np.ndarray
    test_ids: np.ndarray
    train_features: np.ndarray
    train_labels: np.ndarray
    test_features: np.ndarray
    test_labels: np.ndarray


def write_birds(
    root: str | Path,
    dataset: str,
    text: np.ndarray,
    terms: Sequence[str],
    splits: Mapping[str, BirdSplit],
    *,
    compress: bool = False,
) -> Path:
    """Write a dataset in the published layout and return its folder.

    Args:
        root: where the folder goes.
        dataset: "CUB", "NAB" or a name of one's own.
        text: (C, V).
        terms: V strings, or none.
        splits: a `BirdSplit` for each of "easy" and "hard", or for names of one's own.
        compress: compress the MAT-files.

    The published file names are kept whatever V is, because readers look for them: the `7551D` in a
    name says nothing about the number of terms in the file. The same arrays give the same bytes.
    """
    names = dataset_layout(dataset)
    folder = Path(root) / names["folder"]
    write_mat(folder / names["text"], {"PredicateMatrix": text}, compress)
    if len(terms):
        write_mat(folder / names["terms"], {"TFIDF_Term": np.array(terms, np.str_)}, compress)
    for name, split in splits.items():
        files = split_layout(dataset, name)
        write_ids(folder / files["ids"], split.train_ids, split.test_ids)
        for part in ("train", "test"):
            features = {"pfc_feat": getattr(split, f"{part}_features")}
            write_mat(folder / files[f"{part}_features"], features, compress)
            write_labels(folder / files[f"{part}_labels"], getattr(split, f"{part}_labels"))
    return folder
