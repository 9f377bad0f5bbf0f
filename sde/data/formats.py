"""Readers of the file formats of published data sets.

    IDX          16 bytes (2051, count, rows, columns, big-endian), then a byte a pixel;
                 labels: 8 bytes (2049, count), then a byte a label       yann.lecun.com/exdb/mnist
    CIFAR, bin   records of a label and 3 x 32 x 32 bytes, red first         cs.toronto.edu/~kriz
    CIFAR, py    pickled dicts, "data" (10000, 3072) uint8 and "labels"; nothing in them is run

No reader unpacks more than an intact file would hold, so that a damaged or hostile file takes
neither memory nor time. A published data set must have the published contents, by checksum, because
its numbers would otherwise be compared with those of other data.
"""

import gzip
import hashlib
import math
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from repro.errors import InputError
from repro.files.regular_file import open_regular
from repro.files.safe_pickle import PickledArray, load_numbers
from sde.data.catalogue import CIFAR10_BATCHES, CLASSES, CONTENTS, COUNTS

IDX_IMAGES, IDX_LABELS = 2051, 2049  # the first four bytes
RECORDS, PIXELS = 10000, 3 * 32 * 32  # of a CIFAR-10 batch, and of an image of it
UNPACKED = 64 * 2**20  # bytes; more than twice the largest member of these archives


@dataclass(frozen=True)
class Images:
    """Images of one size, and their labels where the format has them."""

    values: np.ndarray  # (N, C, H, W) uint8
    labels: np.ndarray | None = None  # (N,) int64, indices of classes
    classes: tuple[str, ...] = ()
    vectors: np.ndarray | None = None  # (N, K) float32
    jpeg: bool = False  # whether some come from JPEG files, which lose information

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape[1:])

    @property
    def entries(self) -> int:
        """Length of the vectors; 0 where there are none."""
        return 0 if self.vectors is None else self.vectors.shape[1]

    def rows(self, chosen) -> "Images":
        """Return the images at an index array or a slice."""
        labels = None if self.labels is None else self.labels[chosen]
        vectors = None if self.vectors is None else self.vectors[chosen]
        return Images(self.values[chosen], labels, self.classes, vectors, self.jpeg)


def read_mnist(name: str, images: Path, labels: Path) -> Images:
    """Read a part of MNIST, or of a data set in its format, from its two files, gzipped or not.

    Raises InputError where they are not the files of ``name``, a key of ``catalogue.CLASSES``.
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
    """Return the uint8 array of this shape in an IDX file. Raises InputError for other content."""
    magic = IDX_LABELS if len(shape) == 1 else IDX_IMAGES
    head = 4 * (1 + len(shape))
    if len(content) < head:
        raise InputError(f"{path}: damaged: {len(content)} bytes, too few for an IDX file")
    found, *sizes = struct.unpack(f">{1 + len(shape)}I", content[:head])
    if found != magic:
        raise InputError(f"{path}: not IDX: begins with {found}, {magic} expected")
    if tuple(sizes) != shape:
        raise InputError(f"{path}: declares {times(sizes)}, {times(shape)} expected")
    if len(content) != (whole := head + math.prod(shape)):
        raise InputError(f"{path}: damaged: {len(content)} bytes where its header asks for {whole}")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape).copy()


def read_cifar10(source: Path, part: str) -> Images:
    """Read the "train" or "test" part from an archive, or an unpacked folder, of either version."""
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
    """Return images (10000, 3, 32, 32) uint8 and labels int64 of a batch, binary version."""
    if len(content) != RECORDS * (1 + PIXELS):
        raise InputError(
            f"{path}: {len(content)} bytes, {RECORDS * (1 + PIXELS)} expected: {RECORDS} records "
            f"of {1 + PIXELS}"
        )
    records = np.frombuffer(content, np.uint8).reshape(RECORDS, 1 + PIXELS)
    return _cifar(records[:, 1:], records[:, 0], path)


def cifar_pickle(content: bytes, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the same of a batch of the Python version; no pickled function is called."""
    with damage(path):
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
            f"{path}: pixels {times(pixels.shape)} of {pixels.dtype} and labels "
            f"{times(labels.shape)}; {RECORDS} x {PIXELS} of uint8 and {RECORDS} expected"
        )
    if not ((labels >= 0) & (labels < 10)).all():
        raise InputError(f"{path}: labels must lie in 0..9, found {labels.min()}..{labels.max()}")
    return pixels.reshape(RECORDS, 3, 32, 32), labels.astype(np.int64)


def _unpacked(path: Path, size: int) -> bytes:
    """The content of a file, gzipped or not, of which ``size`` bytes are expected."""
    with damage(path), open_regular(path) as file:
        content = (gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file).read(size + 1)
    if len(content) > size:
        raise InputError(f"{path}: holds more than the {size} bytes expected")
    return content


def _members(source: Path, wanted: list[str]) -> dict[str, bytes]:
    """The wanted files of an unpacked folder or of a tar archive, by name."""
    if source.is_dir():
        here = [source / name for name in wanted if (source / name).is_file()]
        return {path.name: _unpacked(path, UNPACKED) for path in here}
    found = {}
    with (
        damage(source),
        open_regular(source) as file,
        tarfile.open(fileobj=file, mode="r:gz") as archive,
    ):
        for member in archive:
            if member.size > UNPACKED:
                raise InputError(f"{member.name} declares {member.size} bytes: refused")
            name = Path(member.name).name
            if member.isfile() and name in wanted:
                content = archive.extractfile(member)
                assert content is not None  # a regular file
                found[name] = content.read()
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
def damage(path: Path) -> Iterator[None]:
    """Turn any exception that a damaged file raises into an InputError that names the file."""
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


def times(shape: Iterable[int]) -> str:
    """Return a shape in words: "3 x 32 x 32"."""
    return " x ".join(map(str, shape))
