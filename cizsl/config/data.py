"""The section of a configuration that names the data."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field, field_validator

from cizsl.config.sections import Name
from repro.config import Settings
from repro.plugins import Registered


def _layouts() -> Iterable[str]:
    from cizsl.data.layouts import LAYOUT_READERS

    return LAYOUT_READERS


def _normalisations() -> Iterable[str]:
    from cizsl.data.normalise import kinds

    return kinds()


class Data(Settings):
    """Which classes and images, and how their features are normalised."""

    layout: Annotated[str, Registered(_layouts, "layout")] = Field(
        default="published",
        description="layout of the files: published, npz or compact (docs/data.md), gbu "
        "(docs/gbu.md)",
    )
    root: str = Field(default="data", description="folder that holds the dataset (CUB2011, NABird)")
    dataset: Name = Field(
        default="CUB", description="CUB, NAB, a name of your own; in the compact layout CUB-compact"
    )
    split: Name = Field(
        default="easy", description="easy or hard; PS in gbu; or a name of your own"
    )
    texts: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(),
        description="further texts of the classes beside the dataset's own: .npz files in the "
        "folder root (docs/data.md)",
    )
    text_whitening: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        default=(),
        description="partial whitening of each of several texts, from 0, as they are, to 1: weighs "
        "the directions alike in which seen texts differ (docs/data.md)",
    )
    normalisation: Annotated[str, Registered(_normalisations, "normalisation")] = Field(
        default="published",
        description="of the features; published: (x - mean) / variance, both scalars; "
        "discriminant: coordinates of linear discriminant analysis; root: square roots, each image "
        "of length one; root_discriminant: both (docs/data.md)",
    )

    @field_validator("texts", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value
