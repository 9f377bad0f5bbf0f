"""Reading matrices from MAT-files of version 5 to 7.2, a few columns at a time.

A file is a list of elements, each a type, a length and that many bytes. A variable is an element
of elements: flags, shape, name, numbers; it may be compressed as a whole. Numbers lie column by
column, in any type that holds them. `scipy.io.loadmat` stops with a segmentation fault on many
damaged files, and holds the whole matrix, transposed and in the type of the file, beside the one
wanted: float64 of NABirds at full size took 2.4 times the memory of the result, here 1.03.

Sizes are checked before memory is taken: those of an uncompressed variable against the file, those
of a compressed one against 100 times its compressed size (or 64 MiB, where that is more).
"""

from __future__ import annotations

import io
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from repro.errors import InputError
from repro.files.regular_file import open_regular
from repro.files.safe_npz import check_ratio
from repro.wording import one_line

MATRIX, COMPRESSED = 14, 15  # types of the elements of a MAT-file, and those of numbers:
NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
CHARACTERS = {1: "ascii", 2: "latin1", 4: "utf-16-{}", 16: "utf-8", 17: "utf-16-{}"}


class Stream(Protocol):
    """What bytes are read from: a file, or :class:`Inflated`."""

    def read(self, count: int, /) -> bytes | bytearray: ...


def mat_variables(path: Path) -> Iterator[MatVariable]:
    """Yield the variables of a MAT-file of version 5 to 7.2, each to be read before the next.

    Raises `InputError` for a file of another format, one that is cut short or damaged, and one that
    would take far more memory than its size.
    """
    with damage("a MAT-file"), open_regular(path) as file:
        length = os.fstat(file.fileno()).st_size
        order = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}.get(bytes(_take(file, 128)[124:]))
        if order is None:
            raise InputError("not a MAT-file of version 5 to 7.2 (MATLAB: save with -v7)")
        while file.tell() < length:
            kind, size = struct.unpack(order + "II", _take(file, 8))
            stop = file.tell() + size
            if stop > length:
                raise InputError(f"cut short: {length} bytes, expected {stop} or more")
            stream: Stream = file
            packed = size
            if kind == COMPRESSED:
                stream = Inflated(file, packed)
                kind, size = struct.unpack(order + "II", _take(stream, 8))
                check_ratio(packed, size)
            if kind == MATRIX and size:
                yield _variable(stream, order, size)
            file.seek(stop)


def mat_strings(path: Path, variable: str) -> list[str]:
    """Return the rows of the matrix of characters `variable`, as in the term lists."""
    for found in mat_variables(path):
        if found.name == variable:
            return found.strings()
    raise InputError(f"{path}: no variable {variable}")


def _variable(stream: Stream, order: str, whole: int) -> MatVariable:
    """Read what describes a variable of `whole` bytes; its numbers come next in the stream."""
    flags, dims, name = (_short_element(stream, order) for _ in range(3))
    shape = struct.unpack(f"{order}{len(dims) // 4}i", dims)
    (kind,) = struct.unpack(order + "I", flags[:4])
    dtype = None
    if 6 <= kind & 0xFF <= 15 and not kind & 0x800:  # numeric and not complex
        kind, size, stream = _element(stream, order)
        dtype = np.dtype(order + NUMBERS[kind])
        if min(shape) < 0 or math.prod(shape) * dtype.itemsize != size or size > whole:
            raise InputError(f"damaged: {size} bytes of {dtype} for the shape {shape}")
    return MatVariable(name.decode("latin1"), shape, dtype, stream, order, whole)


def _element(stream: Stream, order: str) -> tuple[int, int, Stream]:
    """Return type, length and source of the next element; up to four bytes lie in its tag."""
    tag = _take(stream, 8)
    kind, size = struct.unpack(order + "II", tag)
    small = struct.unpack(order + "HH", tag[:4])[:: 1 if order == ">" else -1]
    return (small[1], small[0], io.BytesIO(tag[4:])) if small[0] else (kind, size, stream)


