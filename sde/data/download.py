"""Download of the files of published data sets, whole and checked, or not at all.

A file is written under a temporary name, compared with its known SHA-256 and only then moved into
place (by pooch). Mirrors are tried in order. A file that is there is neither fetched again nor
replaced.
"""

import sys
from pathlib import Path

from repro.errors import InputError
from repro.files.file_lock import alone_in
from sde.data.catalogue import DISTRIBUTED, MIRRORS

TIMEOUT = 30  # seconds without an answer


def fetch(name: str, file: str, folder: Path, download: bool = True) -> Path:
    """Return the path of a file of the data set ``name`` in ``folder``; download it if missing.

    Raises InputError, with what to do by hand, where ``download`` is false or no mirror gives a
    file with the right checksum.
    """
    path = folder / file
    if path.is_file():
        return path
    if not download:
        raise InputError(_by_hand(name, path, "data.download is false"))
    try:
        with alone_in(folder, "download"):
            failures = [] if path.is_file() else _try_mirrors(name, path)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror or error}") from None
    if failures:
        raise InputError(_by_hand(name, path, f"no mirror gave it ({'; '.join(failures)})"))
    return path


def require_there(name: str, files: list[Path]) -> None:
    """Raise InputError, with what would be downloaded and how, where files are missing."""
    missing = [path.name for path in files if not path.exists()]
    if missing:
        folder = files[0].parent
        raise InputError(
            f"{folder}: missing {', '.join(missing)}; nothing was downloaded: to fetch them from "
            f"{MIRRORS[name][0]}, run: sde data download {name} --root {folder.parent}"
        )


def _try_mirrors(name: str, path: Path) -> list[str]:
    """Download a file from the first mirror that has it; return the failures if none has."""
    import pooch
    import requests

    pooch.get_logger().setLevel("ERROR")  # our own lines say what happens
    http = pooch.HTTPDownloader(progressbar=True, chunk_size=2**16, timeout=TIMEOUT)
    failures = []
    for mirror in MIRRORS[name]:
        print(f"{path}: from {mirror}", file=sys.stderr)
        try:
            pooch.retrieve(
                mirror + path.name,
                known_hash=f"sha256:{DISTRIBUTED[name][path.name]}",
                fname=path.name,
                path=path.parent,
                downloader=http,  # pyright: ignore[reportArgumentType]  the annotation is too narrow
            )
            return []
        except requests.RequestException as error:
            failures.append(f"{mirror}: {_reason(error)}")
        except ValueError:  # pooch's for another checksum
            failures.append(f"{mirror}: another checksum")
    return failures


def _reason(error) -> str:
    """The reason of a failed request, without the details of the connection."""
    if error.response is not None:
        return f"HTTP {error.response.status_code}"
    names = {"ChunkedEncodingError": "cut off", "ReadTimeout": f"silent for {TIMEOUT} s"}
    return names.get(type(error).__name__, "no connection")


def _by_hand(name: str, path: Path, why: str) -> str:
    known = DISTRIBUTED[name][path.name]
    return (
        f"{path}: missing, and {why}; get the file {path.name} with SHA-256 {known} elsewhere "
        f"(data/README.md) and put it there"
    )
