"""The sections of a configuration: names, types, ranges, defaults and descriptions.

The defaults are what we recommend: exact divergences, two different classes in every hallucinated
text, the strict protocol. ``configs/cizsl/birds/published.yaml`` sets each switch as the published
code has it.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from repro.config import Settings
from repro.plugins import Registered

# The bounds exclude what no tensor can hold: float32 ends at 3.4e38.
Positive = Annotated[float, Field(gt=0, le=1e30)]
NonNegative = Annotated[float, Field(ge=0, le=1e30)]
Unit = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Width = Annotated[int, Field(gt=0, le=1_000_000)]
Count = Annotated[int, Field(gt=0, le=1_000_000_000)]
CountOrNone = Annotated[int, Field(ge=0, le=1_000_000_000)]
Draws = Annotated[int, Field(gt=0, le=1000)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
DivergenceParameter = Annotated[float, Field(gt=0, le=100)] | Literal["learned"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]  # also of files
Criterion = Literal["ausuc", "top1", "per_class_top1", "harmonic"]
Validators = Literal["class", "family"]


def _divergences() -> list[str]:
    from cizsl.creativity import CREATIVITY  # imports torch

    return [*CREATIVITY, "none"]


class Model(Settings):
    """Widths of the networks, and the generator's output function."""

    noise_dim: Width = Field(default=100, description="width of the noise z")
    text_embed_dim: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=1000,
        description="width of the text projection; 0: none, as in GAZSL for attributes",
    )
    hidden_dim: Width = Field(
        default=4096, description="width of the hidden layers; 4086 in the published CIZSL code"
    )
    output: Literal["tanh", "linear"] = Field(
        default="tanh", description="output function of the generator; tanh is limited to (-1, 1)"
    )


