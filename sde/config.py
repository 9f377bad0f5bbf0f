"""Every setting of an sde run: names, types, ranges, and defaults.

The defaults train a perceptron on a distribution in the plane in about a minute. A YAML file
states only what it changes.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from repro.config import Settings
from repro.errors import InputError
from sde.dataconfig import PLANE, Data
from sde.samplers.adaptive import METHODS
from sde.samplers.names import choose

NonNegative = Annotated[float, Field(ge=0)]
Time = Annotated[float, Field(gt=0, lt=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]


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


class UNet(Settings):
    """The networks ncsnpp and ddpm (sde/networks/ncsnpp.py). The defaults are a small DDPM++; ddpm
    has no choice from block to rescale_skips."""

    channels: PositiveInt = Field(32, description="width of the first level")
    multipliers: tuple[PositiveInt, ...] = Field((1, 2, 2), description="of it, for each level")
    blocks: PositiveInt = Field(1, description="residual blocks of a level")
    attention: tuple[PositiveInt, ...] = Field(
        (7, 8), description="resolutions at which pixels attend to one another; the middle does"
    )
    dropout: Decay = 0.0
    activation: Literal["swish", "elu", "relu", "lrelu"] = "swish"
    conditional: bool = Field(True, description="whether the network sees the condition")
    resample_with_conv: bool = Field(True, description="of the block ddpm")
    scale_by_sigma: bool = Field(False, description="divide the output by std: score, from std")
    block: Literal["biggan", "ddpm"] = "biggan"
    embedding: Literal["positional", "fourier"] = Field(
        "positional", description="of time; fourier: of the logarithm of the noise"
    )
    fourier_scale: PositiveFloat = 16.0
    fir: bool = Field(False, description="resample by a binomial filter, against aliasing")
    progressive_input: Literal["none", "input_skip", "residual"] = "none"
    progressive_output: Literal["none", "output_skip", "residual"] = "none"
    combine: Literal["sum", "cat"] = Field("sum", description="of input_skip")
    rescale_skips: bool = Field(True, description="divide sums of two branches by sqrt 2")


UNETS = ("ncsnpp", "ddpm")
NOT_OF_DDPM = tuple(UNet.model_fields)[tuple(UNet.model_fields).index("block") :]


class Model(Settings):
    """The network, and what its input and output mean (sde/score.py)."""

    network: Literal["mlp", "small_conv", "ncsnpp", "ddpm"] = "mlp"
    unet: UNet = Field(UNet(), description="of ncsnpp and ddpm, in place of hidden_dim and depth")
    hidden_dim: PositiveInt = Field(128, description="width; channels of small_conv")
    depth: PositiveInt = Field(3, description="residual blocks; of small_conv, at each resolution")
    frequencies: NonNegativeInt = Field(4, description="of the mlp: sines of each coordinate")
    energy: Literal["none", "square", "inner"] = Field(
        "none", description="the score as minus the gradient of a scalar energy network"
    )
    prediction: Literal["score", "noise", "denoised"] = "denoised"
    conditioning: Literal["time", "time_999", "std", "log_noise"] = "log_noise"

    @model_validator(mode="after")
    def _uses_what_it_sets(self):
        unused = {"ncsnpp": (), "ddpm": NOT_OF_DDPM}.get(self.network, tuple(UNet.model_fields))
        for name in unused:
            if getattr(self.unet, name) != getattr(UNet(), name):
                raise ValueError(f"unet.{name}: the network {self.network} has no such choice")
        if self.unet.scale_by_sigma and (self.prediction, self.conditioning) != ("score", "std"):
            raise ValueError("unet.scale_by_sigma: needs prediction score and conditioning std")
        return self


class Loss(Settings):
    """Denoising score matching (sde/losses.py)."""

    weighting: Literal["variance", "likelihood", "importance"] = "variance"
    reduce: Literal["mean", "half_sum"] = "mean"
    eps: Time = Field(1e-5, description="the smallest time trained on")
    levels: Annotated[int, Field(ge=2)] | None = Field(
        None, description="train on the published table of so many levels: SMLD of ve, DDPM of vp"
    )


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
    batch_size: PositiveInt = Field(2048, description="drawn at once; a process takes whole ones")
    precision: Literal["float32", "tf32", "bf16"] = Field(
        "float32", description="of the network; likelihoods are always in float32"
    )
    grid: Literal["exact", "published"] = Field(
        "exact", description="of predictors: times of the SDE, or the published chain of levels"
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
    tensorboard: bool = Field(False, description="records and figures for TensorBoard, too")
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

    @model_validator(mode="after")
    def _knows_its_samplers(self):
        for name in self.compare:
            _named("compare", name)
        if "ode" in self.compare:
            raise ValueError("compare: ode keeps to no budget; make it sampling.sampler")
        return self


def _named(key: str, name: str) -> None:
    try:
        choose(name)
    except InputError as error:
        raise ValueError(f"{key}: {error}") from None


class Compute(Settings):
    """How to compute; nothing here changes what is computed beyond rounding."""

    precision: Literal["float32", "tf32", "bf16"] = "float32"
    threads: PositiveInt = Field(1, description="of the CPU; more slow small networks down")
    compile: bool = Field(False, description="torch.compile the network")
    channels_last: bool = Field(False, description="memory layout of images and their networks")
    fused: bool = Field(True, description="Adam as one kernel")
    accumulate: PositiveInt = Field(
        1, description="parts that a process takes its share of a batch in, to save memory"
    )
    checkpoint_seconds: NonNegative = Field(60.0, description="0: after every iteration")


class ScoreModel(Settings):
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
        if self.loss.levels is None:
            return self
        if self.process.name == "subvp":
            raise ValueError("loss.levels: the process subvp has no published table of levels")
        known = {"ve": ("score", "noise"), "vp": ("noise",)}[self.process.name]
        if self.model.prediction not in known:
            raise ValueError(f"loss.levels: needs model.prediction {' or '.join(known)}")
        if self.model.conditioning == "log_noise" and self.process.name == "vp":
            raise ValueError("loss.levels: level 0 of vp has no log_noise; condition on time")
        if self.loss.weighting != "variance":
            raise ValueError("loss.levels: the discrete losses have the weighting variance")
        return self

    @model_validator(mode="after")
    def _fits_the_data(self):
        network, data = self.model.network, self.data.name
        if network in ("small_conv", *UNETS) and data in PLANE:
            raise ValueError(f"model.network: {network} is for images, not for {data}")
        return self
