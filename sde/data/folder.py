"""The files of a folder, or of a zip of one, that should be images.

Every file counts that is not hidden nor left there by a system. Where they lie in two or more
folders, side by side, these are the classes. A zip is read in place: nothing of it is unpacked onto
the disk, and a file in it that declares an absurd size is not read at all.
"""

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from repro.errors import InputError

NOT_MEANT = ("__MACOSX", "Thumbs.db", "desktop.ini")  # what systems leave in folders
LARGEST_FILE = 128 * 2**20  # bytes


@dataclass(frozen=True)
class Entry:
    """A file: its name in the folder, its size, when it was written."""

    name: str
    size: int
    time: int  # ns; of a file in a zip, its checksum

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0] or "."


@dataclass(frozen=True)
class Folder:
    """What lies in a folder on disk."""

    path: Path

    def entries(self) -> list[Entry]:
        """Every file that is not hidden, by name."""
        files = sorted(file for file in self.path.rglob("*") if file.is_file())
        found = [(file.relative_to(self.path).as_posix(), file.stat()) for file in files]
        return _meant(Entry(name, stat.st_size, stat.st_mtime_ns) for name, stat in found)

    def read(self, entry: Entry) -> bytes:
        """The content of a file. Raises ValueError, saying why, where it cannot be had."""
        _require_readable(entry)
        try:
            return (self.path / entry.name).read_bytes()
        except OSError as error:
            raise ValueError(error.strerror) from None


@dataclass(frozen=True)
class Zip:
    """What lies in a zip; the methods are those of ``Folder``."""

    archive: zipfile.ZipFile

    def entries(self) -> list[Entry]:
        """Every file that is not hidden, by name."""
        files = [member for member in self.archive.infolist() if not member.is_dir()]
        found = [Entry(file.filename, file.file_size, file.CRC) for file in files]
        return _meant(sorted(found, key=lambda entry: entry.name))

    def read(self, entry: Entry) -> bytes:
        """The content of a file. Raises ValueError, saying why, where it cannot be had."""
        _require_readable(entry)
        try:
            return self.archive.read(entry.name)
        except Exception as error:  # damaged, encrypted, or packed in an unknown way
            raise ValueError(" ".join(str(error).split()) or "damaged") from None


@contextmanager
def open_folder(path: Path) -> Iterator[Folder | Zip]:
    """What lies at ``path``, a folder or a zip. Raises InputError where it is neither, or where a
    name in the zip leads out of it or stands there twice."""
    if path.is_dir():
        yield Folder(path)
        return
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such folder or zip (data.path)") from None
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: neither a folder nor a whole zip: {error}") from None
    with archive:
        names = archive.namelist()
        for name in names:
            if name.startswith("/") or "\\" in name or ".." in name.split("/"):
                raise InputError(f"{path}: refused: the name {name!r} leads out of the archive")
        if len(set(names)) != len(names):
            raise InputError(f"{path}: refused: two files in it have one name")
        yield Zip(archive)


def classes_of(entries: list[Entry]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The class (N,) int64 of each file, and the names of the classes, sorted; None and no names
    where all files lie in one folder, or some above the others."""
    folders = sorted({entry.folder for entry in entries})
    common = os.path.commonpath(folders)
    if len(folders) < 2 or common in folders or "." in folders:
        return None, ()
    number = {folder: i for i, folder in enumerate(folders)}
    labels = np.array([number[entry.folder] for entry in entries], dtype=np.int64)
    return labels, tuple(os.path.relpath(folder, common or ".") for folder in folders)


def _meant(entries) -> list[Entry]:
    """Those that somebody put there on purpose."""

    def hidden(name: str) -> bool:
        return any(part.startswith(".") or part in NOT_MEANT for part in name.split("/"))

    return [entry for entry in entries if not hidden(entry.name)]


def _require_readable(entry: Entry) -> None:
    if entry.size > LARGEST_FILE:
        raise ValueError(f"declares {entry.size} bytes, more than any image here may have")
