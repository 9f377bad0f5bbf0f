"""Loading a dataset by the name of its file layout."""

from pathlib import Path

from cizsl.data.birds import load_birds
from cizsl.data.compact_features import load_compact
from cizsl.data.dataset import ZSLData
from cizsl.data.gbu import load_gbu
from cizsl.data.npz import load_npz
from repro.plugins import resolve


def load(
    root: str | Path, dataset: str = "CUB", split: str = "easy", layout: str = "published"
) -> ZSLData:
    """Read one split of a dataset by `LAYOUT_READERS[layout]`.

    Args:
        root: the folder that holds the dataset's files, or that folder itself.
        dataset: the name of the dataset.
        split: the name of the split.
        layout: a key of `LAYOUT_READERS`, or "package.module:name" of a function like them.

    Raises `InputError` for an unknown layout, and for whatever the reader finds.
    """
    return resolve(layout, LAYOUT_READERS, "layout")(root, dataset, split)


LAYOUT_READERS = {  # each (root, dataset, split) -> ZSLData
    "published": load_birds,  # MAT-files and pickles, as CIZSL and GAZSL published them
    "npz": load_npz,  # one file of numpy arrays, see cizsl/data/npz.py
    "compact": load_compact,  # real birds in this package, see cizsl/data/compact_features.py
    "gbu": load_gbu,  # the attribute benchmarks, see cizsl/data/gbu.py
}
