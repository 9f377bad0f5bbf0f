"""Small images, and folders and zips of them."""

import zipfile

import numpy as np
from PIL import Image

from sde.data import registry


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


def photo(seed, size=(8, 8), mode="RGB"):
    channels = {"RGB": (3,), "RGBA": (4,), "L": ()}[mode]
    return Image.fromarray(pixels(size[1], size[0], *channels, seed=seed))


def load(path, **how):
    defaults = dict(path=str(path), root=str(path.parent / "root"), heldout=3)
    return registry.load("folder", **(defaults | how))


def zipped(folder, prefix=""):
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, prefix + file.relative_to(folder).as_posix())
    return path


def cache_of(path):
    return sorted((path.parent / "root" / ".cache").glob("*.npy"))
