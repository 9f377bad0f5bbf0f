"""The settings of the data: which, where its files lie, how they are cut and drawn."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from repro.config import Settings

Share = Annotated[float, Field(gt=0, lt=1)]

PLANE = ("eight_gaussians", "moons", "checkerboard", "swiss_roll")
PUBLISHED = ("mnist", "fashion_mnist", "cifar10")
IMAGES = ("digits", *PUBLISHED, "folder", "npz")
USED_BY = {  # which data have a use for a key
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
    """What is learnt (data/README.md)."""

    name: Literal[(*PLANE, *IMAGES)] = "eight_gaussians"
    train: PositiveInt = Field(20000, description="draws to train on; of images, all there are")
    heldout: PositiveInt | Share = Field(
        4000,
        description="draws held out; of images with no official test part a count or share",
    )
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        0, description="of the draws and of the split"
    )
    root: str = Field("data", description="folder of the published sets, and of the cache")
    path: str | None = Field(None, description="of folder: a folder or a zip; of npz: the file")
    heldout_path: str | None = Field(None, description="a second folder or zip, held out")
    split: Literal["official", "train", "test"] = Field(
        "official", description="hold out the test images; or cut the train, or test, images in two"
    )
    image_size: PositiveInt | None = Field(
        None, description="side of the square cut from the middle of each image and resized"
    )
    channels: Literal[1, 3] | None = Field(None, description="grey or colour; null: colour")
    flip: bool = Field(False, description="mirror training images at random")
    dequantise: bool = Field(True, description="uniform noise within a level, in training")
    centred: bool = Field(True, description="levels on [-1, 1]; false: on [0, 1]")
    memory: Literal["auto", "device", "host"] = Field(
        "auto", description="where images lie; auto: on the device if they take at most a quarter"
    )
    skip_bad: bool = Field(False, description="leave out files that are no image of the right size")
    download: bool = Field(True, description="fetch published files that are missing")

    @model_validator(mode="after")
    def _uses_what_it_sets(self):
        for key, names in USED_BY.items():
            if (
                self.name not in names
                and getattr(self, key) != type(self).model_fields[key].default
            ):
                raise ValueError(f"{key}: {self.name} has no use for it, only {', '.join(names)}")
        if self.name in ("folder", "npz") and self.path is None:
            raise ValueError(f"path: {self.name} needs one")
        if self.heldout < 1 and self.name not in IMAGES:
            raise ValueError(f"heldout: a count is needed; {self.name} has no share")
        return self
