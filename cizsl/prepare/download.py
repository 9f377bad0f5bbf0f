"""Download of the published bird files from a public repository that lists them.

The repository of ZEST (Paz-Argaman et al., EMNLP 2020), github.com/tzuf/ZEST, lists at one commit
all files of CUB, and of NABirds all but the features of the training images. Each file has the
checksum that git gives it,

    SHA-1 of  "blob " + size in bytes + NUL + content

so a file is the listed one or it is refused. A transfer that is cut off continues where it ended.
Files that are there already are kept, whatever they hold.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cizsl.data.birds_layout import LAYOUTS
from repro.cli.progress import Bar
from repro.errors import InputError

MIRROR = "https://raw.githubusercontent.com/tzuf/ZEST/658e673afccdb70fb6196f08e725f4de2a38bcac/data"
LISTED = {  # by dataset, the git SHA-1 of every file by the name that we read
    "CUB": {
        "pfc_feat_train.mat": "1902ef74a5ea74c011d78121952be266ecf32c8f",
        "pfc_feat_test.mat": "9e5232ae7c8b299b5c7f37124826b7d7e01e1735",
        "pfc_feat_train_hard.mat": "119807c7b7dcdd393d18587bf0f5471a3cfd316a",
        "pfc_feat_test_hard.mat": "6e15b894f67ec1494b69975df42f2a6bca757c90",
        "CUB_Porter_7551D_TFIDF_new.mat": "4311bcb1990912d550b0d20ebbeed2f1d48fd555",
        "CUB_Porter_7551D_TFIDF_term.mat": "8da052097c4c129050c6dac5c9a0cb156e23f55d",
        "train_test_split_easy.mat": "b221c44714271f2ff9e1463beb40352ab7bd2273",
        "train_test_split_hard.mat": "683c579702e7a73503bf85da7c3618eeea934469",
        "labels_train.pkl": "e362bff685d3d6a054216f26a3601910c9b44d1f",
        "labels_test.pkl": "0a7952af08b998e120485e725beff8b41988d5bb",
        "labels_train_hard.pkl": "5db52f414037ae80c1c3b72f090b3cb542e8f8ff",
        "labels_test_hard.pkl": "ef21f66afe83b96ed7d9af14c3a27d7359c7f346",
    },
    "NAB": {
        "pfc_feat_test_easy.mat": "299deab74d1b13933308a359bbe895e3745b23da",
        "pfc_feat_test_hard.mat": "7033d9f521affac89adeb7e37d6179b83d1e61f5",
        "NAB_Porter_13217D_TFIDF_new.mat": "4613f11a5683566db71abfac39bf8bfecc1df26e",
        "NAB_Porter_13217D_TFIDF_term.mat": "59d256d23aec02728dcfa7c42d393b810089c70d",
        "train_test_split_NABird_easy.mat": "c856b01cc2fd3578452bb9ef7bc67ab174e3224f",
        "train_test_split_NABird_hard.mat": "ed61d92be4a043a9396e8ee091747c0766da402e",
        "labels_train.pkl": "da22fcf89d5ca6faa082af8777a310568d2a88da",
        "labels_test.pkl": "6de1a8a0429d131a19ec0c2de493a2a638c2226d",
        "labels_train_hard.pkl": "470c765bf6416f3a4df5f6197f0281a56a958c01",
        "labels_test_hard.pkl": "76a52310e8ad975594ac2fd498b0076eed261c23",
    },
}
THERE = {  # files that have another name in the repository
    "CUB_Porter_7551D_TFIDF_new.mat": "CUB_Porter_7551D_TFIDF_new_original.mat",
    "NAB_Porter_13217D_TFIDF_new.mat": "NAB_Porter_13217D_TFIDF_new_original.mat",
}
UNLISTED = {
    "CUB": (),
    "NAB": ("pfc_feat_train_easy.mat", "pfc_feat_train_hard.mat"),
}
TIMEOUT = 30  # seconds without an answer
CHUNK = 2**20  # bytes


@dataclass(frozen=True)
class Downloaded:
    """fetched: files that have arrived. other: files that were there and are not the listed ones.
    missing: names of files that the repository does not list and that are not there.
    """

    fetched: list[Path]
    other: list[Path]
    missing: list[str]


def download(dataset: str, root: Path, mirror: str = MIRROR) -> Downloaded:
    """Download what is missing of "CUB" or "NAB" into its folder under ``root``.

    Args:
        dataset: a key of :data:`LISTED`.
        root: the folder that holds the datasets.
        mirror: address of the folder with the folders of the files.

    Raises :class:`InputError` where a file cannot be fetched or has another checksum; what was
    fetched before stays.
    """
    folder = Path(root) / LAYOUTS[dataset]["folder"]
    fetched, other = [], []
    for name, digest in LISTED[dataset].items():
        path = folder / name
        if not path.exists():
            _fetch(f"{mirror}/{folder.name}/{THERE.get(name, name)}", path, digest)
            fetched.append(path)
        elif git_sha1(path) != digest:
            other.append(path)
    missing = [name for name in UNLISTED[dataset] if not (folder / name).exists()]
    return Downloaded(fetched, other, missing)


def git_sha1(path: Path) -> str:
    """Return the checksum that git gives the content of a file, as 40 hexadecimal digits."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _fetch(url: str, path: Path, digest: str) -> None:
    """Fetch one file into place, or raise InputError; a part that has arrived is kept."""
    import requests

    part = path.with_name(f".{path.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _transfer(url, part)
    except requests.RequestException as error:
        reason = error.response.reason if error.response is not None else type(error).__name__
        raise InputError(
            f"{path}: could not be fetched from {url}: {reason}; the same command continues"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    if (found := git_sha1(part)) != digest:
        part.unlink()
        raise InputError(f"{path}: {url} has the git SHA-1 {found}, expected {digest}")
    os.replace(part, path)


def _transfer(url: str, part: Path) -> None:
    """Append to ``part`` what it lacks of the file at ``url``."""
    import requests

    done = part.stat().st_size if part.exists() else 0
    wanted = {"Accept-Encoding": "identity"}  # so that offsets count bytes of the file
    wanted |= {"Range": f"bytes={done}-"} if done else {}
    with requests.get(url, headers=wanted, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == 416:  # nothing is left to send
            return
        answer.raise_for_status()
        continued = answer.status_code == 206
        done = done if continued else 0
        total = done + int(answer.headers.get("Content-Length", 0))
        with (
            open(part, "ab" if continued else "wb") as file,
            Bar(name=part.name[1:-5], total=total, initial=done, unit="B", unit_scale=True) as bar,
        ):
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
