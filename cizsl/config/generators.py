"""The generators of visual features, and the settings of those that are not the GAN."""

from typing import Literal

from pydantic import Field

from cizsl.config.sections import NonNegative, Positive, Unit
from repro.config import Settings

GeneratorName = Literal["gan", "gaussian"]
TITLES = {"gaussian": "Gaussian generator"}  # of those that are not the GAN


class Gaussian(Settings):
    """A Gaussian for each class, whose mean and covariance its text predicts in closed form."""

    penalty: Positive = Field(
        default=0.1,
        description="of the regression from texts to class means, in units of the mean squared "
        "length of the centred texts",
    )
    shrinkage: Unit = Field(
        default=0.5, description="of the covariance within classes, towards the identity"
    )
    spread: NonNegative = Field(
        default=0.3, description="weight of the uncertainty of the predicted class means"
    )
    text_weights: tuple[NonNegative, ...] = Field(
        default=(), description="of each text of a class, where it has several; empty: all 1"
    )
