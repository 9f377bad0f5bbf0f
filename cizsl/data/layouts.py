"""Loading a dataset by the name of its file layout."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cizsl.data.birds import load_birds
from cizsl.data.compact_features import load_compact
from cizsl.data.dataset import ZSLData
from cizsl.data.gbu import load_gbu
from cizsl.data.names import families
from cizsl.data.npz import load_npz
from cizsl.data.texts import add_texts
from repro.plugins import resolve


def load(
    root: str | Path,
    dataset: str = "CUB",
    split: str = "easy",
    layout: str = "published",
    texts: Sequence[str] = (),
) -> ZSLData:
    """Read one split of a dataset by `LAYOUT_READERS[layout]`.

    Args:
        root: the folder that holds the dataset's files, or that folder itself.
        dataset: the name of the dataset.
        split: the name of the split.
        layout: a key of `LAYOUT_READERS`, or "package.module:name" of a function like them.
        texts: files of further texts of the classes, see `cizsl.data.texts`.

    The family of a class is the last word of its name, where names are known.

    Raises `InputError` for an unknown layout, and for whatever the reader finds.
    """
    data = resolve(layout, LAYOUT_READERS, "layout")(root, dataset, split)
    data = add_texts(data, root, texts) if texts else data
    if data.families is None and data.class_names is not None:
        data = replace(data, families=families(data.class_names[: data.num_seen]))
    return data


LAYOUT_READERS = {  # each (root, dataset, split) -> ZSLData
    "published": load_birds,  # MAT-files and pickles, as CIZSL and GAZSL published them
    "npz": load_npz,  # one file of numpy arrays, see cizsl/data/npz.py
    "compact": load_compact,  # real birds in this package, see cizsl/data/compact_features.py
    "gbu": load_gbu,  # the attribute benchmarks, see cizsl/data/gbu.py
}