def _short_element(stream: Stream, order: str) -> bytes | bytearray:
    _, size, source = _element(stream, order)
    data = _take(source, min(size, 4096))
    if source is stream:
        _take(stream, -size % 8)
    return data


def _take(stream: Stream, count: int) -> bytes | bytearray:
    data = stream.read(count)
    if len(data) < count:
        raise InputError("cut short, or damaged")
    return data


class Inflated:
    """The next `size` bytes of a file, decompressed as they are read."""

    def __init__(self, file: BinaryIO, size: int):
        self.file, self.left, self.inflate = file, size, zlib.decompressobj()

    def read(self, count: int, /) -> bytearray:
        """Return the next ``count`` bytes, fewer at the end."""
        data = bytearray()
        while len(data) < count and not self.inflate.eof:
            packed = self.inflate.unconsumed_tail or self.file.read(min(self.left, 2**16))
            if not self.inflate.unconsumed_tail:
                self.left -= len(packed)
            if not packed:
                break
            data += self.inflate.decompress(packed, count - len(data))
        return data


@dataclass(frozen=True, eq=False)
class MatVariable:
    """A variable of a MAT-file. dtype: as stored, None for what is no dense matrix of reals."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype | None
    stream: Stream
    order: str
    whole: int  # bytes in the file, once decompressed

    def read(self) -> np.ndarray:
        """Return the matrix (rows, columns) as float32, C-contiguous."""
        with damage("a MAT-file"):  # which may claim any size
            matrix = np.empty(self._checked_shape(), np.float32)
        for start, block in self._columns():
            matrix[:, start : start + len(block)] = block.T
        return matrix

    def read_transposed(self, order: np.ndarray | None = None) -> np.ndarray:
        """Return the transpose (columns, rows) as float32, C-contiguous; no second copy is made.

        Args:
            order: (columns,) a permutation: row i is the column order[i]. Default: as in the file.
        """
        rows, columns = self._checked_shape()
        with damage("a MAT-file"):
            matrix = np.empty((columns, rows), np.float32)
        place = np.arange(columns)
        if order is not None:
            place[order] = np.arange(columns)
        for start, block in self._columns():
            matrix[place[start : start + len(block)]] = block
        return matrix

    def strings(self) -> list[str]:
        """Return the rows of a matrix of characters, without the blanks at their ends."""
        kind, size, stream = _element(self.stream, self.order)
        if self.dtype is not None or kind not in CHARACTERS or len(self.shape) != 2:
            raise InputError(f"{self.name} must be a matrix of characters")
        encoding = CHARACTERS[kind].format("le" if self.order == "<" else "be")
        if size > self.whole:
            raise InputError(f"damaged: {size} bytes of characters in {self.whole}")
        with damage("a MAT-file"):
            letters = _take(stream, size).decode(encoding).encode("utf-32")[4:]
            columns = np.frombuffer(letters, "U1").reshape(self.shape[::-1])
        return ["".join(row).rstrip() for row in columns.T]

    def _checked_shape(self) -> tuple[int, int]:
        if self.dtype is None or len(self.shape) != 2 or 0 in self.shape:
            raise InputError(f"{self.name} must be a dense matrix of real numbers, not empty")
        return self.shape

    def _columns(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield a few columns at a time: the number of the first one, and they (count, rows)."""
        assert self.dtype is not None  # see `_checked_shape`
        (rows, columns), size = self.shape, self.dtype.itemsize
        block = max(1, 2**22 // (rows * size))
        with damage("a MAT-file"), np.errstate(over="ignore"):  # an infinity is reported later
            for start in range(0, columns, block):
                count = min(block, columns - start)
                data = np.frombuffer(_take(self.stream, rows * count * size), self.dtype)
                yield start, data.reshape(count, rows)
            self.stream.read(64)  # what is compressed ends with a checksum, which this compares


@contextmanager
def damage(what: str) -> Iterator[None]:
    """Turn every exception inside into an `InputError`: the file is not `what`, or is damaged."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"not {what}, or cut short or damaged ({one_line(error)[:100]})"
        ) from error
