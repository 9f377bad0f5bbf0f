"""Image files decoded once into a memory-mapped array.

Images are PNG, JPEG, WebP, BMP, GIF, TIFF or PPM, of 8 bits a channel. Transparency is dropped and
the orientation noted by the camera is applied. Images are decoded in threads, in an order shuffled
by the seed of the split, so that the held-out part is one end of the array (N, C, H, W). The file
in the cache is named by a hash of the names, sizes and times of the images and of how they are
decoded. It is moved into place when it is complete; one process decodes, the others wait for it.
"""

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from repro.errors import InputError
from repro.files.atomic import write_atomically
from repro.files.file_lock import alone_in
from repro.files.regular_file import is_shortage
from repro.seeding import generator
from sde.data.folder import Entry, classes_of, open_folder
from sde.data.formats import Images

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")  # of 8 bits
LARGEST = 2**26  # pixels
LOOKED_AT = 64  # images, whose most frequent size all must have
NAMED = 5  # bad files in an error
BATCH = 128  # images decoded ahead


@dataclass(frozen=True)
class Decoding:
    """The channels, and the side of the square cut from the middle and resized (None: whole)."""

    channels: int = 3
    image_size: int | None = None


def read_folder(
    path: Path,
    how: Decoding,
    *,
    seed: int,
    cache: Path,
    skip_bad: bool = False,
    read_only: bool = False,
) -> tuple[Images, tuple[str, ...]]:
    """Return the images of a folder or a zip, and the skipped files with the reasons.

    Args:
        seed: of the order of the images.
        cache: the folder of decoded images.
        skip_bad: leave out files that cannot be used.
        read_only: decode into a temporary file where the cache does not hold the images.

    Raises InputError where there are no images, or where files cannot be used and ``skip_bad`` is
    false.
    """
    with open_folder(path) as folder:
        entries = folder.entries()
        if not entries:
            raise InputError(f"{path}: holds no images")
        order = torch.randperm(len(entries), generator=generator(seed)).tolist()
        shuffled = [entries[i] for i in order]
        key = json.dumps([[astuple(entry) for entry in shuffled], astuple(how)])
        digest = hashlib.sha256(key.encode()).hexdigest()[:20]
        name = f"{path.stem[:60]}-{digest}.npy"

        def decode_into(file: Path) -> None:
            _decode_all(file, path, shuffled, folder.read, how)

        array, bad = _cached(cache / name, decode_into, read_only)
    if bad and not skip_bad:
        raise InputError(
            f"{path}: {len(bad)} of {len(entries)} files cannot be used: {_first(bad, len(bad))}; "
            "mend or remove them, or set data.skip_bad=true"
        )
    labels, classes = classes_of([entry for entry in shuffled if entry.name not in bad])
    images = Images(array, labels, classes, jpeg=any(entry.is_jpeg for entry in entries))
    return images, tuple(f"{name}: {bad[name]}" for name in bad)


