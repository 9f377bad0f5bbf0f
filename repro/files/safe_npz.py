"""Arrays out of .npz files, none of which can run code or take more memory than is expected.

A file of 1.5 MB can hold arrays of 1.5 GB, since zeros compress 1000 times. The sizes that the zip
directory declares are compared with the file before anything is unpacked, the header of an array
with its declared size, and only those arrays are read that are asked for. Arrays of Python objects,
which are pickles, are refused.
"""

import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from repro.errors import InputError
from repro.files.regular_file import open_regular
from repro.wording import one_line, shown

FREE = 2**26  # bytes that any file may unpack to
RATIO = 100  # and how many times its own size
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True)
class ArrayHeader:
    """Shape and type of an array, as its header states them."""

    shape: tuple[int, ...]
    dtype: np.dtype


def check_ratio(packed: int, unpacked: int) -> None:
    """Raise `InputError` where a compressed file would unpack to an unlikely size, in bytes."""
    if unpacked > max(FREE, RATIO * packed):
        raise InputError(
            f"{packed} bytes would unpack to {unpacked}; expected at most {RATIO} times as many"
        )


def read_arrays(
    path: str | Path, wanted: Callable[[str], bool]
) -> tuple[dict[str, np.ndarray], dict[str, ArrayHeader]]:
    """Return the arrays whose names are wanted, and the headers of all arrays, by name.

    Raises `InputError`, which does not repeat the path, for what is no .npz file, is damaged, or
    would unpack to more than 100 times its size and 64 MiB.
    """
    with open_regular(path) as file:
        start = file.read(6)
        if start == npy.MAGIC_PREFIX:
            raise InputError("a single array, expected an .npz file")
        try:
            with zipfile.ZipFile(file) as archive:
                return _read(archive, file.seek(0, 2), wanted)
        except InputError:
            raise
        except Exception as error:  # zipfile and numpy raise many types for a damaged file
            problem = "not an .npz file of arrays, or cut short or damaged"
            raise InputError(f"{problem} ({one_line(error)})") from None


def _read(
    archive: zipfile.ZipFile, size: int, wanted: Callable[[str], bool]
) -> tuple[dict[str, np.ndarray], dict[str, ArrayHeader]]:
    members = {m.filename.removesuffix(".npy"): m for m in archive.infolist()}
    check_ratio(size, sum(member.file_size for member in archive.infolist()))
    arrays, headers = {}, {}
    for name, member in members.items():
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"array {shown(name)}: compressed in an unusual way")
        try:
            headers[name] = _header(archive, member)
        except ValueError as error:
            if wanted(name):
                raise InputError(f"array {shown(name)}: {error}") from None
            continue
        if wanted(name):
            with archive.open(member) as stream:
                arrays[name] = npy.read_array(stream, allow_pickle=False)
    return arrays, headers


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> ArrayHeader:
    """Read the header of an array. Raises `ValueError` where it does not describe the data."""
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        if version not in HEADERS:
            raise InputError(f"version {version} of the format; expected (1, 0) or (2, 0)")
        shape, _, dtype = HEADERS[version](stream)
        if dtype.hasobject:
            raise InputError("Python objects, which are pickles, are refused")
        data = member.file_size - stream.tell()
    fits = dtype.itemsize and math.prod(shape) * dtype.itemsize == data
    if not fits or min(shape, default=0) < 0 or max(shape, default=0) > member.file_size:
        raise InputError(f"damaged: {data} bytes for the shape {shown(shape)} of {dtype.str}")
    return ArrayHeader(shape, dtype)
