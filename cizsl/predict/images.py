"""Features of images by the network that made the features of a dataset.

`cizsl data images` leaves `images.json` beside its features: which network, with which weights, and
how images are prepared. Images of a prediction go through the same network, which the SHA-256 of
its parameters proves. Features that other programs made have no such record, and those of squares
around parts need to know where the parts are: for these datasets features are predicted, not
images.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor

from cizsl.config.data import Data
from cizsl.data.birds_layout import dataset_folder
from cizsl.data.dataset import ZSLData
from cizsl.predict.feature_files import READERS, Features
from cizsl.prepare import efficientnet
from cizsl.prepare.backbones import Backbone, load_backbone
from cizsl.prepare.extract import RECORD
from cizsl.prepare.images import Preprocessing, is_image, read_image
from repro.errors import InputError
from repro.files import json_file
from repro.wording import shown

BATCH, WORKERS = 16, 4
INSTEAD = "give a file of features instead ({kinds}) with {dim} numbers for each image"


class Origin(BaseModel):
    """The network of an extraction, see :class:`cizsl.prepare.backbones.Backbone`."""

    name: str
    weights: str | None = None
    parameters_sha256: str


class Plan(BaseModel):
    """How an extraction made its features."""

    backbone: Origin
    preprocessing: dict[str, Any]
    dtype: Literal["float16", "float32"]


class Extraction(BaseModel):
    """The part of `images.json` that is read here."""

    plan: Plan
    feature_dim: int


class Network:
    """The network and the preparation of the images of a dataset.

    Args:
        where: the settings `data` of the run.
        data: of the run.
        device: where the network runs.
        backbone: the network's file or name, where the record does not suffice to find it.
        weights: the file of its weights, likewise.

    Raises :class:`InputError` for features that were not made from images by `cizsl data images`,
    for those of parts, and for a network that is not the one of the record.
    """

    def __init__(
        self,
        where: Data,
        data: ZSLData,
        device: torch.device,
        backbone: str | None = None,
        weights: Path | None = None,
    ):
        self.device = device
        instead = INSTEAD.format(kinds=", ".join(READERS), dim=data.feature_dim)
        file = record_file(where)
        if file is None:
            raise InputError(
                f"{where.dataset}: images cannot be predicted, since its features were not made by "
                f"`cizsl data images` (no {RECORD}); {instead}"
            )
        record = json_file.read_model(file, Extraction)
        if record.feature_dim != data.feature_dim:
            there = f"of {record.feature_dim} features; the run has {data.feature_dim}"
            raise InputError(f"{file}: {there}; {instead}")
        plan = record.plan
        if "parts" in plan.preprocessing:
            raise InputError(
                f"{file}: the features are of squares around parts, whose places in other images "
                f"are not known; {instead}"
            )
        self.half = plan.dtype == "float16"
        self.preprocessing = _preprocessing(plan.preprocessing, file)
        self.backbone = _backbone(plan.backbone, file, device, backbone, weights)

    def features(self, images: list[Tensor]) -> np.ndarray:
        """Return the features (n, D) float32 of prepared images."""
        found = self.backbone(torch.stack(images).to(self.device)).float().cpu().numpy()
        with np.errstate(over="ignore"):  # infinities are refused later
            return found.astype(np.float16).astype(np.float32) if self.half else found


class ImageSource:
    """Images as items: a file, or the images of a folder at any depth, in order.

    Args: ``path``; ``network``; ``skip_bad``: leave out images that cannot be read, and keep their
    names in ``skipped``.
    """

    def __init__(self, path: Path, network: Network, skip_bad: bool = False):
        self.paths, self.root = images_at(path)
        self.network, self.skip_bad = network, skip_bad
        self.skipped: list[str] = []

    def __len__(self) -> int:
        return len(self.paths)

    def blocks(self) -> Iterator[Features]:
        """Yield the features of a few images at a time."""
        read = partial(read_image, preparation=self.network.preprocessing)
        with ThreadPoolExecutor(WORKERS) as pool:
            for start in range(0, len(self.paths), BATCH):
                paths = self.paths[start : start + BATCH]
                names, images = self._good(paths, list(pool.map(read, paths)))
                if images:
                    yield Features(names, self.network.features(images))

    def _good(self, paths: list[Path], found: list[Tensor | str]) -> tuple[list[str], list[Tensor]]:
        names, images = [], []
        for path, image in zip(paths, found, strict=True):
            if isinstance(image, Tensor):
                names.append(path.relative_to(self.root).as_posix())
                images.append(image)
            elif self.skip_bad:
                self.skipped.append(str(path))
            else:
                raise InputError(f"{path}: cannot be read: {image}; --skip-bad leaves it out")
        return names, images


def images_at(path: Path) -> tuple[list[Path], Path]:
    """Return the images at a path, and the folder from which they have their names.

    Raises :class:`InputError` where there is no image.
    """
    if path.is_dir():
        if found := [place for place in sorted(path.rglob("*")) if is_image(place)]:
            return found, path
        raise InputError(f"{path}: no image in this folder")
    if is_image(path):
        return [path], path.parent
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    kinds = ", ".join(READERS)
    raise InputError(f"{path}: expected features ({kinds}), an image, or a folder of images")


def record_file(where: Data) -> Path | None:
    """Return the record of the network that made the features, None where there is none."""
    folder = None
    if where.layout == "published":
        folder = dataset_folder(where.root, where.dataset)
    if where.layout == "npz":  # the file lies beside the folder that it was made from
        root = Path(where.root)
        folder = (root.parent if root.is_file() else root) / where.dataset
    file = folder and folder / RECORD
    return file if file and file.is_file() else None


def _preprocessing(found: dict, file: Path) -> Preprocessing:
    try:
        values: dict[str, Any] = found | {name: tuple(found[name]) for name in ("mean", "std")}
        return Preprocessing(**values)
    except (KeyError, TypeError, InputError):
        raise InputError(f"{file}: preprocessing: not settings of ours") from None


def _backbone(
    origin: Origin, file: Path, device: torch.device, name: str | None, weights: Path | None
) -> Backbone:
    """Load the network of a record. Raises :class:`InputError` where it is another."""
    known, ours = origin.name, origin.name == efficientnet.NAME
    if name is None and not ours and not known.startswith("timm:"):  # it is a program
        raise InputError(f"{file}: made by the network {shown(known)}; --backbone says where it is")
    if weights is None and origin.weights and not ours:
        made = f"made with the weights {shown(origin.weights)}"
        raise InputError(f"{file}: {made}; --weights says where they are")
    found = load_backbone(name or known, weights, device)
    if found.origin["parameters_sha256"] != origin.parameters_sha256:
        which = f"the network {shown(name or known)}"
        raise InputError(f"{which} has other parameters than the one of the run's features")
    return found