class Creativity(Settings):
    """The loss terms on hallucinated samples x_h, and how hallucinated texts are drawn."""

    RENAMED: ClassVar[dict[str, str]] = {
        "realness": "adversarial",
        "published_pairs": "reference_compat",
    }

    divergence: Annotated[str, Registered(_divergences, "divergence")] = Field(
        default="sharma_mittal",
        description="creativity loss: a divergence from uniform, new_class, a plugin "
        "package.module:function, or none (GAZSL, no hallucinated text)",
    )
    form: Literal["exact", "published"] = Field(
        default="exact", description="the definition, or what the published code computes"
    )
    alpha: DivergenceParameter = Field(
        default=0.5, description="first parameter (order) of the divergence, or learned"
    )
    beta: DivergenceParameter = Field(
        default=0.5, description="second parameter (degree) of the divergence, or learned"
    )
    weight: NonNegative = Field(default=0.1, description="weight of the creativity loss")
    adversarial: NonNegative = Field(
        default=1.0, description="weight of the adversarial term -E[D(x_h)] on hallucinated samples"
    )
    mixing: tuple[Unit, Unit] = Field(
        default=(0.2, 0.8),
        description="range of the mixing weight; [1, 1]: texts of single classes",
    )
    reference_compat: bool = Field(
        default=False, description="pair classes by shuffling a batch, as the published code does"
    )

    @field_validator("weight", mode="before")
    @classmethod
    def _is_single(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            raise ValueError(
                "expected one number; candidates to choose from stand in the section search: "
                "search: {creativity.weight: [...]}"
            )
        return value

    @model_validator(mode="after")
    def _check(self):
        if self.mixing[0] > self.mixing[1]:
            raise ValueError(f"mixing: expected low <= high, got {list(self.mixing)}")
        if self.form == "published":
            from cizsl import creativity  # imports torch

            if loss := creativity.resolve(self.divergence, "published"):
                loss.check(self.alpha, self.beta)
        return self


class Loss(Settings):
    """Weights of the loss terms that GAZSL has."""

    RENAMED: ClassVar[dict[str, str]] = {"published_pivot": "reference_compat"}

    gradient_penalty: NonNegative = Field(
        default=10.0, description="weight of the gradient penalty"
    )
    classification: NonNegative = Field(
        default=1.0, description="weight of the cross-entropies of critic and generator"
    )
    pivot: NonNegative = Field(default=1.0, description="weight of the visual pivot")
    l2: NonNegative = Field(default=1e-3, description="weight of the generator's squared weights")
    l21: NonNegative = Field(
        default=1e-4, description="weight of the L21 norm of the text projection"
    )
    reference_compat: bool = Field(
        default=False,
        description="visual pivot as published, wrong for classes with a single image",
    )


class Optimiser(Settings):
    """Adam, and how long."""

    RENAMED: ClassVar[dict[str, str]] = {
        "exponent_betas": "divergence_betas",
        "published_order": "reference_compat",
    }

    learning_rate: Positive = Field(default=1e-4, description="Adam's, for all parameters")
    betas: tuple[Beta, Beta] = Field(default=(0.5, 0.9), description="Adam's, for both networks")
    divergence_betas: tuple[Beta, Beta] = Field(
        default=(0.5, 0.999), description="Adam's, for learned divergence parameters"
    )
    batch_size: Count = Field(default=1000, description="images in a batch")
    critic_steps: Count = Field(default=5, description="critic steps in an iteration")
    iterations: Count = Field(default=3001, description="each has critic_steps + 1 steps")
    max_grad_norm: NonNegative = Field(
        default=0.0, description="clip the generator's gradient to this norm; 0: do not clip"
    )
    reference_compat: bool = Field(
        default=False,
        description="drop a last batch that is exactly full, as the published code does",
    )


class Evaluation(Settings):
    """The protocol and its numbers."""

    RENAMED: ClassVar[dict[str, str]] = {"penalty": "weight_decay"}

    protocol: Literal["reference", "strict"] = Field(
        default="strict",
        description="strict: choose on validation classes, test once; reference: best on test",
    )
    samples: Annotated[int, Field(gt=0, le=10_000)] = Field(
        default=60, description="synthetic features for each class"
    )
    classifier: Literal["knn", "softmax", "diffusion"] = Field(
        default="knn",
        description="knn, softmax: trained on synthetic features of the unseen classes; diffusion: "
        "without samples, by the denoising errors of a score-based generator",
    )
    neighbours: Count = Field(default=20, description="k of the k-NN")
    weight_decay: Positive = Field(
        default=1e-4, description="lambda of the softmax: lambda/2 |W|^2"
    )
    generalised: Literal["pivot", "classifier"] = Field(
        default="pivot",
        description="what scores all classes: the cosine with their prototypes (mean synthetic "
        "features), or the classifier (GBU); the reference protocol then reports the best T1 and "
        "the best H",
    )
    every: Count = Field(default=10, description="iterations between evaluations")
    start: CountOrNone = Field(default=30, description="first iteration evaluated")
    validation_share: Share = Field(
        default=0.2, description="share of the seen classes that validate (strict)"
    )
    heldout_share: Share = Field(
        default=0.1, description="share of every seen class's images that is held out (strict)"
    )
    validation_seed: Seed = Field(
        default=0, description="seed that draws validation classes and held-out images (strict)"
    )
    validation_by: Validators = Field(
        default="class", description="whether single classes or whole families validate (strict)"
    )
    validation_splits: Draws = Field(default=1, description="draws that baselines average over")
    select_by: Criterion = Field(
        default="ausuc", description="score on validation classes that decides (strict)"
    )
    patience: CountOrNone = Field(
        default=50, description="evaluations without a better one before validation stops; 0: never"
    )

    @property
    def reported(self) -> tuple[str, str]:
        """The two scores whose best values the reference protocol reports, each on its own."""
        if self.generalised == "classifier":
            return "per_class_top1", "harmonic"
        return "top1", "ausuc"


class Compute(Settings):
    """How to compute; nothing here changes the numbers beyond rounding."""

    precision: Literal["float32", "tf32", "bf16"] = Field(
        default="float32", description="arithmetic of matrix products in training"
    )
    compile: bool = Field(default=False, description="torch.compile the loss terms")
    align: Literal["auto", "none"] | Annotated[int, Field(ge=1, le=1024)] = Field(
        default="auto",
        description="widen noise, text and hidden layers by zeros to multiples of this number, for "
        "faster kernels; auto: 64 on CUDA, none elsewhere",
    )
    graph: Literal["auto", "none"] = Field(
        default="auto",
        description="auto: on CUDA, an iteration of a GAN is one captured graph, and a training "
        "stops between iterations only",
    )
    logger: Literal["none", "tensorboard", "wandb"] = Field(
        default="none", description="where to log the records, besides metrics.jsonl"
    )
    checkpoint_seconds: Annotated[float, Field(ge=0, le=1e9)] = Field(
        default=300.0, description="time between checkpoints; 0: after every iteration"
    )

    def alignment(self, device: str) -> int:
        """Return the number whose multiples the networks' widths become on "cpu" or "cuda"."""
        if isinstance(self.align, int):
            return self.align
        return 64 if (self.align, device) == ("auto", "cuda") else 1

    def has_graph(self, device: str) -> bool:
        """Return whether iterations are captured on "cpu" or "cuda"."""
        return (self.graph, device) == ("auto", "cuda")
