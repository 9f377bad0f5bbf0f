"""Data sets of images in files: grey levels 0 to 255, scaled to [-1, 1].

    mnist, fashion_mnist   28 x 28 grey, 60,000 + 10,000, ten classes
    cifar10                32 x 32 colour, 50,000 + 10,000, ten classes
    folder                 any images, in a folder or a zip (sde/data/cache.py)
    npz                    arrays of images (sde/data/npz.py)

The held-out part is the official test part, where there is one. With ``split`` "train" or "test"
that part alone is cut in two at random; the name of the data then says so, because its numbers
cannot be compared with those of the official split.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from repro.errors import InputError
from repro.seeding import generator
from sde.data.cache import Decoding, read_folder
from sde.data.dataset import NAMES, Dataset, DataSpec, Split
from sde.data.download import fetch, require_there
from sde.data.formats import Images, read_cifar10, read_mnist
from sde.data.npz import read_npz
from sde.data.paths import printable, user_path
from sde.data.quantisation import Quantisation

BYTES = Quantisation(-1.0, 1.0, grey_levels=256)
SHAPES = {"mnist": (1, 28, 28), "fashion_mnist": (1, 28, 28), "cifar10": (3, 32, 32)}
HELDOUT = 4000  # default number of held-out examples; of folders and npz files at most
PARTS = {"official": ("train", "test"), "train": ("train",), "test": ("test",)}
CIFAR10_SOURCES = (  # the first that is there is read
    "cifar-10-batches-bin",
    "cifar-10-binary.tar.gz",  # downloaded where none is there
    "cifar-10-batches-py",
    "cifar-10-python.tar.gz",
)


@dataclass(frozen=True)
class Request:
    """Which files to read, and how; the keys of ``data`` in a configuration."""

    heldout: int | float | None = None
    seed: int = 0
    root: str = "data"
    path: str | None = None
    heldout_path: str | None = None
    split: str = "official"
    image_size: int | None = None
    channels: int | None = None
    skip_bad: bool = False
    download: bool = True
    read_only: bool = False  # write no file: neither download nor cache


def load(name: str, **request) -> Dataset:
    """Return the data set ``name``, a key of ``READERS``.

    Args:
        heldout: how many images to hold out or, below 1, which share of them. None: 4000 of a
            published set; of a folder or an npz file a tenth, at most 4000. The official split,
            and a second folder, determine it themselves.
        seed: of the random split.
        root: the folder of the published data sets, and of the cache.
        path: a folder, a zip, or an npz file.
        heldout_path: a second folder or zip; its images are held out.
        split: "official", "train" or "test".
        image_size: side of the square cut from the middle of each image and resized.
        channels: 1 or 3.
        skip_bad: leave out files that cannot be used.
        download: fetch published files that are missing.
        read_only: write no file; published files must be there, and decoded images go to a
            temporary file.

    Raises InputError where files are missing, damaged or not what their name says.
    """
    if request.get("heldout") is None and name in SHAPES:
        request["heldout"] = HELDOUT
    return READERS[name](name, Request(**request))


def folder_of(name: str, root: str | Path) -> Path:
    """Return the folder of a published data set: ``root/name``, or ``root`` if it is named so."""
    root = user_path(root, "data.root")
    return root if root.resolve().name == name else root / name


def download(name: str, root: str | Path) -> list[Path]:
    """Fetch the files of a published data set that are missing; return the paths of all.

    Raises InputError where no mirror has a file.
    """
    folder = folder_of(name, root)
    return [
        path if path.exists() else fetch(name, path.name, folder) for path in files_of(name, folder)
    ]


def files_of(name: str, folder: Path, split: str = "official") -> list[Path]:
    """Return the files that ``name`` is read from: those that are there, else what is fetched."""
    if name == "cifar10":
        there = [folder / source for source in CIFAR10_SOURCES if (folder / source).exists()]
        return there[:1] or [folder / CIFAR10_SOURCES[1]]
    found = []
    for part in PARTS[split]:
        stem = "t10k" if part == "test" else part
        for file in (f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"):
            unpacked = folder / file
            found.append(unpacked if unpacked.is_file() else folder / f"{file}.gz")
    return found


def _published_files(name: str, request: Request) -> list[Path]:
    """The files of a published data set, fetched if they are missing and may be."""
    folder = folder_of(name, request.root)
    files = files_of(name, folder, request.split)
    if request.read_only:
        require_there(name, files)
    return [
        path if path.exists() else fetch(name, path.name, folder, request.download)
        for path in files
    ]


def _mnist(name: str, request: Request) -> Dataset:
    files = _published_files(name, request)
    pairs = zip(files[::2], files[1::2], strict=True)
    return _dataset(name, [read_mnist(name, *pair) for pair in pairs], request)


def _cifar10(name: str, request: Request) -> Dataset:
    (source,) = _published_files(name, request)
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
    options: dict[str, Any] = dict(
        seed=request.seed, skip_bad=request.skip_bad, read_only=request.read_only
    )
    options["cache"] = user_path(request.root, "data.root") / ".cache"
    other = request.heldout_path
    paths = [path, user_path(other, "data.heldout_path")] if other else [path]
    title = ", held out: ".join(each.name for each in paths)
    title += f", {how.image_size} x {how.image_size}" if how.image_size else ""
    parts, skipped = [], ()
    for each in paths:
        images, left_out = read_folder(each, how, **options)
        parts.append(images)
        skipped += left_out
        if left_out:
            print(f"{each}: {len(left_out)} files skipped", file=sys.stderr)
    return _dataset(title, parts, request, skipped, shuffled=True)


def _path(name: str, request: Request) -> Path:
    if request.path is None:
        raise InputError(f"data.path: {name} needs one")
    return user_path(request.path, "data.path")


def _dataset(
    title: str,
    parts: list[Images],
    request: Request,
    skipped: tuple[str, ...] = (),
    shuffled: bool = False,
) -> Dataset:
    """Combine a training and a held-out part, or cut one part in two."""
    if len(parts) == 1:
        (whole,) = parts
        count = _count(title, whole, request.heldout)
        parts = _cut(whole, count, None if shuffled else request.seed)
        which = {"train": " training", "test": " test"}.get(request.split, "")
        title += f",{which} images cut into {len(whole) - count} + {count}"
    train, heldout = parts
    for what in ("classes", "shape", "entries"):
        mine, other = getattr(train, what), getattr(heldout, what)
        if mine != other:
            raise InputError(f"{title}: {what} {mine} in training, {other} in the held-out part")
    spec = DataSpec(printable(title), train.shape, BYTES, train.classes, train.entries)
    lossy = tuple(which for which, part in zip(NAMES, (train, heldout), strict=True) if part.jpeg)
    return Dataset(
        spec, _split(spec, train), _split(spec, heldout), skipped=skipped, from_jpeg=lossy
    )


def _cut(whole: Images, count: int, seed: int | None) -> list[Images]:
    """The training and the held-out part, of ``count`` images, drawn at random.

    Without a seed the images are in random order already, and slices of a memory-mapped file stay
    memory-mapped.
    """
    if seed is None:
        return [whole.rows(slice(count, None)), whole.rows(slice(count))]
    order = torch.randperm(len(whole), generator=generator(seed)).numpy()
    return [whole.rows(order[count:]), whole.rows(order[:count])]


def _split(spec: DataSpec, part: Images) -> Split:
    labels = None if part.labels is None else torch.from_numpy(part.labels)
    vectors = None if part.vectors is None else torch.from_numpy(part.vectors)
    return Split(spec, torch.from_numpy(part.values), labels, vectors)


def _count(title: str, images: Images, heldout: int | float | None) -> int:
    """How many to hold out, at least one. Raises InputError where none would be left to train."""
    if heldout is None:
        heldout = min(HELDOUT, max(1, len(images) // 10))
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
