"""Finding images in folders, and preparing them for a network.

Each class has a folder of its name with its images, at any depth. An image becomes a (3, H, W)
tensor in the way that is usual for networks trained on ImageNet: rotate it by its EXIF orientation,
convert it to RGB, resize it so that its shorter side is `resize`, take the central square of side
`crop`, and map each channel x in [0, 1] to (x - mean) / std. Sizes and positions are rounded as in
torchvision, so that features agree with those of its transforms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from cizsl.prepare.class_names import key
from repro.errors import InputError, InputErrors
from repro.files.regular_file import is_shortage

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Preprocessing:
    """Settings of the preparation; the defaults are those of most ImageNet networks."""

    resize: int = 256
    crop: int = 224
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self):
        if not 1 <= self.crop <= self.resize:
            raise InputError(f"crop {self.crop}: expected 1 to {self.resize}, the size resized to")
        if self.interpolation not in INTERPOLATIONS:
            names = ", ".join(INTERPOLATIONS)
            raise InputError(f"interpolation {self.interpolation!r}: expected {names}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise InputError("mean, std: expected three numbers each, those of std positive")

    @property
    def shape(self) -> tuple[int, ...]:
        """(3, crop, crop)."""
        return 3, self.crop, self.crop

    def settings(self) -> dict:
        """What an extraction records."""
        return asdict(self)

    def read(self, path: Path) -> Tensor:
        """Return the image of a file as `shape`."""
        with Image.open(path) as image:
            return self(image)

    def __call__(self, image: Image.Image) -> Tensor:
        """Return the image as a (3, crop, crop) float32 tensor."""
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith(("I", "F")):
            raise InputError(f"mode {image.mode}; expected at most 8 bits a channel")
        image = image.convert("RGB")
        short, long = sorted(image.size)
        sizes = {short: self.resize, long: int(self.resize * long / short)}
        if short != self.resize:
            size = sizes[image.width], sizes[image.height]
            image = image.resize(size, INTERPOLATIONS[self.interpolation])
        left, top = (round((side - self.crop) / 2) for side in image.size)
        image = image.crop((left, top, left + self.crop, top + self.crop))
        pixels = torch.from_numpy(np.array(image, np.float32)) / 255
        pixels = (pixels - torch.tensor(self.mean)) / torch.tensor(self.std)
        return pixels.permute(2, 0, 1).contiguous()


def find_images(folder: Path, classes: Sequence[str]) -> tuple[list[Path], np.ndarray]:
    """Return the images in the folders of `classes`, sorted within each, and their labels (N,).

    Raises `InputErrors`, one line for each fault: a folder of no class, two folders of one class;
    and `InputError` where there is no image at all.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one folder of images for each class")
    numbers = {key(name): number for number, name in enumerate(classes)}
    found: dict[int, Path] = {}
    faults = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        if place.name.startswith("."):
            continue
        number = numbers.get(key(place.name))
        if number is None:
            faults.append(f"{place}: no class of this name among the {len(classes)}")
            continue
        if number in found:
            faults.append(f"{place}: {found[number].name} is of the same class")
        found.setdefault(number, place)
    if faults:
        raise InputErrors(faults)
    paths, labels = [], []
    for number in sorted(found):
        own = [path for path in sorted(found[number].rglob("*")) if is_image(path)]
        paths += own
        labels += [number] * len(own)
    if not paths:
        raise InputError(f"{folder}: no image in the folder of any class")
    return paths, np.array(labels, np.int64)


def is_image(path: Path) -> bool:
    """Return whether there is a file with the name of an image."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


class Preparation(Protocol):
    """What makes the input of a network from a file, as :class:`Preprocessing` does."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def settings(self) -> dict: ...

    def read(self, path: Path) -> Tensor: ...


def read_image(path: Path, preparation: Preparation) -> Tensor | str:
    """Return the prepared image, or a short reason why it cannot be read.

    Raises MemoryError and OSError where memory or descriptors are short, which no file is to blame
    for.
    """
    try:
        return preparation.read(path)
    except Exception as error:  # a damaged file can fail anywhere in Pillow
        if is_shortage(error):
            raise
        return " ".join(f"{type(error).__name__}: {error}".split())[:200]
