"""The settings of an sde run: names, types, bounds and defaults.

The defaults train a multilayer perceptron on a distribution in the plane, in about a minute. A
YAML file states only what it changes.
"""

from dataclasses import fields
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from repro.config import OneOf, Settings
from repro.loggers import LOGGERS
from repro.plugins import Registered, is_plugin
from sde.config.bounds import (
    Count,
    CountOrZero,
    Decay,
    Iterations,
    Length,
    NonNegative,
    Positive,
    Time,
)
from sde.config.data import Data
from sde.config.model import UNETS, Model
from sde.config.sampling import PRECISIONS, Evaluation, Sampling
from sde.data.toy import PLANE
from sde.losses import COUPLINGS, REDUCTIONS, TIMES, WEIGHTINGS
from sde.processes import PROCESSES

Finite = Annotated[float, Field(ge=-1e12, le=1e12)]


PARAMETERS = ("sigma_min", "sigma_max", "beta_min", "beta_max", "offset", "end_time")


class Process(Settings):
    """The forward process: ve takes the sigmas, vp and subvp the betas, the others the rest."""

    name: Annotated[str, Registered(lambda: PROCESSES, "process")] = Field(
        default="vp",
        description="variance exploding, variance preserving, sub-variance preserving, variance "
        "preserving with the cosine schedule, or rectified flow",
    )
    sigma_min: Finite = Field(default=0.01, description="noise of ve at time 0")
    sigma_max: Finite = Field(default=50.0, description="noise of ve at time 1")
    beta_min: Finite = Field(default=0.1, description="beta of vp and subvp at time 0")
    beta_max: Finite = Field(default=20.0, description="beta of vp and subvp at time 1")
    offset: Finite = Field(default=0.008, description="offset of the schedule of cosine")
    end_time: Finite = Field(
        default=0.995,
        description="time below 1 at which cosine and rectified_flow start to sample",
    )
    parameters: dict[str, Finite] = Field(
        default={}, description="keyword arguments of a process of your own, package.module:name"
    )

    @property
    def arguments(self) -> dict[str, float]:
        """The keyword arguments of the class of the process."""
        if self.name not in PROCESSES:
            return self.parameters
        names = [field.name for field in fields(PROCESSES[self.name])]
        return {name: getattr(self, name) for name in names}

    @model_validator(mode="after")
    def _uses_what_it_sets(self):
        for name in PARAMETERS:
            default = type(self).model_fields[name].default
            if name not in self.arguments and getattr(self, name) != default:
                raise ValueError(f"{name}: the process {self.name} has no such parameter")
        if self.parameters and not is_plugin(self.name):
            raise ValueError(f"parameters: {self.name} has keys of its own for its parameters")
        return self


class Loss(Settings):
    """Denoising score matching (sde/losses.py)."""

    weighting: Annotated[str, OneOf(WEIGHTINGS)] = Field(
        default="variance", description="weight of each time"
    )
    reduce: Annotated[str, OneOf(REDUCTIONS)] = Field(
        default="mean", description="over the dimensions: the mean, or half the sum"
    )
    eps: Time = Field(default=1e-5, description="the smallest time trained on")
    num_timesteps: Annotated[int, Field(ge=2, le=10**6)] | None = Field(
        default=None, description="train on a discrete table of this size: SMLD for ve, DDPM for vp"
    )
    times: Annotated[str, OneOf(TIMES)] = Field(
        default="uniform",
        description="how times are drawn: uniformly in t, or the logarithm of the noise level "
        "std / scale uniform (log_noise) or normal (log_normal); their density multiplies the "
        "weighting, unless corrected",
    )
    log_mean: float = Field(default=-1.2, ge=-20, le=20, description="mean of times: log_normal")
    log_std: Positive = Field(default=1.2, description="standard deviation of times: log_normal")
    corrected: bool = Field(
        default=False,
        description="divide by the density of the times, so that the expectation of the loss is "
        "that of uniform times",
    )
    coupling: Annotated[str, OneOf(COUPLINGS)] = Field(
        default="independent",
        description="how the noise of a batch is paired with its examples; optimal_transport: at "
        "the least sum of squared distances, for rectified_flow",
    )
    RENAMED: ClassVar[dict[str, str]] = {"levels": "num_timesteps"}

    @model_validator(mode="after")
    def _times_fit(self):
        if self.times != "uniform" and self.num_timesteps is not None:
            raise ValueError("times: the discrete losses draw their timesteps uniformly")
        if self.times != "uniform" and self.weighting == "importance":
            raise ValueError("times: the weighting importance draws its own")
        if self.corrected and self.times == "uniform":
            raise ValueError("corrected: for times log_noise and log_normal")
        if (self.log_mean, self.log_std) != (-1.2, 1.2) and self.times != "log_normal":
            raise ValueError("log_mean, log_std: for times log_normal")
        return self


