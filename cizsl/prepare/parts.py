"""Squares around the parts of what an image shows, in the place of the whole image.

Where part locations are given, an image has one square for each part, centred on the mean of the
part's visible points, with the side

    0.4 max(width, height)     of the bounding box

A square that leaves the image is moved into it; one that is larger is cut to the image's shorter
side. Its features are zero where no point of the part is visible. The features of all parts stand
side by side, (B, P D), as in the published files (7 parts of 512 numbers), whose part detector and
network were others.

The files are those of CUB-200-2011 (Wah et al., Caltech technical report CNS-TR-2011-001), with
numbers in pixels from the upper left corner:

    parts/part_locs.txt    image part x y visible     parts/parts.txt       part name
    images.txt             image name                 bounding_boxes.txt    image x y width height

The last three lie beside the first or one folder above; without the last, the box is the image.
Points of the head are one part, and so are a left and a right one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from cizsl.data.birds_layout import read_lines, sha256
from cizsl.prepare.images import Preprocessing
from repro.errors import InputError, InputErrors
from repro.wording import shown

SIDE = 0.4  # of a square, times the longer side of the bounding box
PIXELS = 128  # of a square, as the network sees it
HEAD = {"head", "beak", "crown", "forehead", "eye", "nape", "throat"}
NAMES, IMAGES, BOXES = "parts.txt", "images.txt", "bounding_boxes.txt"


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of images, by the names of the images.

    names: of the P parts. centres: (P, 2) x, y of each part, NaN where it is not visible. boxes:
    (4,) x, y, width, height. sha256: of each file, by name.
    """

    names: Sequence[str]
    centres: Mapping[str, np.ndarray]
    boxes: Mapping[str, np.ndarray]
    sha256: Mapping[str, str]


def part_of(point: str) -> str:
    """Return the part to which a point belongs, as "wing" of "left wing"."""
    words = [word for word in point.casefold().split() if word not in ("left", "right")]
    name = " ".join(words)
    return "head" if name in HEAD else name


def read_parts(path: Path) -> Parts:
    """Read the locations at `path` and the files around it.

    Raises `InputError` for a file that is missing or a line that is not as above.
    """
    files = [path, _beside(path, NAMES), _beside(path, IMAGES), _beside(path, BOXES)]
    points = {number: part_of(name) for number, name in _rows(files[1], 2, int, str)}
    images = dict(_rows(files[2], 2, int, str))
    names = sorted(dict.fromkeys(points.values()), key=lambda name: name != "head")
    sums = {name: np.zeros((len(names), 3)) for name in images.values()}  # x, y and their number
    for image, part, x, y, visible in _rows(path, 5, int, int, float):
        if image not in images or part not in points:
            where = f"image {image}, part {part}"
            raise InputError(f"{path}: {where}: expected numbers of {IMAGES} and {NAMES}")
        if visible:
            sums[images[image]][names.index(points[part])] += (x, y, 1)
    with np.errstate(invalid="ignore"):
        centres = {name: total[:, :2] / total[:, 2:] for name, total in sums.items()}
    boxes = {}
    if files[3].is_file():
        boxes = {images.get(i, ""): np.array(box) for i, *box in _rows(files[3], 5, int, float)}
    read = {file.name: sha256(file) for file in files if file.is_file()}
    return Parts(names, centres, boxes, read)


def _beside(path: Path, name: str) -> Path:
    """Return the file of a name beside `path` or, where it is not there, one folder above."""
    beside = path.parent / name
    return beside if beside.is_file() else path.parent.parent / name


def _rows(path: Path, columns: int, *kinds: Callable) -> list[tuple]:
    """Return the columns of every line that is not empty.

    Args: kinds: what each column becomes, the last of them also what follows. A name that is the
    last column may contain blanks.
    """
    of_each = [*kinds, *[kinds[-1]] * (columns - len(kinds))]
    rows = []
    for number, line in enumerate(_lines(path), 1):
        if not (words := line.split(maxsplit=columns - 1)):
            continue
        try:
            rows.append(tuple(kind(word) for kind, word in zip(of_each, words, strict=True)))
        except ValueError:
            what = f"expected {columns} columns, numbers but for a name"
            raise InputError(f"{path}: line {number} is {shown(line)}; {what}") from None
    return rows


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; docs/data.md says what --parts reads")
    try:
        return read_lines(path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


@dataclass(frozen=True, eq=False)
class PartCrops:
    """Preparation of images as squares around their parts; see :class:`Preprocessing`.

    source: the folder of the images. preprocessing: of a square, whose whole is kept.
    """

    parts: Parts
    source: Path
    preprocessing: Preprocessing

    @property
    def shape(self) -> tuple[int, ...]:
        """(P, 3, size, size)."""
        return (len(self.parts.names), *self.preprocessing.shape)

    def settings(self) -> dict:
        """What an extraction records."""
        parts = {"names": list(self.parts.names), "side": SIDE, "files": dict(self.parts.sha256)}
        return {**self.preprocessing.settings(), "parts": parts}

    def check(self, names: Sequence[str]) -> None:
        """Raise `InputErrors` for images that have no locations, the first three by name."""
        missing = [name for name in names if name not in self.parts.centres]
        if missing:
            more = f" and {len(missing) - 3} more images" if missing[3:] else ""
            raise InputErrors([f"{IMAGES}: no line for {', '.join(missing[:3])}{more}"])

    def read(self, path: Path) -> Tensor:
        """Return the squares of an image as `shape`, NaN where a part is not visible."""
        name = path.relative_to(self.source).as_posix()
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            box = self.parts.boxes.get(name, np.array([0, 0, *image.size]))
            crops = torch.full(self.shape, torch.nan)
            for place, centre in enumerate(self.parts.centres[name]):
                if np.isfinite(centre).all():
                    square = image.crop(square_around(centre, box, image.size))
                    crops[place] = self.preprocessing(square)
        return crops


def square_around(
    centre: np.ndarray, box: np.ndarray, size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the square around a point.

    Args: centre (2,) x, y; box (4,) x, y, width, height; size: width and height of the image.
    """
    side = max(1, min(round(SIDE * max(box[2:])), *size))
    left, top = (
        int(np.clip(round(middle - side / 2), 0, length - side))
        for middle, length in zip(centre.tolist(), size, strict=True)
    )
    return left, top, left + side, top + side


@dataclass(frozen=True)
class PartBackbone:
    """A backbone on every part: squares (B, P, 3, S, S) -> features (B, P D)."""

    backbone: Callable[[Tensor], Tensor]
    origin: dict[str, object]

    def __call__(self, squares: Tensor) -> Tensor:
        """Return the features of all parts side by side, zero where a square is NaN."""
        hidden = squares[:, :, 0, 0, 0].isnan()
        found = []
        for part, unseen in zip(squares.unbind(1), hidden.unbind(1), strict=True):
            found.append(self.backbone(part.nan_to_num()).masked_fill(unseen[:, None], 0))
        return torch.cat(found, 1)


def of_parts(prepare: Preprocessing, replaced: Mapping[str, object]) -> Preprocessing:
    """Return the preparation of squares: that of whole images, without a margin that is cut off."""
    size = replaced.get("crop", PIXELS)
    return dataclasses.replace(prepare, **{"resize": size, **replaced, "crop": size})
