"""Images in the files that published data sets come as, and in npz files.

    IDX          16 bytes (2051, count, rows, columns, big-endian), then a byte a pixel;
                 labels: 8 bytes (2049, count), then a byte a label       yann.lecun.com/exdb/mnist
    CIFAR, bin   records of a label and 3 x 32 x 32 bytes, red first         cs.toronto.edu/~kriz
    CIFAR, py    pickled dicts, "data" (10000, 3072) uint8 and "labels"; nothing in them is run
    npz          ``images`` (N, H, W) or (N, H, W, C) uint8 and, if there are, ``labels`` (N,);
                 ``test_images`` and ``test_labels`` likewise

A damaged file costs neither memory nor time: no more is unpacked than a whole one would hold. A
data set that bears a published name has the published contents, or is refused: its numbers could
be mistaken for others.
"""

import gzip
import hashlib
import math
import os
import struct
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from repro.errors import InputError
from repro.safe_pickle import PickledArray, load_numbers
from sde.data.catalogue import CIFAR10_BATCHES, CLASSES, CONTENTS, COUNTS

IDX_IMAGES, IDX_LABELS = 2051, 2049  # the first four bytes
RECORDS, PIXELS = 10000, 3 * 32 * 32  # of a CIFAR-10 batch, and of an image of it
MOST_CLASSES = 100_000  # every one has a name
NPZ = ("images", "labels", "test_images", "test_labels")
UNPACKED = 64 * 2**20  # bytes; no member of these archives is half as large


@dataclass(frozen=True)
class Images:
    """Images of one size, and their labels where the format has them."""

    values: np.ndarray  # (N, C, H, W) uint8
    labels: np.ndarray | None = None  # (N,) int64, indices of classes
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape[1:])

    def rows(self, chosen) -> "Images":
        """Those of an index or a slice."""
        labels = None if self.labels is None else self.labels[chosen]
        return Images(self.values[chosen], labels, self.classes)


def read_mnist(name: str, images: Path, labels: Path) -> Images:
    """A part of MNIST or of a data set in its format, from its two files, gzipped or not.

    Raises InputError where they are not those of ``name``, a key of ``published.CLASSES``.
    """
    part = images.name.split("-")[0]
    shape = (COUNTS[name][part], 28, 28)
    arrays = []
    for path, sizes in ((images, shape), (labels, shape[:1])):
        content = _unpacked(path, 4 * (1 + len(sizes)) + math.prod(sizes))
        arrays.append(read_idx(content, path, sizes))
        _require_published(name, path.name.removesuffix(".gz"), content, path)
    return Images(arrays[0][:, None], arrays[1].astype(np.int64), CLASSES[name])