class Optimiser(Settings):
    """Adam, and the length of the training."""

    learning_rate: Positive = Field(default=2e-3, description="learning rate of Adam")
    betas: tuple[Decay, Decay] = Field(default=(0.9, 0.999), description="decay rates of Adam")
    batch_size: Count = Field(
        default=256, description="examples in each iteration, on all processes"
    )
    iterations: Iterations = Field(default=5000, description="number of training steps")
    warmup_steps: CountOrZero = Field(
        default=200,
        description="iterations in which the learning rate rises linearly to learning_rate",
    )
    max_grad_norm: NonNegative = Field(
        default=1.0, description="gradients of a larger norm are scaled down to it; 0: no clipping"
    )
    ema_decay: Decay = Field(
        default=0.999,
        description="decay of the moving average of the weights, which is what is sampled",
    )
    power_averages: CountOrZero = Field(
        default=0,
        description="snapshots of two power-function averages during the training, of which "
        "`sde average` makes an average of any length afterwards; 0: none",
    )
    power_lengths: tuple[Length, Length] = Field(
        default=(0.05, 0.1),
        description="lengths of these averages: the standard deviation of the weight of an "
        "iteration, in units of the iterations so far",
    )
    reference_compat: bool = Field(
        default=False,
        description="as the published code: the first learning rate is 0, and the average begins "
        "with the untrained weights",
    )
    RENAMED: ClassVar[dict[str, str]] = {"warm_up": "warmup_steps", "clip": "max_grad_norm"}


class Compute(Settings):
    """How to compute. Nothing here changes the results beyond rounding."""

    precision: Annotated[str, OneOf(PRECISIONS)] = Field(
        default="float32", description="precision of training; bf16: automatic mixed precision"
    )
    threads: int = Field(
        default=1, ge=1, le=4096, description="threads of the CPU; more slow small networks down"
    )
    compile: bool = Field(default=False, description="compile the network by torch.compile")
    channels_last: bool = Field(
        default=False, description="memory format channels_last for images and their networks"
    )
    fused: bool = Field(default=True, description="Adam in one kernel")
    gradient_accumulation: int = Field(
        default=1,
        ge=1,
        le=2**16,
        description="parts in which each process computes its share of a batch, to save memory",
    )
    checkpoint_seconds: NonNegative = Field(
        default=60.0, description="seconds between checkpoints; 0: one after every iteration"
    )
    logger: Annotated[str, OneOf(tuple(LOGGERS))] = Field(
        default="none", description="where records and figures of samples go while training"
    )
    RENAMED: ClassVar[dict[str, str]] = {"accumulate": "gradient_accumulation"}


class SDEConfig(Settings):
    """One experiment."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        default=0,
        description="seed of the initial weights, the batches, the samples and the likelihood",
    )
    data: Data = Field(default=Data(), description="the data that is learnt")
    process: Process = Field(default=Process(), description="how data becomes noise")
    model: Model = Field(default=Model(), description="the network")
    loss: Loss = Field(default=Loss(), description="the training loss")
    optimiser: Optimiser = Field(default=Optimiser(), description="how the loss is minimised")
    sampling: Sampling = Field(default=Sampling(), description="how samples are drawn")
    evaluation: Evaluation = Field(default=Evaluation(), description="what is measured")
    compute: Compute = Field(default=Compute(), description="how it is computed")

    @model_validator(mode="after")
    def _can_be_compiled(self):
        if self.compute.compile and self.model.energy != "none":
            raise ValueError(
                "compute.compile: not possible for an energy, which training differentiates twice"
            )
        return self

    @model_validator(mode="after")
    def _has_a_table(self):
        if self.loss.num_timesteps is None:
            return self
        predictions = {"ve": ("score", "noise"), "vp": ("noise",)}.get(self.process.name)
        if predictions is None:
            raise ValueError(
                f"loss.num_timesteps: the process {self.process.name} has no discrete table"
            )
        if self.model.prediction not in predictions:
            raise ValueError(
                f"loss.num_timesteps: needs model.prediction {' or '.join(predictions)}"
            )
        if self.model.conditioning == "log_noise" and self.process.name == "vp":
            raise ValueError(
                "loss.num_timesteps: timestep 0 of vp has no log_noise; use model.conditioning=time"
            )
        if self.loss.weighting != "variance":
            raise ValueError("loss.num_timesteps: the discrete losses have the weighting variance")
        return self

    @model_validator(mode="after")
    def _can_be_coupled(self):
        if self.loss.coupling == "independent":
            return self
        if self.process.name != "rectified_flow":
            raise ValueError("loss.coupling: optimal_transport is for the process rectified_flow")
        if self.model.condition != "none":
            raise ValueError(
                "loss.coupling: optimal_transport would make the noise depend on the label; it is "
                "for model.condition=none"
            )
        return self

    @model_validator(mode="after")
    def _fits_the_data(self):
        network, data = self.model.network, self.data.name
        if network in ("small_conv", "ncsnv2", *UNETS) and data in PLANE:
            raise ValueError(f"model.network: {network} is for images, not for {data}")
        if self.evaluation.guidance != Evaluation().guidance and self.model.condition != "class":
            raise ValueError("evaluation.guidance: for networks with model.condition=class")
        if self.model.condition != "none" and data in PLANE:
            raise ValueError(f"model.condition: the examples of {data} have no labels")
        return self
