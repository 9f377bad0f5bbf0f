"""Folders of image files, and zips of such folders.

All files count except hidden ones and those that operating systems leave. Where the files lie in
two or more folders side by side, these folders are the classes. A zip is read in place: nothing is
unpacked onto the disk, and a file in it that declares an absurd size is not read.
"""

import os
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from repro.errors import InputError
from repro.files.regular_file import is_shortage, open_regular
from sde.data.paths import printable

LEFT_BY_SYSTEMS = ("__MACOSX", "Thumbs.db", "desktop.ini")
JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
LARGEST_FILE = 128 * 2**20  # bytes


@dataclass(frozen=True)
class Entry:
    """A file: its name in the folder, its size, and the time at which it was written."""

    name: str
    size: int
    time: int  # ns; of a file in a zip, its checksum

    @property
    def is_jpeg(self) -> bool:
        """Whether its name is that of a JPEG file."""
        return self.name.lower().endswith(JPEG)

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0] or "."


@dataclass(frozen=True)
class Folder:
    """A folder on disk."""

    path: Path

    def entries(self) -> list[Entry]:
        """Return every file that is not hidden, sorted by name."""
        try:
            files = sorted(file for file in _all_files(self.path) if file.is_file())
            found = [(file.relative_to(self.path).as_posix(), file.stat()) for file in files]
        except OSError as error:
            raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from None
        return _visible(Entry(name, stat.st_size, stat.st_mtime_ns) for name, stat in found)

    def read(self, entry: Entry) -> bytes:
        """Return the content of a file. Raises ValueError, with the reason, where that fails."""
        _require_readable(entry)
        try:
            return (self.path / entry.name).read_bytes()
        except OSError as error:
            if is_shortage(error):  # no fault of the file, which would be left out
                raise
            raise ValueError(error.strerror) from None


@dataclass(frozen=True)
class Zip:
    """A zip; the methods are those of ``Folder``."""

    archive: zipfile.ZipFile

    def entries(self) -> list[Entry]:
        """Return every file that is not hidden, sorted by name."""
        files = [member for member in self.archive.infolist() if not member.is_dir()]
        found = [Entry(file.filename, file.file_size, file.CRC) for file in files]
        return _visible(sorted(found, key=lambda entry: entry.name))

    def read(self, entry: Entry) -> bytes:
        """Return the content of a file. Raises ValueError, with the reason, where that fails."""
        _require_readable(entry)
        try:
            return self.archive.read(entry.name)
        except Exception as error:  # damaged, encrypted, or packed in an unknown way
            if is_shortage(error):
                raise
            raise ValueError(" ".join(str(error).split()) or "damaged") from None


@contextmanager
def open_folder(path: Path) -> Iterator[Folder | Zip]:
    """Open the folder or zip at ``path``.

    Raises InputError where it is neither, where a name in the zip leads out of it, and where two
    files in the zip have one name.
    """
    if path.is_dir():
        yield Folder(path)
        return
    if not path.exists():
        raise InputError(f"{path}: no such folder or zip (data.path)")
    try:
        file = open_regular(path)
        archive = zipfile.ZipFile(file)
    except (InputError, OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: neither a folder nor a whole zip: {error}") from None
    with file, archive:
        names = archive.namelist()
        for name in names:
            if name.startswith("/") or "\\" in name or ".." in name.split("/"):
                raise InputError(f"{path}: refused: the name {name!r} leads out of the archive")
        if len(set(names)) != len(names):
            raise InputError(f"{path}: refused: two files in it have one name")
        yield Zip(archive)


def classes_of(entries: list[Entry]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return the class (N,) int64 of each file, and the sorted names of the classes.

    The classes are the folders of the files. None and no names are returned where all files lie in
    one folder, or where a folder lies in another.
    """
    folders = sorted({entry.folder for entry in entries})
    common = os.path.commonpath(folders)
    if len(folders) < 2 or common in folders or "." in folders:
        return None, ()
    number = {folder: i for i, folder in enumerate(folders)}
    labels = np.array([number[entry.folder] for entry in entries], dtype=np.int64)
    names = (os.path.relpath(folder, common or ".") for folder in folders)
    return labels, tuple(map(printable, names))


def _all_files(folder: Path) -> Iterator[Path]:
    """Every file below ``folder``. Raises OSError for a folder that cannot be read."""

    def refuse(error: OSError) -> None:
        raise error

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(place, name) for name in names)


def _visible(entries: Iterable[Entry]) -> list[Entry]:
    """The entries without hidden files and those that systems leave."""

    def hidden(name: str) -> bool:
        return any(part.startswith(".") or part in LEFT_BY_SYSTEMS for part in name.split("/"))

    return [entry for entry in entries if not hidden(entry.name)]


def _require_readable(entry: Entry) -> None:
    if entry.size > LARGEST_FILE:
        raise ValueError(f"declares {entry.size} bytes, more than any image here may have")
