"""The settings of the network, and of what its input and output mean."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from repro.config import OneOf, Settings
from repro.plugins import Registered, is_plugin
from sde.config.bounds import Decay, Depth, Positive, Share, Width
from sde.networks import NETWORKS
from sde.networks.stages import CHOICES
from sde.score import CONDITIONINGS, PREDICTIONS

Resolution = Annotated[int, Field(ge=1, le=2**14)]
Multiplier = Annotated[int, Field(ge=1, le=2**10)]


class UNet(Settings):
    """The networks ncsnpp and ddpm (sde/networks/ncsnpp.py). The defaults are a small DDPM++.

    The keys from block to rescale_skips are of ncsnpp alone.
    """

    channels: Width = Field(default=32, description="channels of the first stage")
    multipliers: tuple[Multiplier, ...] = Field(
        default=(1, 2, 2),
        max_length=12,
        description="channels of each stage, in multiples of channels",
    )
    blocks: Depth = Field(default=1, description="residual blocks of each stage")
    attention: tuple[Resolution, ...] = Field(
        default=(7, 8),
        max_length=12,
        description="resolutions with self-attention; the middle of the network always has it",
    )
    dropout: Decay = Field(default=0.0, description="probability of dropout in the residual blocks")
    activation: Annotated[str, OneOf(CHOICES["activation"])] = Field(
        default="swish", description="nonlinearity"
    )
    conditional: bool = Field(
        default=True, description="whether the network is given the condition"
    )
    resample_with_conv: bool = Field(
        default=True, description="follow resampling by a convolution; for block: ddpm"
    )
    scale_by_sigma: bool = Field(
        default=False,
        description="divide the output by std; for prediction: score, conditioning: std",
    )
    block: Annotated[str, OneOf(CHOICES["block"])] = Field(
        default="biggan", description="kind of residual block"
    )
    embedding: Literal["positional", "fourier"] = Field(
        default="positional", description="embedding of the condition; fourier: of its logarithm"
    )
    fourier_scale: Positive = Field(
        default=16.0, description="standard deviation of the frequencies of embedding: fourier"
    )
    fir: bool = Field(
        default=False, description="resample with a binomial filter, against aliasing"
    )
    progressive_input: Annotated[str, OneOf(CHOICES["progressive_input"])] = Field(
        default="none", description="how the image, shrunk, enters the later stages"
    )
    progressive_output: Annotated[str, OneOf(CHOICES["progressive_output"])] = Field(
        default="none", description="how the stages on the way up add to the output"
    )
    combine: Annotated[str, OneOf(CHOICES["combine"])] = Field(
        default="sum", description="how progressive_input: input_skip joins; cat: concatenation"
    )
    rescale_skips: bool = Field(default=True, description="divide sums of two branches by sqrt 2")


UNETS = ("ncsnpp", "ddpm")
NOT_OF_DDPM = tuple(UNet.model_fields)[tuple(UNet.model_fields).index("block") :]


class Model(Settings):
    """The network, and what its input and output mean (sde/score.py)."""

    network: Annotated[str, Registered(lambda: NETWORKS, "network")] = Field(
        default="mlp",
        description="mlp for the plane; small_conv, ncsnpp, ddpm and ncsnv2 for images",
    )
    parameters: dict[str, Any] = Field(
        default={}, description="keyword arguments of a network of your own, package.module:name"
    )
    unet: UNet = Field(
        default=UNet(), description="settings of ncsnpp and ddpm, which ignore hidden_dim and depth"
    )
    hidden_dim: Width = Field(
        default=128, description="units of each layer; channels of small_conv and ncsnv2"
    )
    depth: Depth = Field(
        default=3, description="residual blocks; for small_conv at each resolution"
    )
    frequencies: int = Field(
        default=4, ge=0, le=2**10, description="for mlp: sines and cosines of each coordinate"
    )
    energy: Literal["none", "square", "inner"] = Field(
        default="none", description="the score as minus the gradient of a scalar energy network"
    )
    prediction: Annotated[str, OneOf(tuple(PREDICTIONS))] = Field(
        default="denoised", description="what the output of the network means (sde/score.py)"
    )
    conditioning: Annotated[str, OneOf(tuple(CONDITIONINGS))] = Field(
        default="log_noise", description="what the network is given beside x (sde/score.py)"
    )
    condition: Literal["none", "class", "vector"] = Field(
        default="none",
        description="label of the examples that the network is given, for conditional sampling",
    )
    condition_dropout: Share = Field(
        default=0.1,
        description="probability of the null label in training; the null label gives the "
        "unconditional score, for likelihoods, samples of no class and guidance",
    )

    @model_validator(mode="after")
    def _uses_what_it_sets(self):
        unused = {"ncsnpp": (), "ddpm": NOT_OF_DDPM}.get(self.network, tuple(UNet.model_fields))
        for name in unused:
            if getattr(self.unet, name) != getattr(UNet(), name):
                raise ValueError(f"unet.{name}: the network {self.network} has no such setting")
        if self.unet.scale_by_sigma and (self.prediction, self.conditioning) != ("score", "std"):
            raise ValueError("unet.scale_by_sigma: needs prediction score and conditioning std")
        if self.network == "ncsnv2":
            if (self.prediction, self.conditioning) != ("score", "std"):
                raise ValueError("network: ncsnv2 needs prediction score and conditioning std")
            if self.condition != "none":
                raise ValueError("condition: the network ncsnv2 is given no label")
        if self.condition != "none" and not self.unet.conditional:
            raise ValueError("condition: a network with unet.conditional=false is given no label")
        default = type(self).model_fields["condition_dropout"].default
        if self.condition == "none" and self.condition_dropout != default:
            raise ValueError("condition_dropout: model.condition is none")
        if self.parameters and not is_plugin(self.network):
            raise ValueError(f"parameters: {self.network} has keys of its own for its settings")
        return self
