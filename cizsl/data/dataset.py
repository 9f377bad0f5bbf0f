"""One split of one dataset as plain arrays: the result of every reader.

`cizsl.data.layouts.load` chooses the reader.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ZSLData:
    """One split of one dataset, as read: features are raw, not normalised.

    train_features: (N, D) float32, C-contiguous; train_labels: (N,) int64 in [0, S).
    test_features: (M, D) float32, C-contiguous; test_labels: (M,) int64 in [0, U).
    seen_text: (S, V), unseen_text: (U, V) float32; a class without an article is a row of zeros.
    seen_ids: (S,), unseen_ids: (U,) int64 class ids, one-based: label k is the class ids[k].
    files: file name to SHA-256 (hex) of each file read; toy: a `TOY.md` marks invented data.

    The last fields are None where a layout does not have them, as that of the published birds; the
    protocols then choose images and classes themselves.
    seen_test_features: (M', D), seen_test_labels: (M',) in [0, S): images of seen classes that
    measure seen accuracy. validation_classes: (K,) the labels, of the seen classes, that validate.
    families: (S,) integers, the family of each seen class. text_blocks: the widths of several texts
    that stand side by side in the columns of the text; one text is one block. class_names: (S + U,)
    names of the seen classes, then of the unseen ones.
    """

    dataset: str
    split: str
    train_features: np.ndarray
    train_labels: np.ndarray
    test_features: np.ndarray
    test_labels: np.ndarray
    seen_text: np.ndarray
    unseen_text: np.ndarray
    seen_ids: np.ndarray
    unseen_ids: np.ndarray
    files: dict[str, str]
    toy: bool
    seen_test_features: np.ndarray | None = None
    seen_test_labels: np.ndarray | None = None
    validation_classes: np.ndarray | None = None
    families: np.ndarray | None = None
    text_blocks: tuple[int, ...] | None = None
    class_names: tuple[str, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """A name for every class, seen ones first: by its number where the layout has none."""
        if self.class_names is not None:
            return self.class_names
        return tuple(f"class {number}" for number in (*self.seen_ids, *self.unseen_ids))

    @property
    def num_seen(self) -> int:
        return len(self.seen_ids)

    @property
    def num_unseen(self) -> int:
        return len(self.unseen_ids)

    @property
    def feature_dim(self) -> int:
        return self.train_features.shape[1]

    @property
    def text_dim(self) -> int:
        return self.seen_text.shape[1]
