"""Use of trained models from Python and notebooks.

    import sde
    model = sde.load("runs/digits/default")
    samples = model.sample(16, sampler="heun", steps=10)
    model.log_prob(samples.x)
    model.complete(samples.x, hide="right")

Tensors x are in the range of the data (images: that of ``model.spec.quantisation``), so what one
method returns another takes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from repro.device import resolve
from repro.errors import InputError
from sde import trained_model
from sde.config.run import SDEConfig
from sde.data.dataset import Dataset, DataSpec
from sde.trained_model import TrainedModel

SHOWN = 100  # images in a figure


@dataclass(frozen=True)
class DrawnSamples:
    """Samples of a model. A notebook shows them as a figure."""

    x: Tensor  # (N, *event)
    nfe: int  # evaluations of the score per sample
    data: Dataset  # of the model, for the figure

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"DrawnSamples(x={tuple(self.x.shape)}, nfe={self.nfe})"

    def _repr_png_(self) -> bytes:
        from sde import figures

        x = self.x.cpu()[:SHOWN] if self.data.spec.is_image else self.x.cpu()
        return figures.png(figures.samples(x, self.data, title=f"{self.nfe} evaluations"))


class Model:
    """A trained model; made by :func:`load`."""

    def __init__(self, trained: TrainedModel):
        self.trained = trained

    def __repr__(self) -> str:
        config, spec = self.config, self.spec
        parameters = sum(parameter.numel() for parameter in self.trained.network.parameters())
        shape = " x ".join(map(str, spec.shape))
        return (
            f"Model({spec.name} of {shape}, process {config.process.name}, network "
            f"{config.model.network} of {parameters} parameters, {self.trained.step} iterations, "
            f"on {self.trained.device})"
        )

    @property
    def config(self) -> SDEConfig:
        """The configuration it was trained with."""
        return self.trained.config

    @property
    def spec(self) -> DataSpec:
        """The name, shape and range of its data."""
        return self.trained.data.spec

    def sample(
        self,
        count: int = 16,
        *,
        sampler: str | None = None,
        steps: int | None = None,
        seed: int | None = None,
        label: Any = None,
        guidance: float = 1.0,
        interval: tuple[float, float] | None = None,
        negative: Any = None,
    ) -> DrawnSamples:
        """Draw samples.

        Args:
            count: number of samples.
            sampler: a name of `sde samplers`; default: that of the configuration.
            steps: number of steps; default: that of the configuration.
            seed: another seed gives other samples; default: that of the configuration.
            label: a class by name or number, or a vector, for all samples or one for each;
                default: the unconditional score.
            guidance: the weight w of `sde.conditional.two_scores`; 1: none.
            interval: noise levels (low, high) at which it counts; default: all.
            negative: what to guide away from: a label, or the path of another run; default: the
                unconditional score.

        Returns the samples in ``.x`` (count, *event), the evaluations of the score in ``.nfe``.
        Raises InputError for an unknown sampler, steps or a count below 1, samples that are not
        finite, a label that the model does not know, or guidance without one.
        """
        from sde.conditional.classes import Guidance, draw_conditional

        trained, settings = self._seeded(seed), self.config.sampling
        steps = settings.steps if steps is None else steps
        guided, sampler = Guidance(guidance, interval, negative), sampler or settings.sampler
        drawn = draw_conditional(trained, sampler, steps, label, guided, count=count)
        return DrawnSamples(drawn.x, drawn.nfe, trained.data)

    def log_prob(self, x: Tensor, label: Any = None) -> Tensor:
        """The log density of x (B, *event), (B,) nats, by the probability-flow ODE.

        With ``label``, a class or a vector as of :meth:`sample`, it is the density given it.
        The section ``evaluation`` of the configuration says how: ``probes``, tolerances, method.
        Raises InputError for x of another shape or not finite, for a model of a discrete table, and
        for more than one label.
        """
        from sde import build
        from sde.conditional.classes import for_likelihood
        from sde.evaluation.nll import log_probs

        rng = self.trained.stream(build.LIKELIHOOD)
        parts = log_probs(for_likelihood(self.trained, label), self._checked(x), rng)
        assert parts is not None  # this process is the leader
        return torch.cat([part.log_prob for part in parts])

    def complete(
        self,
        x: Tensor,
        hide: str = "right",
        *,
        way: str = "guided",
        sampler: str | None = None,
        steps: int | None = None,
        seed: int | None = None,
    ) -> Tensor:
        """Hide a part of images x (B, C, H, W) and draw it anew; return the completed images.

        Args:
            x: the images; what is hidden of them is not used.
            hide: left, right, top, bottom, centre, random (half of the pixels) or colour.
            way: "guided" or "replacement", see `sde.conditional.completion`.
            sampler, steps, seed: as of :meth:`sample`.

        Raises InputError for data that are no images, and for an unknown name.
        """
        from sde.conditional.completion import draw_completions

        trained = self._seeded(seed)
        how: dict[str, Any] = dict(way=way, sampler=sampler, steps=steps)
        rng = trained.sampling_stream(0, 1)
        return draw_completions(trained, self._checked(x), hide=hide, rng=rng, **how)[1][0]

    def azula(self) -> Any:
        """Return the model as a denoiser of the library azula; see `sde.export`.

        Raises InputError where azula is not installed, and for a model of a discrete table.
        """
        from sde.export import azula_denoiser_of

        return azula_denoiser_of(self.trained)

    def _seeded(self, seed: int | None) -> TrainedModel:
        if seed is None:
            return self.trained
        sampling = self.config.sampling.model_copy(update={"seed": seed})
        return replace(self.trained, config=self.config.model_copy(update={"sampling": sampling}))

    def _checked(self, x: Tensor) -> Tensor:
        """x on the device of the model. Raises InputError for another shape."""
        if tuple(x.shape[1:]) != self.spec.shape or not len(x):
            raise InputError(
                f"x must have the shape (B, {', '.join(map(str, self.spec.shape))}); "
                f"got {tuple(x.shape)}"
            )
        return x.to(self.trained.device, torch.float32)


def load(
    path: str | Path, overrides: Mapping[str, Any] | None = None, *, device: str | None = None
) -> Model:
    """Load a trained model.

    Args:
        path: a run folder, a checkpoint file, a file or folder of `sde export`, or
            "pretrained:NAME", such as "pretrained:mnist", for a model that comes with the package.
        overrides: values of the sections sampling, evaluation and compute by their dotted keys,
            such as {"sampling.snr": 0.1}.
        device: "cpu" or "cuda"; default: the GPU if there is one.

    Raises InputError where there is no model, and for an override that changes the model.
    """
    words = [f"{key}={json.dumps(value)}" for key, value in (overrides or {}).items()]
    return Model(trained_model.load(path, resolve(device), words, with_data=False))
