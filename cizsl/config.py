"""Every setting of a cizsl run: names, types, ranges, and defaults.

The defaults are what we recommend: exact divergences, two different classes in every hallucinated
text, the strict protocol. ``configs/cizsl/birds/published.yaml`` turns each switch to what the
published code does. A YAML file states only what it changes.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, model_validator

from repro.config import Settings
from repro.plugins import registered

NonNegative = Annotated[float, Field(ge=0)]
Unit = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Exponent = PositiveFloat | Literal["learned"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]  # also of files


def _ascending(weights: tuple[float, ...]) -> tuple[float, ...]:
    if len(set(weights)) < len(weights):
        raise ValueError(f"expected different weights, got {list(weights)}")
    return tuple(sorted(weights))


def _divergences() -> list[str]:
    from cizsl.creativity import CREATIVITY

    return [*CREATIVITY, "none"]


Candidates = Annotated[tuple[NonNegative, ...], Field(min_length=2), AfterValidator(_ascending)]


def _layouts() -> Iterable[str]:
    from cizsl.data.layouts import LAYOUT_READERS

    return LAYOUT_READERS


def _normalisations() -> Iterable[str]:
    from cizsl.data.normalise import NORMALISATIONS

    return NORMALISATIONS


class Data(Settings):
    """Which classes and images, and how their features are normalised."""

    layout: registered(_layouts, "layout") = Field(
        "published",
        description="layout of the files: published, npz or compact, see docs/data.md; gbu",
    )
    root: str = Field("data", description="the folder that holds the dataset: CUB2011, NABird")
    dataset: Name = Field(
        "CUB", description="CUB, NAB, a name of your own; in the compact layout CUB-compact"
    )
    split: Name = Field("easy", description="easy or hard; PS in gbu; or a name of your own")
    normalisation: registered(_normalisations, "normalisation") = Field(
        "published", description="published: (x - mean) / variance, both scalars"
    )


class Model(Settings):
    """Widths of the networks."""

    noise_dim: PositiveInt = 100
    text_embed_dim: Annotated[int, Field(ge=0)] = Field(
        1000, description="0: no projection, as GAZSL has it for attributes"
    )
    hidden_dim: PositiveInt = Field(4096, description="4086 in the published CIZSL code")


class Creativity(Settings):
    """What hallucinated samples are asked to be."""

    divergence: registered(_divergences, "divergence") = Field(
        "sharma_mittal",
        description="creativity loss: a divergence from uniform, new_class, a plugin "
        "package.module:function, or none (GAZSL, no hallucinated text)",
    )
    form: Literal["exact", "published"] = "exact"
    alpha: Exponent = 0.5
    beta: Exponent = 0.5
    weight: NonNegative | Candidates = Field(
        0.1, description="a list: one of these, chosen on validation classes (strict)"
    )
    realness: NonNegative = Field(1.0, description="weight of -E[D(x_h)] on hallucinated samples")
    mixing: tuple[Unit, Unit] = Field(
        (0.2, 0.8), description="range of the mixing weight; [1, 1]: texts of single classes"
    )
    published_pairs: bool = Field(False, description="pair classes by shuffling a batch")

    @model_validator(mode="after")
    def _check(self):
        if self.mixing[0] > self.mixing[1]:
            raise ValueError(f"mixing: expected low <= high, got {list(self.mixing)}")
        if self.form == "published":
            self._check_published()
        return self

    def _check_published(self):
        from cizsl import creativity  # torch, which reading a configuration does not need otherwise

        if loss := creativity.resolve(self.divergence, "published"):
            loss.check(self.alpha, self.beta)


class Loss(Settings):
    """Weights of the terms that GAZSL has."""

    gradient_penalty: NonNegative = 10.0
    classification: NonNegative = 1.0
    pivot: NonNegative = 1.0
    l2: NonNegative = 1e-3
    l21: NonNegative = 1e-4
    published_pivot: bool = Field(False, description="repeat the single-image quirk")


class Optimiser(Settings):
    """Adam, and how long."""

    RENAMED: ClassVar[dict[str, str]] = {"exponent_betas": "divergence_betas"}

    learning_rate: PositiveFloat = 1e-4
    betas: tuple[Beta, Beta] = (0.5, 0.9)
    divergence_betas: tuple[Beta, Beta] = (0.5, 0.999)
    batch_size: PositiveInt = 1000
    critic_steps: PositiveInt = 5
    iterations: PositiveInt = Field(3001, description="each has critic_steps + 1 steps")
    published_order: bool = Field(False, description="drop a last batch that is exactly full")


class Evaluation(Settings):
    """The protocol and its numbers."""

    protocol: Literal["reference", "strict"] = "strict"
    samples: Annotated[int, Field(gt=0, le=10_000)] = Field(
        60, description="synthetic features for each class"
    )
    classifier: Literal["knn", "softmax"] = Field(
        "knn", description="trained on synthetic features of the unseen classes"
    )
    neighbours: PositiveInt = Field(20, description="k of the k-NN")
    penalty: PositiveFloat = Field(1e-4, description="of the softmax: lambda/2 |W|^2")
    generalised: Literal["pivot", "classifier"] = Field(
        "pivot",
        description="what all classes compete by: their mean synthetic features, or the "
        "classifier (GBU); the reference protocol then reports the best T1 and the best H",
    )
    every: PositiveInt = Field(10, description="iterations between evaluations")
    start: Annotated[int, Field(ge=0)] = Field(30, description="first iteration evaluated")
    validation_share: Share = Field(0.2, description="of the seen classes (strict)")
    heldout_share: Share = Field(0.1, description="of every seen class's images (strict)")
    validation_seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        0, description="committed (strict)"
    )
    select_by: Literal["ausuc", "top1", "per_class_top1", "harmonic"] = "ausuc"
    patience: Annotated[int, Field(ge=0)] = Field(
        50, description="evaluations without a better one before selection stops; 0: never"
    )

    @property
    def reported(self) -> tuple[str, str]:
        """The two scores whose best values the reference protocol reports, each on its own."""
        if self.generalised == "classifier":
            return "per_class_top1", "harmonic"
        return "top1", "ausuc"


class Compute(Settings):
    """How to compute; nothing here changes what is computed beyond rounding."""

    precision: Literal["float32", "tf32", "bf16"] = "float32"
    compile: bool = Field(False, description="torch.compile the loss terms")
    checkpoint_seconds: NonNegative = Field(300.0, description="0: after every iteration")


class CIZSLConfig(Settings):
    """One experiment."""

    name: str = Field("", max_length=60, description="what tables call it; else its settings")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    data: Data = Data()
    model: Model = Model()
    loss: Loss = Loss()
    creativity: Creativity = Creativity()
    optimiser: Optimiser = Optimiser()
    evaluation: Evaluation = Evaluation()
    compute: Compute = Compute()

    @property
    def method(self) -> str:
        return "GAZSL" if self.creativity.divergence == "none" else "CIZSL"

    @property
    def searches(self) -> bool:
        """Whether the creativity weight is to be chosen; GAZSL has none."""
        return isinstance(self.creativity.weight, tuple) and self.method == "CIZSL"

    @model_validator(mode="after")
    def _has_validation_classes(self):
        if self.searches and self.evaluation.protocol == "reference":
            raise ValueError(
                "creativity.weight: one of a list is chosen on validation classes, which the "
                "reference protocol does not have; give one weight, or evaluation.protocol: strict"
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


class Choice(Settings):
    """What a baseline has of :class:`Evaluation`: how its penalties are chosen."""

    protocol: Literal["strict"] = "strict"
    validation_share: Share = 0.2
    heldout_share: Share = 0.1
    validation_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    select_by: Literal["ausuc", "top1", "per_class_top1", "harmonic"] = "ausuc"


class Baseline(Settings):
    """A classifier in closed form on the data of an experiment; nothing in it is random."""

    baseline: Literal["ridge", "eszsl"]
    data: Data = Data()
    evaluation: Choice = Choice()
