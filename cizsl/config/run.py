"""The configuration of a cizsl run, and that of a baseline.

Both consist of the sections in :mod:`cizsl.config.sections`. A YAML file states only what it
changes.
"""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from cizsl.config import candidates
from cizsl.config.data import Data
from cizsl.config.generators import SECTIONS, TITLES, Gaussian, GeneratorName, Score
from cizsl.config.sections import (
    Compute,
    Creativity,
    Criterion,
    Draws,
    Evaluation,
    Loss,
    Model,
    Optimiser,
    Seed,
    Share,
    Validators,
)
from cizsl.config.successors import HeadSettings, Walk
from repro.config import Settings

METHODS = {"none": "GAZSL", "random_walk": "GRaWD"}  # method by creativity.divergence


class CIZSLConfig(Settings):
    """One experiment."""

    name: str = Field(
        default="",
        max_length=60,
        description="name in tables; empty: a description of the settings",
    )
    seed: Seed = Field(default=0, description="of all random numbers but the validation seed's")
    data: Data = Field(default=Data(), description="which classes and images")
    generator: GeneratorName = Field(
        default="gan",
        description="what makes features from texts: a GAN that is trained, or a Gaussian for "
        "each class in closed form, or a score-based generator that begins as these Gaussians",
    )
    gaussian: Gaussian = Field(default=Gaussian(), description="the Gaussian generator")
    score: Score = Field(default=Score(), description="the score-based generator")
    model: Model = Field(default=Model(), description="the networks")
    loss: Loss = Field(default=Loss(), description="weights of the loss terms")
    creativity: Creativity = Field(default=Creativity(), description="hallucinated samples (CIZSL)")
    head: HeadSettings = Field(
        default=HeadSettings(), description="classifier of the discriminator (CIZSL-v2)"
    )
    walk: Walk = Field(default=Walk(), description="random walks (GRaWD)")
    optimiser: Optimiser = Field(default=Optimiser(), description="Adam, batches and iterations")
    evaluation: Evaluation = Field(default=Evaluation(), description="the protocol and its numbers")
    compute: Compute = Field(default=Compute(), description="how to compute")
    search: dict[str, tuple[Any, ...]] = Field(
        default={},
        description="candidate values by dotted key, such as {creativity.weight: [0, 0.1, 1]}; "
        "validation classes choose among all combinations, which replaces the key's own value",
    )

    _flat = field_validator("search", mode="before")(candidates.flatten)

    @property
    def method(self) -> str:
        """GAZSL where nothing is hallucinated, GRaWD with random walks, CIZSL-v2 with a semantic
        classifier, else CIZSL; or the name of another generator than a GAN."""
        if self.generator != "gan":
            return TITLES[self.generator]
        cizsl = "CIZSL" if self.head.kind == "linear" else "CIZSL-v2"
        return METHODS.get(self.creativity.divergence, cizsl)

    @property
    def searched(self) -> dict[str, tuple]:
        """The keys that are searched and their candidates, without those of other methods.

        GAZSL has no creativity to search.
        """
        if self.generator != "gan":
            ours = (*SECTIONS[self.generator], "data.", "evaluation.")
            return {key: value for key, value in self.search.items() if key.startswith(ours)}
        if self.method == "GAZSL" and "creativity.divergence" not in self.search:
            return {k: v for k, v in self.search.items() if not k.startswith("creativity.")}
        return dict(self.search)

    def trials(self) -> list["CIZSLConfig"]:
        """Return one configuration without a search for each combination of candidates."""
        combined = candidates.combinations(self.searched)
        return [self.with_values(values) for values in combined]

    def with_values(self, values: dict[str, Any]) -> "CIZSLConfig":
        """Return the configuration with other values, by dotted key, and without a search."""
        content = self.model_dump() | {"search": {}}
        for key, value in values.items():
            section, _, name = key.partition(".")
            content[section][name] = value
        return CIZSLConfig.model_validate(content)

    def values_of(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values of dotted keys, JSON-ready."""
        content = self.model_dump(mode="json")
        return {key: content[key.split(".")[0]][key.split(".")[1]] for key in keys}

    @model_validator(mode="after")
    def _check_search(self):
        if self.search:
            candidates.check(self.search, self)
        if self.searched and self.evaluation.protocol == "reference":
            raise ValueError(
                "search: validation classes choose among candidates, and the reference protocol "
                "has none; evaluation.protocol: strict has them"
            )
        return self

    @model_validator(mode="after")
    def _can_classify(self):
        if self.evaluation.classifier == "diffusion" and self.generator != "score":
            raise ValueError(
                "evaluation.classifier: diffusion needs a denoiser, which generator: score has; "
                f"the generator is {self.generator}"
            )
        return self

    @model_validator(mode="after")
    def _evaluates(self):
        first = -(-self.evaluation.start // self.evaluation.every) * self.evaluation.every
        if first >= self.optimiser.iterations:
            raise ValueError(
                f"evaluation.start: the first evaluation would be after iteration {first}, but "
                f"optimiser.iterations is {self.optimiser.iterations}"
            )
        return self


class BaselineEvaluation(Settings):
    """The part of :class:`Evaluation` that a baseline has: how its penalties are chosen."""

    protocol: Literal["strict"] = Field(default="strict", description="baselines know no other")
    validation_share: Share = Field(
        default=0.2, description="share of the seen classes that validate"
    )
    heldout_share: Share = Field(
        default=0.1, description="share of every seen class's images that is held out"
    )
    validation_seed: Seed = Field(
        default=0, description="seed that draws validation classes and held-out images"
    )
    validation_by: Validators = Field(
        default="class", description="single classes, or whole families"
    )
    validation_splits: Draws = Field(
        default=1, description="draws of validation classes over which scores are averaged"
    )
    select_by: Criterion = Field(
        default="ausuc", description="score on validation classes that decides"
    )


class Baseline(Settings):
    """A classifier in closed form on the data of an experiment; nothing in it is random."""

    baseline: Literal["ridge", "eszsl", "bilinear", "gaussian"] = Field(
        description="ridge regression, ESZSL, the bilinear softmax, or a Gaussian for each class"
    )
    data: Data = Field(default=Data(), description="which classes and images")
    evaluation: BaselineEvaluation = Field(default=BaselineEvaluation(), description="the protocol")
