"""The sections of the methods after CIZSL: the classifier of CIZSL-v2 and the walks of GRaWD."""

from typing import Annotated, Literal

from pydantic import Field

from cizsl.config.sections import NonNegative, Positive
from repro.config import Settings

Steps = Annotated[int, Field(ge=0, le=100)]
Decay = Annotated[float, Field(gt=0, le=1)]
Samples = Annotated[int, Field(ge=2, le=10_000)]


class HeadSettings(Settings):
    """The classifier of the discriminator."""

    kind: Literal["linear", "semantic", "both"] = Field(
        default="linear",
        description="linear: a weight vector for each class; semantic: the class's reduced text "
        "(CIZSL-v2); both: two classifiers",
    )
    scale: NonNegative = Field(
        default=0.0,
        description="semantic logits are scale * cosine; 0: the inner product, as published",
    )
    constant_texts: bool = Field(
        default=False,
        description="the creativity loss does not move the reduced texts of the seen classes",
    )


class Walk(Settings):
    """The random walks of GRaWD; used where creativity.divergence is random_walk."""

    critic_imitative: NonNegative = Field(
        default=1.0, description="weight of walks through the classes' samples, for the critic"
    )
    critic_real: NonNegative = Field(
        default=1.0, description="weight of walks through real images, for the critic"
    )
    generator_imitative: NonNegative = Field(
        default=1.0, description="weight of walks through the classes' samples, for the generator"
    )
    samples: Samples = Field(default=10, description="samples of each class in a walk")
    steps: Steps = Field(default=3, description="most steps from sample to sample")
    decay: Decay = Field(default=0.7, description="weight of a step more")
    scale: Positive = Field(
        default=3.0,
        description="similarity is scale^2 * cosine; at the published 1, separate classes are not "
        "the optimum",
    )
    visit: NonNegative = Field(default=1.0, description="weight of visiting all samples alike")
    similarity: Literal["cosine", "euclidean"] = Field(
        default="cosine", description="of samples; euclidean: minus the squared distance"
    )
    space: Literal["hidden", "visual"] = Field(
        default="hidden", description="walk in the discriminator's hidden layer or in the features"
    )
    constant_prototypes: bool = Field(
        default=True, description="the prototypes of the creative walk are constants"
    )
    reference_compat: bool = Field(
        default=False,
        description="as published: probabilities count as 1e-10 at least, and each walk has "
        "prototypes and images of its own",
    )
