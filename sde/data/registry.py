"""Every data set by its name: the toy sets of `sde.data.toy`, the images of
`sde.data.image_datasets`."""

from dataclasses import replace
from typing import Any

from repro.errors import InputError
from repro.plugins import resolve
from sde.data import image_datasets
from sde.data.catalogue import CLASSES
from sde.data.dataset import Dataset, DataSpec
from sde.data.image_datasets import HELDOUT
from sde.data.toy import DATASETS


def load(
    name: str,
    *,
    train: int = 20000,
    heldout: int | float | None = None,
    seed: int = 0,
    flip: bool = False,
    dequantise: bool = True,
    centred: bool = True,
    **files,
) -> Dataset:
    """Return the data set ``name``; equal arguments give equal data.

    Args:
        name: a key of ``DATASETS`` or ``image_datasets.READERS``; or ``package.module:name``, a
            function (train, heldout, seed) -> Dataset.
        train, heldout: numbers of draws from a toy distribution; heldout None: 4000. ``digits``
            always has 1500 and 297 images. For images in files see ``image_datasets.load``.
        seed: of the draws, and of the split of images.
        flip: mirror drawn training images at random.
        dequantise: draw training images uniformly within the cells of their grey levels.
        centred: scale grey levels to [-1, 1]; otherwise to [0, 1].
        files: where images lie; see ``image_datasets.load``. Toy data ignores them.

    Raises InputError for an unknown name, a count below 1, or files that cannot be used.
    """
    if name in image_datasets.READERS:
        found = image_datasets.load(name, heldout=heldout, seed=seed, **files)
    else:
        known: dict[str, Any] = {**DATASETS, **image_datasets.READERS}
        make = resolve(name, known, "data set")
        heldout = HELDOUT if heldout is None else heldout
        if train < 1 or heldout < 1:
            raise InputError(f"{name}: counts must be at least 1; got {train} and {heldout}")
        found = make(train, heldout, seed)
    return _as_drawn(found, flip, dequantise, centred)


def names() -> list[str]:
    """Return the name of every data set."""
    return [*DATASETS, *image_datasets.READERS]


def data_spec(name: str, *, centred: bool = True) -> DataSpec | None:
    """Return the spec of a data set without reading its files, or None where only the files tell.

    It is known for the published image sets; a model of them can be sampled without the images.
    """
    if name not in image_datasets.SHAPES:
        return None
    classes = CLASSES[name]
    spec = DataSpec(name, image_datasets.SHAPES[name], image_datasets.BYTES, classes)
    return _in_range(spec, centred)


def _in_range(spec: DataSpec, centred: bool) -> DataSpec:
    if centred or not spec.quantisation:
        return spec
    return replace(spec, quantisation=replace(spec.quantisation, low=0.0))


def _as_drawn(data: Dataset, flip: bool, dequantise: bool, centred: bool) -> Dataset:
    if flip and not data.spec.is_image:
        raise InputError(f"{data.spec.name}: flip is for images")
    spec = _in_range(data.spec, centred)
    how: dict[str, Any] = dict(spec=spec, dequantise=dequantise)
    train, heldout = replace(data.train, flip=flip, **how), replace(data.heldout, **how)
    return replace(data, spec=spec, train=train, heldout=heldout)
