"""The generators of visual features, and the settings of those that are not the GAN."""

from typing import Annotated, Literal

from pydantic import Field

from cizsl.config.sections import NonNegative, Positive, Unit, Width
from repro.config import Settings

DivergenceOrder = Annotated[float, Field(gt=0, le=100)]
GeneratorName = Literal["gan", "gaussian", "score"]
TITLES = {  # of those that are not the GAN
    "gaussian": "Gaussian generator",
    "score": "score-based generator",
}

SECTIONS = {  # beginnings of the keys that a generator reads, where it is not the GAN
    "gaussian": ("gaussian.",),
    "score": ("gaussian.", "score.", "optimiser."),
}


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
    isotropy: Unit = Field(
        default=0.0, description="of the covariance of that uncertainty; 1: a multiple of identity"
    )
    scale: Positive = Field(
        default=1.0, description="of the predicted class means about the mean of the seen ones"
    )
    text_weights: tuple[NonNegative, ...] = Field(
        default=(), description="of each text of a class, where it has several; empty: all 1"
    )


class Score(Settings):
    """A denoiser that begins as the Gaussian generator's, and learns what that misses."""

    classes: Literal["virtual", "seen"] = Field(
        default="virtual",
        description="what it is trained on: classes that do not exist, or the seen ones, whose "
        "means it then memorises",
    )
    hidden_dim: Width = Field(default=256, description="width of the network")
    depth: Annotated[int, Field(ge=1, le=100)] = Field(default=2, description="residual blocks")
    null_share: Unit = Field(default=0.1, description="share of the rows without a condition")
    evaluations: Annotated[int, Field(ge=2, le=1000)] = Field(
        default=16, description="of the network for each sample"
    )
    guidance: NonNegative = Field(default=0.0, description="weight of classifier-free guidance")
    away: NonNegative = Field(
        default=0.0, description="weight of the guidance away from the nearest seen classes"
    )
    neighbours: Width = Field(default=3, description="how many of them")
    entropy: NonNegative = Field(default=0.0, description="weight of entropy guidance")
    divergence: Literal["sharma_mittal", "renyi", "tsallis", "bhattacharyya", "kl"] = Field(
        default="sharma_mittal", description="of entropy guidance, from the uniform law"
    )
    alpha: DivergenceOrder = Field(default=0.5, description="its first parameter (order)")
    beta: DivergenceOrder = Field(default=0.5, description="its second parameter (degree)")
