"""The settings of the data: which, where its files lie, how it is split and drawn."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from repro.config import Settings
from repro.plugins import Registered, is_plugin
from sde.config.bounds import Count, Seed, Share
from sde.data.image_datasets import READERS, SHAPES
from sde.data.registry import names
from sde.data.toy import PLANE

PUBLISHED = tuple(SHAPES)
IMAGES = ("digits", *READERS)
USED_BY = {  # the data that have a use for a key
    "path": ("folder", "npz"),
    "heldout_path": ("folder",),
    "split": (*PUBLISHED, "npz"),
    "image_size": ("folder",),
    "channels": ("folder",),
    "skip_bad": ("folder",),
    "flip": IMAGES,
    "dequantise": IMAGES,
    "centred": IMAGES,
}


class Data(Settings):
    """The data that is learnt (data/README.md)."""

    name: Annotated[str, Registered(names, "data set")] = Field(
        default="eight_gaussians", description="a distribution in the plane, or a set of images"
    )
    train: Count = Field(
        default=20000, description="training examples drawn from a distribution; ignored for images"
    )
    heldout: Count | Share | None = Field(
        default=None,
        description="held-out examples: a count, or for images a share. Default: 4000; of folders "
        "and npz files without a test part a tenth, at most 4000",
    )
    seed: Seed = Field(
        default=0, description="seed of the draws, and of the random split of images"
    )
    root: str = Field(default="data", description="folder of the published sets, and of the cache")
    path: str | None = Field(
        default=None, description="for folder: a folder or a zip of images; for npz: the file"
    )
    heldout_path: str | None = Field(
        default=None, description="for folder: a second folder or zip, whose images are held out"
    )
    split: Literal["official", "train", "test"] = Field(
        default="official",
        description="official: hold out the test images; train, test: split these images at random",
    )
    image_size: PositiveInt | None = Field(
        default=None,
        le=2**14,
        description="side of the square cut from the middle of each image, resized",
    )
    channels: Literal[1, 3] | None = Field(
        default=None, description="1: grey, 3: colour; default: colour"
    )
    flip: bool = Field(default=False, description="mirror training images at random")
    dequantise: bool = Field(
        default=True, description="in training, draw uniformly within the cell of each grey level"
    )
    centred: bool = Field(
        default=True, description="scale grey levels to [-1, 1]; false: to [0, 1]"
    )
    memory: Literal["auto", "device", "host"] = Field(
        default="auto",
        description="where images are kept; auto: on the device if they take at most a quarter of "
        "its memory",
    )
    skip_bad: bool = Field(
        default=False, description="leave out files that are no image of the right size"
    )
    download: bool = Field(default=True, description="download published files that are missing")

    @model_validator(mode="after")
    def _uses_what_it_sets(self):
        if is_plugin(self.name):
            return self
        for key, users in USED_BY.items():
            default = type(self).model_fields[key].default
            if self.name not in users and getattr(self, key) != default:
                raise ValueError(f"{key}: {self.name} does not use it, only {', '.join(users)}")
        if self.name in ("folder", "npz") and self.path is None:
            raise ValueError(f"path: {self.name} needs one")
        if self.heldout is not None and self.heldout < 1 and self.name in PLANE:
            raise ValueError(f"heldout: expected a count; {self.name} has no share")
        return self
