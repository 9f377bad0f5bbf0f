"""Tasks: what is trained on and what is measured, by the reference and the strict protocol.

Training and evaluation see nothing but a :class:`ZSLTask`. Two protocols make tasks from the data,
and every result names its own:

``reference``, the published one: train on the images of the seen classes, evaluate every few
iterations on the test classes, report the best. Seen accuracy is measured on training images. This
protocol selects on the test set; it is kept because the published numbers were obtained so.

``strict``, ours: a fixed seed splits off validation classes from the seen ones and holds out a
share of every seen class's images. All choices are made on the validation task. Then one training
on all seen classes is evaluated once on the test classes. Where the data include test images of
seen classes (GBU), seen accuracy is measured on those, in both protocols; where they name
validation classes, those are used.

Source: train_CIZSL.py, lines 387 to 456 and 533 to 552; Xian et al. (arXiv:1707.00600), section 3
for validation classes that are disjoint from training and test classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from cizsl.classifiers import class_centroids
from cizsl.data.dataset import ZSLData
from cizsl.data.discriminants import within_covariance
from cizsl.data.normalise import normaliser
from repro.errors import InputError


@dataclass(frozen=True)
class ZSLTask:
    """The data of one stage as normalised tensors on one device.

    S seen and U unseen classes, V terms, D features. ``train_*``: images to learn from, labels in
    [0, S). ``seen_*``: images of seen classes on which seen accuracy is measured. ``unseen_*``:
    images of the unseen classes, labels in [0, U). ``seen_text`` (S, V), ``unseen_text`` (U, V);
    ``centroids`` (S, D) of the training images. ``text_blocks``: the widths of the texts that
    stand side by side in the V columns.
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
    text_blocks: tuple[int, ...] = ()

    @cached_property
    def within(self) -> Tensor:
        """The pooled covariance of training images around their class centroid: (D, D) float64."""
        return within_covariance(self.train_features, self.train_labels, self.centroids)

    @cached_property
    def unseen_sizes(self) -> Tensor:
        """The number of images of each unseen class, on the CPU: (U,)."""
        return torch.bincount(self.unseen_labels, minlength=len(self.unseen_text)).cpu()


@dataclass(frozen=True)
class _Images:
    """Raw images: ``rows`` of a feature matrix, and their labels."""

    features: np.ndarray
    rows: np.ndarray
    labels: np.ndarray


def reference_task(data: ZSLData, normalisation: str, device: torch.device) -> ZSLTask:
    """Return the published task: all training images, and the test classes."""
    texts = data.seen_text, data.unseen_text, data.text_blocks
    return _task(_train(data), _seen_test(data), _test(data), texts, normalisation, device)


def strict_test_task(
    data: ZSLData, normalisation: str, device: torch.device, heldout: float, seed: int
) -> ZSLTask:
    """Return the task with all seen classes and the test classes.

    A share ``heldout`` of the seen classes' images is held out for seen accuracy, unless the data
    include images for that.
    """
    train, seen = _for_the_end(data, heldout, seed)
    texts = data.seen_text, data.unseen_text, data.text_blocks
    return _task(train, seen, _test(data), texts, normalisation, device)


def final_normaliser(
    data: ZSLData, normalisation: str, device: torch.device, heldout: float | None, seed: int = 0
) -> Callable[[Tensor], Tensor]:
    """Return the normalisation of features (N, D) in the task with the test classes.

    Args: as of :func:`strict_test_task`; ``heldout``: None in the reference protocol.
    """
    train = _train(data) if heldout is None else _for_the_end(data, heldout, seed)[0]
    return normaliser(_tensor(train, device), _labels(train, device), normalisation)


