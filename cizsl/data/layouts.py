"""Loading a dataset by the name of its file layout."""

from pathlib import Path

from cizsl.data.birds import load_birds
from cizsl.data.compact_features import load_compact
from cizsl.data.dataset import ZSLData
from cizsl.data.gbu import load_gbu
from cizsl.data.npz import load_npz
from repro.errors import InputError


def load(
    root: str | Path, dataset: str = "CUB", split: str = "easy", layout: str = "published"
) -> ZSLData:
    """`LAYOUT_READERS[layout]`: read one split of a dataset from the files under `root`.

    Raises `InputError` for an unknown layout, and for whatever the reader finds.
    """
    if layout not in LAYOUT_READERS:
        raise InputError(f"no layout {layout!r}: expected {', '.join(LAYOUT_READERS)}")
    return LAYOUT_READERS[layout](root, dataset, split)


LAYOUT_READERS = {  # each (root, dataset, split) -> ZSLData
    "published": load_birds,  # MAT-files and pickles, as CIZSL and GAZSL published them
    "npz": load_npz,  # one file of numpy arrays, see cizsl/data/npz.py
    "compact": load_compact,  # real birds in this package, see cizsl/data/compact_features.py
    "gbu": load_gbu,  # the attribute benchmarks, see cizsl/data/gbu.py
}
