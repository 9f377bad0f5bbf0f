"""The bird data of Elhoseiny et al. (2017), as the CIZSL code reads them (arXiv 1904.01109, section 5).

A dataset folder holds one text row per class, an easy and a hard split of the classes into seen
and unseen, and for each split the visual features and labels of the images.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io

LAYOUTS = {
    "CUB": {
        "folder": "CUB2011",
        "text": "CUB_Porter_7551D_TFIDF_new.mat",
        "terms": "CUB_Porter_7551D_TFIDF_term.mat",
        "easy": {
            "ids": "train_test_split_easy.mat",
            "train_features": "pfc_feat_train.mat",
            "test_features": "pfc_feat_test.mat",
            "train_labels": "labels_train.pkl",
            "test_labels": "labels_test.pkl",
        },
        "hard": {
            "ids": "train_test_split_hard.mat",
            "train_features": "pfc_feat_train_hard.mat",
            "test_features": "pfc_feat_test_hard.mat",
            "train_labels": "labels_train_hard.pkl",
            "test_labels": "labels_test_hard.pkl",
        },
    },
    "NAB": {
        "folder": "NABird",
        "text": "NAB_Porter_13217D_TFIDF_new.mat",
        "terms": "NAB_Porter_13217D_TFIDF_term.mat",
        "easy": {
            "ids": "train_test_split_NABird_easy.mat",
            "train_features": "pfc_feat_train_easy.mat",
            "test_features": "pfc_feat_test_easy.mat",
            "train_labels": "labels_train.pkl",
            "test_labels": "labels_test.pkl",
        },
        "hard": {
            "ids": "train_test_split_NABird_hard.mat",
            "train_features": "pfc_feat_train_hard.mat",
            "test_features": "pfc_feat_test_hard.mat",
            "train_labels": "labels_train_hard.pkl",
            "test_labels": "labels_test_hard.pkl",
        },
    },
}


@dataclass(frozen=True, eq=False)
class BirdSplit:
    """What `write_birds` writes for one split of the classes.

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
    """Write the published layout under `root` and return the dataset's folder.

    text: (classes, V); terms: V strings; splits: "easy" and "hard" to a `BirdSplit` (either may be
    left out). The published file names are kept whatever V is, because readers look for those
    names: a `7551D` in a name says nothing about the number of terms in the file.
    """
    layout = LAYOUTS[dataset]
    folder = Path(root) / layout["folder"]
    folder.mkdir(parents=True, exist_ok=True)

    def save(name: str, variables: dict[str, np.ndarray]) -> None:
        scipy.io.savemat(folder / name, variables, do_compression=compress)

    save(layout["text"], {"PredicateMatrix": text})
    save(layout["terms"], {"TFIDF_Term": np.array(terms, dtype=np.str_)})
    for name, split in splits.items():
        files = layout[name]
        ids = {"train_cid": split.train_ids, "test_cid": split.test_ids}
        save(files["ids"], {key: np.asarray(value)[None] for key, value in ids.items()})
        for part in ("train", "test"):
            save(files[f"{part}_features"], {"pfc_feat": getattr(split, f"{part}_features")})
            labels = np.asarray(getattr(split, f"{part}_labels"), dtype=np.uint16)
            (folder / files[f"{part}_labels"]).write_bytes(_published_pickle(labels))
    return folder


def _published_pickle(labels: np.ndarray) -> bytes:
    """Protocol 2 under numpy's old module name, which numpy 1 and the published code can read."""
    data = pickle.dumps(labels, protocol=2)
    return data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
