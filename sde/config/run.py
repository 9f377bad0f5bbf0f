"""Every setting of an sde run: names, types, ranges, and defaults; those of the data are in
`sde.config.data`, those of the network in `sde.config.model`.

The defaults train a perceptron on a distribution in the plane in about a minute. A YAML file
states only what it changes.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from repro.config import Settings
from repro.errors import InputError
from repro.loggers import LOGGERS
from sde.config.data import PLANE, Data
from sde.config.model import UNETS, Decay, Model
from sde.samplers.adaptive import METHODS
from sde.samplers.spec import require_known

NonNegative = Annotated[float, Field(ge=0)]
Time = Annotated[float, Field(gt=0, lt=1)]


class Process(Settings):
    """How data becomes noise. The sigmas belong to ve, the betas to vp and subvp."""

    name: Literal["ve", "vp", "subvp"] = "vp"
    sigma_min: float = 0.01
    sigma_max: float = 50.0
    beta_min: float = 0.1
    beta_max: float = 20.0

    @model_validator(mode="after")
    def _uses_what_it_sets(self):
        unused = ("beta_min", "beta_max") if self.name == "ve" else ("sigma_min", "sigma_max")
        for name in unused:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name}: the process {self.name} has no such parameter")
        return self


class Loss(Settings):
    """Denoising score matching (sde/losses.py)."""

    weighting: Literal["variance", "likelihood", "importance"] = "variance"
    reduce: Literal["mean", "half_sum"] = "mean"
    eps: Time = Field(1e-5, description="the smallest time trained on")
    num_timesteps: Annotated[int, Field(ge=2)] | None = Field(
        None, description="train on a discrete table of this size: SMLD for ve, DDPM for vp"
    )
    RENAMED: ClassVar[dict[str, str]] = {"levels": "num_timesteps"}


class Optimiser(Settings):
    """Adam, and how long."""

    learning_rate: PositiveFloat = 2e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    batch_size: PositiveInt = 256
    iterations: PositiveInt = 5000
    warmup_steps: NonNegativeInt = Field(
        200, description="iterations in which the learning rate rises linearly to learning_rate"
    )
    max_grad_norm: NonNegative = Field(
        1.0, description="gradients of a larger norm are scaled down to it; 0: no clipping"
    )
    ema_decay: Decay = Field(
        0.999, description="decay of the moving average of the weights, which is what is sampled"
    )
    RENAMED: ClassVar[dict[str, str]] = {"warm_up": "warmup_steps", "clip": "max_grad_norm"}


class Sampling(Settings):
    """How to sample where the command line does not say."""

    sampler: str = Field(
        "dpm_solver_pp_2m", description="a solver, ode, PREDICTOR or PREDICTOR+CORRECTOR"
    )
    steps: PositiveInt = 50
    count: PositiveInt = 64
    batch_size: PositiveInt = Field(2048, description="drawn at once; a process takes whole ones")
    precision: Literal["float32", "tf32", "bf16"] = Field(
        "float32", description="of the network; likelihoods are always in float32"
    )
    grid: Literal["exact", "published"] = Field(
        "exact", description="steps of predictors: exact transitions, or the published chain"
    )
    snr: PositiveFloat = Field(0.16, description="signal-to-noise ratio of the correctors")
    corrector_steps: PositiveInt = 1
    eps: Time | None = Field(None, description="the time to stop at; null: the process's own")
    rtol: PositiveFloat = Field(1e-5, description="of ode")
    atol: PositiveFloat = Field(1e-5, description="of ode")
    method: Literal[METHODS] = Field("dormand_prince", description="of ode")
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(0, description="another: other samples")

    @model_validator(mode="after")
    def _knows_its_sampler(self):
        _named("sampler", self.sampler)
        return self


class Evaluation(Settings):
    """What is measured."""

    every: PositiveInt = Field(250, description="iterations between records")
    samples: PositiveInt = Field(2000, description="drawn for each distance")
    grid_every: NonNegativeInt = Field(
        0, description="iterations between figures of samples while training; 0: none"
    )
    fid: NonNegativeInt = Field(
        0, description="samples for FID and inception score, by the extra fid; 0: none"
    )
    fid_reference: Literal["train", "heldout"] = Field("train", description="images of the data")
    fid_weights: str | None = Field(None, description="file of Inception's weights")
    compare: tuple[str, ...] = Field(
        (
            "euler_maruyama",
            "reverse_diffusion",
            "ancestral",
            "reverse_diffusion+langevin",
            "ddim",
            "heun",
            "dpm_solver_pp_2m",
        ),
        description="samplers compared",
    )
    budgets: tuple[PositiveInt, ...] = Field((10, 20, 50, 100), description="evaluations")
    likelihoods: PositiveInt = Field(500, description="held-out items whose likelihood is computed")
    batch_size: PositiveInt = Field(2048, description="of them at once; a process takes whole ones")
    probes: NonNegativeInt = Field(0, description="of Hutchinson's estimator; 0: exact divergence")
    rtol: PositiveFloat = Field(1e-5, description="of the likelihood")
    atol: PositiveFloat = Field(1e-5, description="of the likelihood")
    method: Literal[METHODS] = Field("dormand_prince", description="of the likelihood's ODE")
    RENAMED: ClassVar[dict[str, str]] = {"tensorboard": "compute.logger"}

    @model_validator(mode="after")
    def _knows_its_samplers(self):
        for name in self.compare:
            _named("compare", name)
        if "ode" in self.compare:
            raise ValueError("compare: ode keeps to no budget; make it sampling.sampler")
        return self


def _named(key: str, name: str) -> None:
    try:
        require_known(name)
    except InputError as error:
        raise ValueError(f"{key}: {error}") from None


class Compute(Settings):
    """How to compute; nothing here changes what is computed beyond rounding."""

    precision: Literal["float32", "tf32", "bf16"] = "float32"
    threads: PositiveInt = Field(1, description="of the CPU; more slow small networks down")
    compile: bool = Field(False, description="torch.compile the network")
    channels_last: bool = Field(False, description="memory layout of images and their networks")
    fused: bool = Field(True, description="Adam as one kernel")
    gradient_accumulation: PositiveInt = Field(
        1, description="parts in which each process computes its share of a batch, to save memory"
    )
    checkpoint_seconds: NonNegative = Field(
        60.0, description="seconds between checkpoints; 0: one after every iteration"
    )
    logger: Literal[tuple(LOGGERS)] = Field(
        "none", description="where records and figures of samples go while training"
    )
    RENAMED: ClassVar[dict[str, str]] = {"accumulate": "gradient_accumulation"}


class SDEConfig(Settings):
    """One experiment."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    data: Data = Data()
    process: Process = Process()
    model: Model = Model()
    loss: Loss = Loss()
    optimiser: Optimiser = Optimiser()
    sampling: Sampling = Sampling()
    evaluation: Evaluation = Evaluation()
    compute: Compute = Compute()

    @model_validator(mode="after")
    def _can_be_compiled(self):
        if self.compute.compile and self.model.energy != "none":
            raise ValueError(
                "compute.compile: not of an energy, which training differentiates twice"
            )
        return self

    @model_validator(mode="after")
    def _has_a_table(self):
        if self.loss.num_timesteps is None:
            return self
        if self.process.name == "subvp":
            raise ValueError("loss.num_timesteps: the process subvp has no discrete table")
        known = {"ve": ("score", "noise"), "vp": ("noise",)}[self.process.name]
        if self.model.prediction not in known:
            raise ValueError(f"loss.num_timesteps: needs model.prediction {' or '.join(known)}")
        if self.model.conditioning == "log_noise" and self.process.name == "vp":
            raise ValueError(
                "loss.num_timesteps: timestep 0 of vp has no log_noise; use model.conditioning=time"
            )
        if self.loss.weighting != "variance":
            raise ValueError("loss.num_timesteps: the discrete losses have the weighting variance")
        return self

    @model_validator(mode="after")
    def _fits_the_data(self):
        network, data = self.model.network, self.data.name
        if network in ("small_conv", *UNETS) and data in PLANE:
            raise ValueError(f"model.network: {network} is for images, not for {data}")
        return self
