"""The settings of sampling and of evaluation."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from repro.config import OneOf, Settings
from repro.errors import InputError
from sde.config.bounds import (
    Count,
    CountOrZero,
    Iterations,
    NonNegative,
    Positive,
    Seed,
    Time,
    Weight,
)
from sde.samplers.adaptive import METHODS
from sde.samplers.predictor_corrector import GRIDS
from sde.samplers.schedules import SCHEDULES
from sde.samplers.spec import require_known

PRECISIONS = ("float32", "tf32", "bf16")
COMPARED = (
    "euler_maruyama",
    "reverse_diffusion",
    "ancestral",
    "reverse_diffusion+langevin",
    "ddim",
    "heun",
    "dpm_solver_pp_2m",
)


class Sampling(Settings):
    """How to sample where the command line does not say."""

    sampler: str = Field(
        default="dpm_solver_pp_2m",
        description="a solver, ode, PREDICTOR or PREDICTOR+CORRECTOR, see `sde samplers`; "
        "or package.module:name",
    )
    steps: Count = Field(default=50, description="steps of the sampler; ode chooses its own")
    count: Count = Field(default=64, description="number of samples")
    batch_size: Count = Field(
        default=2048,
        description="samples drawn at once; batches are distributed over the processes",
    )
    precision: Annotated[str, OneOf(PRECISIONS)] = Field(
        default="float32",
        description="precision of the network in samplers; likelihoods are always in float32",
    )
    grid: Annotated[str, OneOf(GRIDS)] = Field(
        default="exact",
        description="steps of predictors: exact transitions, or the published chain",
    )
    schedule: Annotated[str, OneOf(tuple(SCHEDULES))] | None = Field(
        default=None,
        description="where the exact grid spends its steps; default: power for solvers, uniform "
        "for predictors",
    )
    snr: Positive = Field(
        default=0.16, description="signal-to-noise ratio of the Langevin correctors"
    )
    churn: NonNegative = Field(
        default=10.0, description="noise that edm adds over all steps, S_churn; 0: Heun's method"
    )
    churn_low: NonNegative = Field(
        default=0.01, description="smallest noise level at which edm adds noise, S_tmin"
    )
    churn_high: Positive = Field(
        default=50.0, description="largest noise level at which edm adds noise, S_tmax"
    )
    churn_noise: Positive = Field(default=1.0, description="factor of the noise of edm, S_noise")
    corrector_steps: Count = Field(default=1, description="steps of the corrector at each time")
    eps: Time | None = Field(
        default=None, description="time at which sampling stops; default: that of the process"
    )
    rtol: Positive = Field(default=1e-5, description="relative tolerance of ode")
    atol: Positive = Field(default=1e-5, description="absolute tolerance of ode")
    method: Annotated[str, OneOf(METHODS)] = Field(
        default="dormand_prince", description="method of ode"
    )
    seed: Seed = Field(
        default=0, description="seed of the samples; another seed gives other samples"
    )

    @model_validator(mode="after")
    def _knows_its_sampler(self):
        _require_known("sampler", self.sampler)
        return self


class Evaluation(Settings):
    """What is measured, during training and by `sde evaluate`."""

    every: Iterations = Field(default=250, description="iterations between lines of metrics.jsonl")
    samples: Count = Field(default=2000, description="samples from which each distance is computed")
    grid_every: CountOrZero = Field(
        default=0, description="iterations between figures of samples during training; 0: none"
    )
    fid: CountOrZero = Field(
        default=0,
        description="samples for FID and inception score (pip install '.[fid]'); 0: neither",
    )
    fid_reference: Literal["train", "heldout"] = Field(
        default="train", description="images that FID compares with"
    )
    fid_weights: str | None = Field(
        default=None, description="file of the Inception weights; default: downloaded"
    )
    compare: tuple[str, ...] = Field(
        default=COMPARED, max_length=100, description="samplers compared at each budget"
    )
    budgets: tuple[Count, ...] = Field(
        default=(10, 20, 50, 100), max_length=100, description="evaluations of the score per sample"
    )
    guidance: tuple[Weight, ...] = Field(
        default=(1.0, 2.0),
        max_length=100,
        description="weights of guidance at which the class accuracy of samples is measured, of "
        "networks with model.condition: class",
    )
    guidance_interval: tuple[NonNegative, NonNegative] | None = Field(
        default=None,
        description="noise levels std / scale at which these weights count; default: all",
    )
    guidance_negative: str | None = Field(
        default=None,
        description="a class, or a smaller or less trained run (autoguidance), that these weights "
        "guide away from; default: the unconditional score",
    )
    likelihoods: Count = Field(
        default=500, description="held-out examples whose likelihood is computed"
    )
    batch_size: Count = Field(
        default=2048, description="examples at once; batches are distributed over the processes"
    )
    probes: int = Field(
        default=0,
        ge=0,
        le=10**5,
        description="probes of Hutchinson's estimator; 0: exact divergence",
    )
    rtol: Positive = Field(default=1e-5, description="relative tolerance of the likelihood")
    atol: Positive = Field(default=1e-5, description="absolute tolerance of the likelihood")
    method: Annotated[str, OneOf(METHODS)] = Field(
        default="dormand_prince", description="ODE method of the likelihood"
    )
    RENAMED: ClassVar[dict[str, str]] = {"tensorboard": "compute.logger"}

    @model_validator(mode="after")
    def _knows_its_samplers(self):
        for name in self.compare:
            _require_known("compare", name)
        if "ode" in self.compare:
            raise ValueError("compare: ode has no budget of evaluations; use sampling.sampler")
        if (interval := self.guidance_interval) is not None and not interval[0] < interval[1]:
            raise ValueError("guidance_interval: expected noise levels LOW < HIGH")
        return self


def _require_known(key: str, name: str) -> None:
    try:
        require_known(name)
    except InputError as error:
        raise ValueError(f"{key}: {error}") from None
