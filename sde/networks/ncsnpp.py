"""NCSN++ and DDPM++: one U-Net (Song et al. 2021, arXiv:2011.13456, section 4.1, appendices G, H).

    image -> enter -> down: stage 0 ... L-1 -> middle -> up: stage L-1 ... 0 -> leave -> image
                         \\________ every feature map is kept, and joined on the way up ____/

A stage has ``blocks`` residual blocks (one more on the way up), attention at chosen resolutions,
and a change of resolution at its end. An input pyramid gives every stage the image at its own
resolution; with an output pyramid the image is a sum over resolutions.

    NCSN++   fir, embedding "fourier", progressive_input "residual", scale_by_sigma
             (256 pixels and more: progressive_input "input_skip", progressive_output "output_skip")
    DDPM++   none of these, embedding "positional"
    DDPM     as DDPM++ with block "ddpm", always 32 groups, skips not rescaled

The names of the parts in the published code are in ``sde.networks.published``.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from repro.errors import InputError
from sde.broadcast import per_sample
from sde.networks.blocks import conv3x3
from sde.networks.embedding import ConditionEmbedding, Fourier, Positional
from sde.networks.label import label_embedding
from sde.networks.stages import DownStage, Middle, Style, UpStage

EMBEDDINGS = ("fourier", "positional")


class NCSNpp(nn.Module):
    """A score U-Net: (x (B, C, H, W), condition c (B,), label) -> shape and dtype of x. Final.

    Args:
        event_shape: (C, H, W).
        channels: width of the first stage.
        multipliers: width of each stage, in units of ``channels``.
        blocks: residual blocks of a stage.
        attention: resolutions W with attention; the middle always has it.
        dropout: probability, in each residual block.
        embedding: "fourier" (of log c, c being the noise level std) or "positional" (of c, which
            should run to about 1000).
        fourier_scale: standard deviation of the Fourier frequencies.
        log_condition: embed log c; None: as ``embedding`` says.
        condition_scale: factor of what is embedded.
        conditional: whether the network sees the condition.
        block: "biggan" or "ddpm".
        fir: resample by a binomial filter.
        resample_with_conv: resample by learned convolutions; of the block "ddpm".
        progressive_input: "none", "input_skip" or "residual".
        progressive_output: "none", "output_skip" or "residual".
        combine: "sum" or "cat", of "input_skip".
        rescale_skips: divide sums of two branches by sqrt 2.
        activation: a key of ``stages.ACTIVATIONS``.
        groups: of every group norm; None: at most 32, of at least four channels.
        scale_by_sigma: divide the output by the noise level: by c, or by ``sigmas[c]``.
        sigmas: the noise levels (N,) of a discrete model, whose c is a timestep.
        centred: x lies in about [-1, 1]; otherwise in about [0, 1], and is scaled.
        classes, vector: of the label, see `sde.networks.label`; for ``conditional`` networks.

    Raises InputError for another event shape than ``event_shape``, a resolution that cannot be
    halved often enough, or arguments out of range.
    """

    sigmas: Tensor | None
    # lists of modules, whose elements are of one class each
    down: Any  # DownStage
    up: Any  # UpStage
    input_pyramid: Any
    output_pyramid: Any

    def __init__(
        self,
        event_shape: tuple[int, int, int],
        *,
        channels: int = 128,
        multipliers: Sequence[int] = (1, 2, 2, 2),
        blocks: int = 4,
        attention: Sequence[int] = (16,),
        dropout: float = 0.1,
        embedding: str = "positional",
        fourier_scale: float = 16.0,
        log_condition: bool | None = None,
        condition_scale: float = 1.0,
        conditional: bool = True,
        block: str = "biggan",
        fir: bool = False,
        resample_with_conv: bool = True,
        progressive_input: str = "none",
        progressive_output: str = "none",
        combine: str = "sum",
        rescale_skips: bool = True,
        activation: str = "swish",
        groups: int | None = None,
        scale_by_sigma: bool = False,
        sigmas: Tensor | None = None,
        centred: bool = True,
        classes: int = 0,
        vector: int = 0,
    ):
        super().__init__()
        _require_sizes(tuple(event_shape), channels, multipliers, blocks, embedding)
        self.event_shape, self.centred = tuple(event_shape), centred
        self.embedding, self.scale_by_sigma = embedding, scale_by_sigma
        self.register_buffer("sigmas", sigmas, persistent=False)
        style = Style(
            embedded_dim=4 * channels if conditional else None,
            dropout=dropout,
            block=block,
            fir=fir,
            resample_with_conv=resample_with_conv,
            progressive_input=progressive_input,
            progressive_output=progressive_output,
            combine=combine,
            rescale_skips=rescale_skips,
            activation=activation,
            groups=groups,
        )
        self.condition = None
        if conditional:
            fourier = embedding == "fourier"
            waves = Fourier(channels, scale=fourier_scale) if fourier else Positional(channels)
            log = fourier if log_condition is None else log_condition
            how: dict[str, Any] = dict(activation=style.act, log=log, scale=condition_scale)
            self.condition = ConditionEmbedding(waves, 4 * channels, **how)
        self.enter = conv3x3(self.event_shape[0], channels)
        attends = [self.event_shape[2] // 2**i in attention for i in range(len(multipliers))]
        stages = [(i, channels * m, attends[i]) for i, m in enumerate(multipliers)]
        kept = self._build_down(style, channels, stages, blocks)
        self.middle = Middle(style, kept[-1])
        self._build_up(style, kept, stages, blocks)
        if self.condition is not None:
            self.condition.label = label_embedding(classes, vector, 4 * channels)

    def _build_down(self, style: Style, channels: int, stages: list, blocks: int) -> list[int]:
        """Make ``down`` and ``input_pyramid``; return the channels of every kept feature map."""
        self.down, self.input_pyramid = nn.ModuleList(), nn.ModuleList()
        kept, seen = [channels], self.event_shape[0]
        for i, width, attends in stages:
            last = i == len(stages) - 1
            self.down.append(DownStage(style, kept[-1], width, blocks, attends, last))
            kept += [width] * (blocks if last else blocks + 1)
            if not last and style.progressive_input != "none":
                self.input_pyramid.append(style.input_step(seen, width))
                seen, kept[-1] = self.input_pyramid[-1].channels_out
        return kept

    def _build_up(self, style: Style, kept: list[int], stages: list, blocks: int) -> None:
        """Make ``up``, ``output_pyramid`` and ``leave``."""
        self.up, self.output_pyramid = nn.ModuleList(), nn.ModuleList()
        width_in, shown, image = kept[-1], 0, self.event_shape[0]
        for i, width, attends in reversed(stages):
            joined = [kept.pop() for _ in range(blocks + 1)]
            self.up.append(UpStage(style, width_in, width, joined, attends, i == 0))
            if style.progressive_output != "none":
                self.output_pyramid.append(style.output_step(shown, width, image))
            width_in = shown = width
        self.leave = None
        if style.progressive_output != "output_skip":
            self.leave = style.head(width_in, image)

    def forward(self, x: Tensor, condition: Tensor, label: Tensor | None = None) -> Tensor:
        if tuple(x.shape[1:]) != self.event_shape:
            raise InputError(
                f"the network is for events {self.event_shape}; got x of shape {tuple(x.shape)}"
            )
        embedded = None
        if self.condition is not None:
            embedded = self.condition(condition.to(x.dtype), label)
        pyramid = x if self.centred else 2 * x - 1
        h, kept = self._descend(pyramid, embedded)
        image = self._ascend(self.middle(h, embedded), kept, embedded).to(x.dtype)
        return image / per_sample(self._sigma(condition), x) if self.scale_by_sigma else image

    def _descend(self, pyramid: Tensor, embedded: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        h = self.enter(pyramid)
        kept = [h]
        for i, stage in enumerate(self.down):
            kept += stage(h, embedded)
            h = kept[-1]
            if stage.shrink is not None:
                h = stage.shrink(h, embedded)
                if self.input_pyramid:
                    pyramid, h = self.input_pyramid[i](pyramid, h)
                kept.append(h)
        return h, kept

    def _ascend(self, h: Tensor, kept: list[Tensor], embedded: Tensor | None) -> Tensor:
        image: Any = None
        for i, stage in enumerate(self.up):
            h = stage(h, kept, embedded)
            if self.output_pyramid:
                image, h = self.output_pyramid[i](image, h)
            if stage.grow is not None:
                h = stage.grow(h, embedded)
        return image if self.leave is None else self.leave(h)

    def _sigma(self, condition: Tensor) -> Tensor:
        return condition if self.sigmas is None else self.sigmas[condition.long()]


def DDPM(event_shape: tuple[int, int, int], *, blocks: int = 2, **how) -> NCSNpp:
    """Return the U-Net of Ho et al. 2020 (arXiv:2006.11239) in its published form.

    Args:
        how: other keywords of ``NCSNpp``.
    """
    fixed: dict[str, Any] = dict(block="ddpm", groups=32, rescale_skips=False)
    return NCSNpp(event_shape, blocks=blocks, **(fixed | how))


def _require_sizes(event_shape, channels, multipliers, blocks, embedding) -> None:
    if embedding not in EMBEDDINGS:
        raise InputError(f"embedding: expected one of {', '.join(EMBEDDINGS)}; got {embedding!r}")
    if min(channels, blocks, *multipliers, len(multipliers)) < 1:
        raise InputError(
            f"a U-Net needs channels, multipliers and blocks of at least 1; got {channels}, "
            f"{tuple(multipliers)} and {blocks}"
        )
    if embedding == "positional" and channels % 2:
        raise InputError(
            f"the positional embedding needs an even number of channels; got {channels}"
        )
    factor = 2 ** (len(multipliers) - 1)
    if len(event_shape) != 3 or event_shape[1] % factor or event_shape[2] % factor:
        raise InputError(
            f"a U-Net of {len(multipliers)} stages needs events (C, H, W) with H and W multiples "
            f"of {factor}; got {event_shape}"
        )
