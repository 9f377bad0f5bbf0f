"""Writing the kinds of files that the published birds come in, whole or not at all.

The same arrays give the same bytes: scipy would put the date into a MAT-file's first line.
"""

import io
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import scipy.io

from repro.checkpoint import write_atomically
from repro.errors import InputError

LIMIT = 2**32 - 2**16  # bytes of one variable and what describes it
HEADING = b"MATLAB 5.0 MAT-file, written by cizsl"  # of each MAT-file: 116 bytes of free text


def write_mat(path: Path, variables: Mapping[str, np.ndarray], compress: bool = False) -> None:
    """A MAT-file of version 5 with `variables`; float16, which the format lacks, as float32.

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
    """The classes of a split: train_ids (S,) seen, test_ids (U,) unseen, counted from one."""
    ids = {"train_cid": train_ids, "test_cid": test_ids}
    write_mat(path, {name: np.asarray(value)[None] for name, value in ids.items()})


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Text, a line for each of `lines`."""
    text = "".join(f"{line}\n" for line in lines).encode()
    write_atomically(path, lambda file: file.write(text))


def write_labels(path: Path, labels: np.ndarray) -> None:
    """labels (N,) as a pickle of uint16 that numpy 1, Python 2 and the published code can read:
    protocol 2, under the old name of numpy's module."""
    data = pickle.dumps(np.asarray(labels, np.uint16), protocol=2)
    data = data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    write_atomically(path, lambda file: file.write(data))
