"""What is trained on and what is measured, as code.

A :class:`ZSLTask` is all that training and evaluation ever see. Two protocols make problems from
the data, and every result names its own:

``reference``, the published one: train on the images of the seen classes, evaluate every few
iterations on the test classes, report the best. Seen accuracy is measured on training images. It
selects on the test set; it is here because the published numbers were made so.

``strict``, ours: a committed seed carves validation classes out of the seen ones and holds out a
share of every seen class's images. All choices are made on the validation problem. Then one
training on all seen classes, and one look at the test classes.

Data that bring test images of seen classes (GBU) have seen accuracy measured on those, in both
protocols, and data that bring validation classes use them in the place of the carved ones.

Source: train_CIZSL.py, lines 387 to 456 and 533 to 552; Xian et al. (arXiv:1707.00600), section 3
for validation classes that are disjoint from training and test classes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cizsl.classifiers import class_centroids
from cizsl.data.dataset import ZSLData
from cizsl.data.normalise import normalise
from repro.errors import InputError


@dataclass(frozen=True)
class ZSLTask:
    """Normalised tensors on one device. S seen and U unseen classes, V terms, D features.

    ``train_*``: images to learn from, labels in [0, S). ``seen_*``: images of seen classes on
    which seen accuracy is measured. ``unseen_*``: images of the unseen classes, labels in [0, U).
    ``seen_text`` (S, V), ``unseen_text`` (U, V); ``centroids`` (S, D) of the training images.
    """

    train_features: Tensor
    train_labels: Tensor
    seen_features: Tensor
    seen_labels: Tensor
    unseen_features: Tensor
    unseen_labels: Tensor
    seen_text: Tensor
    unseen_text: Tensor
    centroids: Tensor


@dataclass(frozen=True)
class _Images:
    """Raw images by row number: ``rows`` of the training or the test matrix, and their labels."""

    features: np.ndarray
    rows: np.ndarray
    labels: np.ndarray


def reference_problem(data: ZSLData, normalisation: str, device: torch.device) -> ZSLTask:
    """The published problem: all training images, and the test classes."""
    texts = data.seen_text, data.unseen_text
    return _problem(_train(data), _seen_test(data), _test(data), texts, normalisation, device)


def strict_test_problem(
    data: ZSLData, normalisation: str, device: torch.device, heldout: float, seed: int
) -> ZSLTask:
    """All seen classes, a share ``heldout`` of their images kept for seen accuracy unless the data
    bring images for that; the test classes."""
    train, seen = _for_the_end(data, heldout, seed)
    texts = data.seen_text, data.unseen_text
    return _problem(train, seen, _test(data), texts, normalisation, device)


def validation_problem(
    data: ZSLData,
    normalisation: str,
    device: torch.device,
    heldout: float,
    seed: int,
    fraction: float,
) -> ZSLTask:
    """The same shape of problem without the test classes: the data's validation classes, or a
    share ``fraction`` of the seen ones, play the unseen ones. The images that
    :func:`strict_test_problem` holds out are left out, so that nothing measured at the end takes
    part in a choice."""
    chosen = data.validation_classes
    if chosen is None:
        filled = np.flatnonzero(np.bincount(data.train_labels, minlength=data.num_seen))
        chosen = filled[validation_classes(len(filled), fraction, seed)]
    kept = np.setdiff1d(np.arange(data.num_seen), chosen)
    new_label = np.empty(data.num_seen, np.int64)
    new_label[kept], new_label[chosen] = np.arange(len(kept)), np.arange(len(chosen))
    labels, is_unseen = new_label[data.train_labels], np.isin(data.train_labels, chosen)
    free = _for_the_end(data, heldout, seed)[0].rows
    rows = free[~is_unseen[free]]
    train, seen = _hold_out(data, rows, labels[rows], heldout, (seed, 2))
    rows = free[is_unseen[free]]
    if not len(rows):
        raise InputError(f"none of the {len(chosen)} validation classes has an image")
    unseen = _Images(data.train_features, rows, labels[rows])
    texts = data.seen_text[kept], data.seen_text[chosen]
    return _problem(train, seen, unseen, texts, normalisation, device)


def validation_classes(num_seen: int, fraction: float, seed: int) -> np.ndarray:
    """Sorted indices of the seen classes that validate, of ``num_seen`` that have images, drawn by
    ``seed``: at least two, and at least two are left."""
    count = max(2, round(fraction * num_seen))
    if num_seen - count < 2:
        raise InputError(
            f"{num_seen} seen classes with images are too few to carve {count} for validation"
        )
    return np.sort(np.random.default_rng([seed, 0]).permutation(num_seen)[:count])


def _for_the_end(data: ZSLData, heldout: float, seed: int) -> tuple[_Images, _Images]:
    """Images to learn from, and those of seen classes that only the last evaluation sees."""
    if (seen := _seen_test(data)) is not None:
        return _train(data), seen
    rows = np.arange(len(data.train_labels))
    return _hold_out(data, rows, data.train_labels, heldout, (seed, 1))


def _hold_out(data: ZSLData, rows, labels, share, stream) -> tuple[_Images, _Images]:
    """Split images: of every class, a share (at least one image, if it has two) is held out."""
    order = np.random.default_rng(stream).permutation(len(data.train_labels))[rows]
    held = np.zeros(len(rows), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(1, round(share * len(members))), len(members) - 1)
        held[members[np.argsort(order[members])][:count]] = True
    if not held.any():
        raise InputError(
            "no seen class has a second image, of which one could be held out for seen accuracy; "
            "evaluation.protocol=reference measures it on the training images"
        )
    parts = [_Images(data.train_features, rows[mask], labels[mask]) for mask in (~held, held)]
    return parts[0], parts[1]


def _train(data: ZSLData) -> _Images:
    return _Images(data.train_features, np.arange(len(data.train_labels)), data.train_labels)


def _test(data: ZSLData) -> _Images:
    return _Images(data.test_features, np.arange(len(data.test_labels)), data.test_labels)


def _seen_test(data: ZSLData) -> _Images | None:
    labels = data.seen_test_labels
    if labels is None:
        return None
    return _Images(data.seen_test_features, np.arange(len(labels)), labels)


def _problem(train, seen, unseen, texts, normalisation, device) -> ZSLTask:
    """Normalise by the training images alone and move everything to the device.

    ``seen=None`` measures seen accuracy on the training images, without a second copy."""
    raw = _tensor(train, device)
    train_features, train_labels = normalise(raw, raw, normalisation), _labels(train, device)
    if seen is None:
        seen_features, seen_labels = train_features, train_labels
    else:
        seen_features = normalise(_tensor(seen, device), raw, normalisation)
        seen_labels = _labels(seen, device)
    seen_text, unseen_text = (
        torch.from_numpy(np.ascontiguousarray(text)).to(device) for text in texts
    )
    return ZSLTask(
        train_features=train_features,
        train_labels=train_labels,
        seen_features=seen_features,
        seen_labels=seen_labels,
        unseen_features=normalise(_tensor(unseen, device), raw, normalisation),
        unseen_labels=_labels(unseen, device),
        seen_text=seen_text,
        unseen_text=unseen_text,
        centroids=class_centroids(train_features, train_labels, len(seen_text)),
    )


def _tensor(images: _Images, device: torch.device) -> Tensor:
    whole = len(images.rows) == len(images.features)
    return torch.from_numpy(images.features if whole else images.features[images.rows]).to(device)


def _labels(images: _Images, device: torch.device) -> Tensor:
    return torch.from_numpy(images.labels.astype(np.int64)).to(device)
