"""The settings of the network, and of what its input and output mean."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from repro.config import Settings

Decay = Annotated[float, Field(ge=0, lt=1)]


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
