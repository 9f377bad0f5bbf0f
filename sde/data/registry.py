"""Every data set by its name."""

from dataclasses import replace

from repro.errors import InputError
from sde.data import image_datasets
from sde.data.dataset import Dataset, DataSpec
from sde.data.toy import DATASETS


def load(
    name: str,
    *,
    train: int = 20000,
    heldout: int | float = 4000,
    seed: int = 0,
    flip: bool = False,
    dequantise: bool = True,
    centred: bool = True,
    **files,
) -> Dataset:
    """The data set ``name``; the same for the same arguments.

    ``train`` and ``heldout`` are counts of draws; of the digits there are 1500 and 297 whatever
    they say. ``flip`` mirrors training images at random, ``dequantise`` spreads levels over their
    cells where they are drawn for training, ``centred`` puts them on [-1, 1], else on [0, 1].
    ``files``, and what ``heldout`` means of images in files: see ``images.load``; the other data
    have no use for them. Raises InputError for an unknown name, a count below 1, or bad files.
    """
    if name in image_datasets.READERS:
        found = image_datasets.load(name, heldout=heldout, seed=seed, **files)
    elif name not in DATASETS:
        known = ", ".join([*DATASETS, *image_datasets.READERS])
        raise InputError(f"unknown data {name!r}: choose from {known}")
    elif train < 1 or heldout < 1:
        raise InputError(f"{name}: counts must be at least 1; got {train} and {heldout}")
    else:
        found = DATASETS[name](train, heldout, seed)
    return _as_drawn(found, flip, dequantise, centred)


def outline(name: str, *, centred: bool = True) -> Dataset | None:
    """A published set of images without its images, whose files are not looked for: what is needed
    to draw samples of a model of it. None for other data."""
    if name not in image_datasets.SHAPES:
        return None
    declaration = DataSpec(name, image_datasets.SHAPES[name], image_datasets.LEVELS)
    return Dataset(_ranged(declaration, centred), None, None)


def _ranged(declaration: DataSpec, centred: bool) -> DataSpec:
    if centred or not declaration.levels:
        return declaration
    return replace(declaration, levels=replace(declaration.levels, low=0.0))


def _as_drawn(data: Dataset, flip: bool, dequantise: bool, centred: bool) -> Dataset:
    declaration = data.declaration
    if flip and not declaration.is_image:
        raise InputError(f"{declaration.name}: flip is for images")
    declaration = _ranged(declaration, centred)
    how = dict(declaration=declaration, dequantise=dequantise)
    train, heldout = replace(data.train, flip=flip, **how), replace(data.heldout, **how)
    return replace(data, declaration=declaration, train=train, heldout=heldout)
