"""Every setting of an sde run: names, types, ranges, and defaults.

The defaults train a perceptron on a distribution in the plane in about a minute. A YAML file
states only what it changes.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from repro.config import Settings
from sde.samplers.adaptive import METHODS

NonNegative = Annotated[float, Field(ge=0)]
Time = Annotated[float, Field(gt=0, lt=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class Data(Settings):
    """What is learnt."""

    name: Literal["eight_gaussians", "moons", "checkerboard", "swiss_roll", "digits"] = (
        "eight_gaussians"
    )
    train: PositiveInt = Field(20000, description="draws to train on; the digits are 1500 images")
    heldout: PositiveInt = Field(4000, description="draws held out; of the digits, 297 images")
    seed: NonNegativeInt = Field(0, description="of the draws and of the split")


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


class Model(Settings):
    """The network, and what its input and output mean (sde/score.py)."""

    network: Literal["mlp", "small_conv"] = "mlp"
    hidden_dim: PositiveInt = Field(128, description="width; channels of small_conv")
    depth: PositiveInt = Field(3, description="residual blocks; of small_conv, at each resolution")
    frequencies: NonNegativeInt = Field(4, description="of the mlp: sines of each coordinate")
    energy: Literal["none", "square", "inner"] = Field(
        "none", description="the score as minus the gradient of a scalar energy network"
    )
    prediction: Literal["score", "noise", "denoised"] = "denoised"
    conditioning: Literal["time", "time_999", "std", "log_noise"] = "log_noise"


class Loss(Settings):
    """Denoising score matching (sde/losses.py)."""

    weighting: Literal["variance", "likelihood", "importance"] = "variance"
    reduce: Literal["mean", "half_sum"] = "mean"
    eps: Time = Field(1e-5, description="the smallest time trained on")


class Optimiser(Settings):
    """Adam, and how long."""

    learning_rate: PositiveFloat = 2e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    batch_size: PositiveInt = 256
    iterations: PositiveInt = 5000
    warm_up: NonNegativeInt = Field(200, description="iterations of linear rise to learning_rate")
    clip: NonNegative = Field(1.0, description="largest norm of the gradient; 0: no clipping")
    ema_decay: Decay = Field(0.999, description="of the weights that are sampled and evaluated")


class Sampling(Settings):
    """How to sample where the command line does not say."""

    sampler: str = Field(
        "dpm_solver_pp_2m", description="a solver, ode, PREDICTOR or PREDICTOR+CORRECTOR"
    )
    steps: PositiveInt = 50
    count: PositiveInt = 64
    snr: PositiveFloat = Field(0.16, description="signal-to-noise ratio of the correctors")
    corrector_steps: PositiveInt = 1
    eps: Time | None = Field(None, description="the time to stop at; null: the process's own")
    rtol: PositiveFloat = Field(1e-5, description="of ode")
    atol: PositiveFloat = Field(1e-5, description="of ode")
    method: Literal[METHODS] = Field("dormand_prince", description="of ode")


class Evaluation(Settings):
    """What is measured."""

    every: PositiveInt = Field(250, description="iterations between records")
    samples: PositiveInt = Field(2000, description="drawn for each distance")
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
    probes: NonNegativeInt = Field(0, description="of Hutchinson's estimator; 0: exact divergence")
    rtol: PositiveFloat = Field(1e-5, description="of the likelihood")
    atol: PositiveFloat = Field(1e-5, description="of the likelihood")
    method: Literal[METHODS] = Field("dormand_prince", description="of the likelihood's ODE")


class Compute(Settings):
    """How to compute; nothing here changes what is computed beyond rounding."""

    precision: Literal["float32", "tf32", "bf16"] = "float32"
    threads: PositiveInt = Field(1, description="of the CPU; more slow small networks down")
    checkpoint_seconds: NonNegative = Field(60.0, description="0: after every iteration")


class ScoreModel(Settings):
    """One experiment."""

    seed: NonNegativeInt = 0
    data: Data = Data()
    process: Process = Process()
    model: Model = Model()
    loss: Loss = Loss()
    optimiser: Optimiser = Optimiser()
    sampling: Sampling = Sampling()
    evaluation: Evaluation = Evaluation()
    compute: Compute = Compute()

    @model_validator(mode="after")
    def _fits_the_data(self):
        if self.model.network == "small_conv" and self.data.name != "digits":
            raise ValueError(f"model.network: small_conv is for images, not for {self.data.name}")
        return self