def validation_task(
    data: ZSLData,
    normalisation: str,
    device: torch.device,
    heldout: float,
    seed: int,
    fraction: float,
    by: str = "class",
    number: int = 0,
) -> ZSLTask:
    """Return a task of the same kind on the seen classes alone.

    The data's validation classes take the place of the unseen ones, or a share ``fraction`` of the
    seen ones: single classes, or whole families with ``by="family"``. The images that
    :func:`strict_test_task` holds out are left out, so that no image measured at the end takes
    part in a choice. ``number`` counts the ways to split off validation classes: each is another
    draw.
    """
    chosen = data.validation_classes
    if chosen is None:
        filled = np.flatnonzero(np.bincount(data.train_labels, minlength=data.num_seen))
        families = _families(data)[filled] if by == "family" else None
        chosen = filled[validation_classes(len(filled), fraction, seed, families, number)]
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
    texts = data.seen_text[kept], data.seen_text[chosen], data.text_blocks
    return _task(train, seen, unseen, texts, normalisation, device)


def validation_classes(
    num_seen: int,
    fraction: float,
    seed: int,
    families: np.ndarray | None = None,
    number: int = 0,
) -> np.ndarray:
    """Return the sorted indices of the classes that validate, drawn by ``seed``.

    Args:
        num_seen: number of seen classes with images; two at least validate, and two are left.
        fraction: share of them that validates, about.
        seed: of the draw.
        families: family of each class (num_seen,); whole families validate then.
        number: of the draw; each is another one.

    Raises :class:`InputError` where there are too few.
    """
    count = max(2, round(fraction * num_seen))
    stream = [seed, 0, number] if number else [seed, 0]
    order = np.random.default_rng(stream).permutation(num_seen)
    chosen = order[:count]
    if families is not None:
        drawn = list(dict.fromkeys(families[order]))  # families in random order
        sizes = np.cumsum([np.count_nonzero(families == family) for family in drawn])
        enough = drawn[: 1 + int(np.searchsorted(sizes, count))]
        chosen = np.flatnonzero(np.isin(families, enough))
    if num_seen - len(chosen) < 2:
        raise InputError(
            f"{num_seen} seen classes with images are too few to split off {count} for validation"
        )
    return np.sort(chosen)


def _families(data: ZSLData) -> np.ndarray:
    if data.families is None:
        raise InputError(
            f"{data.dataset} {data.split}: the families of its classes are not known; expected "
            "evaluation.validation_by=class"
        )
    return data.families


def _for_the_end(data: ZSLData, heldout: float, seed: int) -> tuple[_Images, _Images]:
    """Images to learn from, and those of seen classes that only the last evaluation sees."""
    if (seen := _seen_test(data)) is not None:
        return _train(data), seen
    rows = np.arange(len(data.train_labels))
    return _hold_out(data, rows, data.train_labels, heldout, (seed, 1))


def _hold_out(data: ZSLData, rows, labels, share, stream) -> tuple[_Images, _Images]:
    """Split images into kept and held out: of every class a share, at least one image of two."""
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
    features, labels = data.seen_test_features, data.seen_test_labels
    if labels is None:
        return None
    assert features is not None  # a layout has both or neither
    return _Images(features, np.arange(len(labels)), labels)


def _task(train, seen, unseen, texts, normalisation, device) -> ZSLTask:
    """Normalise by the training images and move everything to the device; ``seen=None`` measures
    seen accuracy on the training images, without a second copy."""
    raw, train_labels = _tensor(train, device), _labels(train, device)
    normalised = normaliser(raw, train_labels, normalisation)
    train_features = seen_features = normalised(raw)
    if seen is not None:
        seen_features = normalised(_tensor(seen, device))
    seen_text, unseen_text = (
        torch.from_numpy(np.ascontiguousarray(text)).to(device) for text in texts[:2]
    )
    return ZSLTask(
        train_features=train_features,
        train_labels=train_labels,
        seen_features=seen_features,
        seen_labels=train_labels if seen is None else _labels(seen, device),
        unseen_features=normalised(_tensor(unseen, device)),
        unseen_labels=_labels(unseen, device),
        seen_text=seen_text,
        unseen_text=unseen_text,
        centroids=class_centroids(train_features, train_labels, len(seen_text)),
        text_blocks=texts[2] or (seen_text.shape[1],),
    )


def _tensor(images: _Images, device: torch.device) -> Tensor:
    whole = len(images.rows) == len(images.features)
    return torch.from_numpy(images.features if whole else images.features[images.rows]).to(device)


def _labels(images: _Images, device: torch.device) -> Tensor:
    return torch.from_numpy(images.labels.astype(np.int64)).to(device)
