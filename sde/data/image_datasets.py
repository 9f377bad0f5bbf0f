"""Images in files as data sets: levels 0 to 255 on [-1, 1], in a training and a held-out part.

    mnist, fashion_mnist   28 x 28 grey, 60,000 + 10,000, ten classes
    cifar10                32 x 32 colour, 50,000 + 10,000, ten classes
    folder                 any images, in a folder or a zip (sde/data/cache.py)
    npz                    arrays of images (sde/data/formats.py)

Three ways to a held-out part: the official one is the test part, where there is one; the training
part alone or the test part alone is cut in two at random. The last two say so in the name of the
data, so that their numbers are not mistaken for those of the official split.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from repro.errors import InputError
from repro.seeding import generator
from sde.data.cache import Decoding, read_folder
from sde.data.dataset import Dataset, DataSpec, Split
from sde.data.download import fetch
from sde.data.formats import Images, read_cifar10, read_mnist, read_npz
from sde.data.quantisation import Quantisation

BYTES = Quantisation(-1.0, 1.0, grey_levels=256)
SHAPES = {"mnist": (1, 28, 28), "fashion_mnist": (1, 28, 28), "cifar10": (3, 32, 32)}
PARTS = {"official": ("train", "test"), "train": ("train",), "test": ("test",)}
CIFAR10_SOURCES = (  # in this order, whichever is there; the first archive is what is fetched
    "cifar-10-batches-bin",
    "cifar-10-binary.tar.gz",
    "cifar-10-batches-py",
    "cifar-10-python.tar.gz",
)


@dataclass(frozen=True)
class Request:
    """Which files, and what of them; the keys of ``data`` in a configuration."""

    heldout: int | float
    seed: int = 0
    root: str = "data"
    path: str | None = None
    heldout_path: str | None = None
    split: str = "official"
    image_size: int | None = None
    channels: int | None = None
    skip_bad: bool = False
    download: bool = True


def load(name: str, **request) -> Dataset:
    """The data set ``name``, a key of ``READERS``; the keywords are those of ``Request``.

    ``heldout`` is a count of images or, below 1, a share of them; the official split, and a second
    folder, have their own. ``root`` holds the files of published sets, ``path`` a folder, a zip or
    an npz file, ``heldout_path`` a second folder or zip, whose images are held out. Raises
    InputError where files are missing, damaged or not what their name says.
    """
    return READERS[name](name, Request(**request))


def folder_of(name: str, root: str | Path) -> Path:
    """Where the files of a published data set lie: ``root/name``, or ``root`` if it ends so."""
    root = Path(root).expanduser()
    return root if root.resolve().name == name else root / name


def _mnist(name: str, request: Request) -> Dataset:
    folder, parts = folder_of(name, request.root), []
    for part in PARTS[request.split]:
        stem = "t10k" if part == "test" else part
        files = []
        for file in (f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"):
            unpacked = folder / file
            if not unpacked.is_file():
                unpacked = fetch(name, f"{file}.gz", folder, request.download)
            files.append(unpacked)
        parts.append(read_mnist(name, *files))
    return _dataset(name, parts, request)


def _cifar10(name: str, request: Request) -> Dataset:
    folder = folder_of(name, request.root)
    there = [folder / source for source in CIFAR10_SOURCES if (folder / source).exists()]
    source = there[0] if there else fetch(name, CIFAR10_SOURCES[1], folder, request.download)
    return _dataset(name, [read_cifar10(source, part) for part in PARTS[request.split]], request)


def _npz(name: str, request: Request) -> Dataset:
    path = _path(name, request)
    train, test = read_npz(path)
    if request.split != "train" and test is not None:
        parts = [train, test] if request.split == "official" else [test]
    elif request.split == "test":
        raise InputError(f"{path}: no array 'test_images', which data.split=test asks for")
    else:
        parts = [train]
    return _dataset(path.name, parts, request)


def _folder(name: str, request: Request) -> Dataset:
    path, how = _path(name, request), Decoding(request.channels or 3, request.image_size)
    options = dict(seed=request.seed, cache=Path(request.root).expanduser() / ".cache")
    other = request.heldout_path
    paths = [path, Path(other).expanduser()] if other else [path]
    title = ", held out: ".join(each.name for each in paths)
    title += f", {how.image_size} x {how.image_size}" if how.image_size else ""
    parts, skipped = [], ()
    for each in paths:
        images, left_out = read_folder(each, how, skip_bad=request.skip_bad, **options)
        parts.append(images)
        skipped += left_out
        if left_out:
            print(f"{each}: {len(left_out)} files skipped", file=sys.stderr)
    return _dataset(title, parts, request, skipped, shuffled=True)


def _path(name: str, request: Request) -> Path:
    if request.path is None:
        raise InputError(f"data.path: {name} needs one")
    return Path(request.path).expanduser()


def _dataset(
    title: str,
    parts: list[Images],
    request: Request,
    skipped: tuple[str, ...] = (),
    shuffled: bool = False,
) -> Dataset:
    """A training and a held-out part, or one part that is to be cut in two."""
    if len(parts) == 1:
        whole, count = parts[0], _count(title, parts[0], request.heldout)
        if shuffled:  # a file mapped into memory stays one
            parts = [whole.rows(slice(count, None)), whole.rows(slice(count))]
        else:
            order = torch.randperm(len(whole), generator=generator(request.seed)).numpy()
            parts = [whole.rows(order[count:]), whole.rows(order[:count])]
        which = {"train": " training", "test": " test"}.get(request.split, "")
        title += f",{which} images cut into {len(whole) - count} + {count}"
    train, heldout = parts
    for what in ("classes", "shape"):
        mine, other = getattr(train, what), getattr(heldout, what)
        if mine != other:
            raise InputError(f"{title}: {what} {mine} in training, {other} in the held-out part")
    spec = DataSpec(title, train.shape, BYTES, train.classes)
    splits = [
        Split(
            spec,
            torch.from_numpy(part.values),
            None if part.labels is None else torch.from_numpy(part.labels),
        )
        for part in parts
    ]
    return Dataset(spec, *splits, skipped=skipped)


def _count(title: str, images: Images, heldout: int | float) -> int:
    """How many to hold out, at least one. Raises InputError where none would be left to train."""
    count = max(1, round(heldout * len(images))) if heldout < 1 else int(heldout)
    if not 0 < count < len(images):
        raise InputError(
            f"{title}: data.heldout={heldout} of {len(images)} images leaves none to train on; "
            "give a smaller count, or a share such as 0.1"
        )
    return count


READERS = {
    "mnist": _mnist,
    "fashion_mnist": _mnist,
    "cifar10": _cifar10,
    "folder": _folder,
    "npz": _npz,
}