def read_idx(content: bytes, path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The array uint8 of this shape in an IDX file. Raises InputError for any other content."""
    magic = IDX_LABELS if len(shape) == 1 else IDX_IMAGES
    head = 4 * (1 + len(shape))
    if len(content) < head:
        raise InputError(f"{path}: damaged: {len(content)} bytes, too few for an IDX file")
    found, *sizes = struct.unpack(f">{1 + len(shape)}I", content[:head])
    if found != magic:
        raise InputError(f"{path}: not IDX: begins with {found}, {magic} expected")
    if tuple(sizes) != shape:
        raise InputError(f"{path}: declares {_times(sizes)}, {_times(shape)} expected")
    if len(content) != (whole := head + math.prod(shape)):
        raise InputError(f"{path}: damaged: {len(content)} bytes where its header asks for {whole}")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape).copy()


def read_cifar10(source: Path, part: str) -> Images:
    """The "train" or "test" part from an archive or the unpacked folder of either version."""
    binary = "bin" in source.name
    wanted = [name + (".bin" if binary else "") for name in CIFAR10_BATCHES[part]]
    found = _members(source, wanted)
    missing = [name for name in wanted if name not in found]
    if missing:
        raise InputError(f"{source}: lacks {', '.join(missing)}")
    batches = []
    for name in wanted:
        where = source / name
        batch = cifar_records(found[name], where) if binary else cifar_pickle(found[name], where)
        _require_published("cifar10", name, found[name], where)
        batches.append(batch)
    values, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return Images(values, labels, CLASSES["cifar10"])


def cifar_records(content: bytes, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (10000, 3, 32, 32) uint8 and labels int64 of a batch of the binary version."""
    if len(content) != RECORDS * (1 + PIXELS):
        raise InputError(
            f"{path}: {len(content)} bytes, {RECORDS * (1 + PIXELS)} expected: {RECORDS} records "
            f"of {1 + PIXELS}"
        )
    records = np.frombuffer(content, np.uint8).reshape(RECORDS, 1 + PIXELS)
    return _cifar(records[:, 1:], records[:, 0], path)


def cifar_pickle(content: bytes, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The same of a batch of the Python version; nothing that it names is called."""
    with _damage(path):
        batch = load_numbers(content, encoding="bytes")
        batch = {key.decode() if isinstance(key, bytes) else key: batch[key] for key in batch}
        pixels, labels = batch["data"], np.asarray(batch["labels"])
        if not isinstance(pixels, PickledArray) or labels.dtype.kind not in "iu":
            raise InputError("expected an array under 'data' and whole numbers under 'labels'")
        pixels = pixels.array
    return _cifar(pixels, labels, path)


def _cifar(pixels: np.ndarray, labels: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray]:
    if pixels.shape != (RECORDS, PIXELS) or pixels.dtype != np.uint8 or labels.shape != (RECORDS,):
        raise InputError(
            f"{path}: pixels {_times(pixels.shape)} of {pixels.dtype} and labels "
            f"{_times(labels.shape)}; {RECORDS} x {PIXELS} of uint8 and {RECORDS} expected"
        )
    if not ((labels >= 0) & (labels < 10)).all():
        raise InputError(f"{path}: labels must lie in 0..9, found {labels.min()}..{labels.max()}")
    return pixels.reshape(RECORDS, 3, 32, 32), labels.astype(np.int64)


def read_npz(path: Path) -> tuple[Images, Images | None]:
    """The images of an npz file and, if it has them, its ``test_images``.

    Raises InputError where there is no array ``images``, or one is not as this module's docstring
    says, or does not fit into memory.
    """
    with _damage(path), zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if unpacked > memory:
        raise InputError(
            f"{path}: declares {unpacked / 1e9:.1f} GB, more than the {memory / 1e9:.1f} GB of "
            "memory here"
        )
    with _damage(path), np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name in NPZ}
        others = ", ".join(sorted(set(file.files) - set(NPZ))[:5])
    if "images" not in arrays:
        raise InputError(f"{path}: no array 'images'; it holds {others or 'nothing'}")
    train = _npz_images(arrays, "", path)
    return train, _npz_images(arrays, "test_", path) if "test_images" in arrays else None


def _npz_images(arrays: dict[str, np.ndarray], part: str, path: Path) -> Images:
    values, labels = arrays[f"{part}images"], arrays.get(f"{part}labels")
    if values.dtype != np.uint8 or values.ndim not in (3, 4) or not values.size:
        raise InputError(
            f"{path}: {part}images is {_times(values.shape)} of {values.dtype}, expected uint8 "
            "(N, H, W) or (N, H, W, C)"
        )
    if values.ndim == 4 and values.shape[3] not in (1, 3):
        raise InputError(f"{path}: {part}images has {values.shape[3]} channels, expected 1 or 3")
    values = values[:, None] if values.ndim == 3 else values.transpose(0, 3, 1, 2)
    values = np.ascontiguousarray(values)
    if labels is None:
        return Images(values)
    if labels.shape != values.shape[:1] or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise InputError(
            f"{path}: {part}labels is {_times(labels.shape)} of {labels.dtype}, expected "
            f"{len(values)} whole numbers from 0"
        )
    count = max(int(arrays[name].max()) for name in arrays if name.endswith("labels")) + 1
    if count > MOST_CLASSES:
        raise InputError(f"{path}: a label is {count - 1}, expected below {MOST_CLASSES}")
    return Images(values, labels.astype(np.int64), tuple(map(str, range(count))))


def _unpacked(path: Path, size: int) -> bytes:
    """The content of a file, gzipped or not, of which ``size`` bytes are expected."""
    with _damage(path), (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        content = file.read(size + 1)
    if len(content) > size:
        raise InputError(f"{path}: holds more than the {size} bytes expected")
    return content


def _members(source: Path, wanted: list[str]) -> dict[str, bytes]:
    """The wanted files of an unpacked folder or of a tar archive, by name."""
    if source.is_dir():
        here = [source / name for name in wanted if (source / name).is_file()]
        return {path.name: _unpacked(path, UNPACKED) for path in here}
    found = {}
    with _damage(source), tarfile.open(source, "r:gz") as archive:
        for member in archive:
            if member.size > UNPACKED:
                raise InputError(f"{member.name} declares {member.size} bytes: refused")
            name = Path(member.name).name
            if member.isfile() and name in wanted:
                found[name] = archive.extractfile(member).read()
    return found


def _require_published(name: str, file: str, content: bytes, path: Path) -> None:
    """Raise InputError where the content is not the published one (an MD5 or a SHA-256)."""
    known = CONTENTS[name][file]
    found = hashlib.new("md5" if len(known) == 32 else "sha256", content).hexdigest()
    if found == known:
        return
    other = [key for key, files in CONTENTS.items() if found in files.values()]
    what = f"the file of {other[0]}" if other else f"checksum {found}, {known} expected"
    raise InputError(
        f"{path}: not the published {name}: {what}; other images can be read as folder or npz"
    )


@contextmanager
def _damage(path: Path):
    """Turn whatever a damaged file raises into one line that names it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or error or type(error).__name__
        raise InputError(f"{path}: damaged or not readable: {reason}") from None
    except MemoryError:
        raise InputError(f"{path}: asks for more memory than there is") from None
    except Exception as error:  # pickle and numpy raise a dozen types
        raise InputError(f"{path}: damaged: {type(error).__name__}: {error}") from None


def _times(shape) -> str:
    return " x ".join(map(str, shape))