def decode(content: bytes, how: Decoding) -> np.ndarray:
    """Return an image file as (C, H, W) uint8. Raises ValueError, with the reason, for others."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > LARGEST:
                raise ValueError(f"declares {image.width} x {image.height} pixels")
            if image.mode not in MODES:
                raise ValueError(f"of mode {image.mode}, not of 8 bits a channel")
            image = ImageOps.exif_transpose(image).convert("L" if how.channels == 1 else "RGB")
    except UnidentifiedImageError:
        raise ValueError("no image" if content else "empty") from None
    except Exception as error:  # decoders raise a dozen types
        if is_shortage(error):
            raise
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None
    if how.image_size:
        side = (how.image_size, how.image_size)
        image = ImageOps.fit(image, side, Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(image.height, image.width, -1).transpose(2, 0, 1)


def _cached(
    file: Path, decode_into: Callable[[Path], None], read_only: bool
) -> tuple[np.ndarray, dict[str, str]]:
    """The array and the bad files of the cache, decoded first where they are not there."""
    if read_only and not file.exists():
        with tempfile.TemporaryDirectory(prefix="sde-") as folder:  # a mapped file may be unlinked
            decode_into(Path(folder) / "images.npy")
            return _read(Path(folder) / "images.npy")
    try:
        if not read_only:
            with alone_in(file.parent, "decoding"):
                if not file.exists():
                    decode_into(file)
    except OSError as error:
        raise InputError(f"{file.parent}: cannot be written: {error.strerror or error}") from None
    return _read(file)


def _read(file: Path) -> tuple[np.ndarray, dict[str, str]]:
    """The mapped array, and the reason for each bad file. Raises InputError for a damaged cache."""
    try:
        bad = json.loads(file.with_suffix(".json").read_text())
        array = np.load(file, mmap_mode="c")
        if array.ndim != 4 or array.dtype != np.uint8 or not isinstance(bad, dict):
            raise ValueError("of another kind")
    except (OSError, ValueError, EOFError, RecursionError) as error:
        raise InputError(f"{file}: damaged ({error}); remove it and the file .json") from None
    return array, bad


def _decode_all(
    file: Path, path: Path, entries: list[Entry], read: Callable, how: Decoding
) -> None:
    """Write the array and, beside it as JSON, the names of the bad files with the reasons."""
    for leftover in file.parent.glob(".*.part"):  # of a process that was killed
        leftover.unlink()

    def attempt(entry: Entry) -> np.ndarray | str:
        try:
            return decode(read(entry), how)
        except ValueError as error:
            return str(error)

    tried = (attempt(entry) for entry in entries)
    shapes = Counter(islice((each.shape for each in tried if not isinstance(each, str)), LOOKED_AT))
    if not shapes:
        bad = {entry.name: str(attempt(entry)) for entry in entries[:NAMED]}
        some = _first(bad, len(entries))
        raise InputError(f"{path}: none of {len(entries)} files is an image: {some}")
    shape = shapes.most_common(1)[0][0]
    needed, free = len(entries) * int(np.prod(shape)), shutil.disk_usage(file.parent).free
    if needed > free:
        sizes = f"the decoded images take {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
        raise InputError(f"{file.parent}: {sizes}")
    bar = tqdm(total=len(entries), desc=f"decoding {path.name}", unit="img")
    with ThreadPoolExecutor(os.cpu_count()) as pool, bar:
        parts = [entries[i : i + BATCH] for i in range(0, len(entries), BATCH)]
        found = (image for part in parts for image in pool.map(attempt, part))
        write_atomically(file, lambda target: _write(target, file, entries, found, shape, bar))


def _write(
    target: BinaryIO, file: Path, entries: list[Entry], found: Iterator, shape: tuple, bar: tqdm
) -> None:
    """Write the images of ``shape`` as an array; its length, known at the end, is written last."""
    bad, count = {}, 0
    _write_header(target, (len(entries), *shape))
    for entry, image in zip(entries, found, strict=True):
        bar.update()
        if isinstance(image, str):
            bad[entry.name] = image
        elif image.shape != shape:
            mine, most = (f"{width} x {height}" for _, height, width in (image.shape, shape))
            bad[entry.name] = f"{mine} pixels, most are {most} (see data.image_size)"
        else:
            target.write(image.tobytes())
            count += 1
    target.seek(0)
    _write_header(target, (count, *shape))  # not longer than before: numpy leaves room to grow
    text = json.dumps(dict(sorted(bad.items())), indent=1)
    write_atomically(file.with_suffix(".json"), lambda other: other.write(text), mode="w")


def _write_header(target: BinaryIO, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(target, header)


def _first(bad: dict[str, str], count: int) -> str:
    more = f" and {count - NAMED} more" if count > NAMED else ""
    return ", ".join(f"{name} ({bad[name]})" for name in list(bad)[:NAMED]) + more
