"""Trained models as denoisers of azula, a library of diffusion models in PyTorch.

azula describes a process x_t = alpha_t x_0 + sigma_t z by a schedule t -> (alpha_t, sigma_t), and a
model by the posterior mean E[x_0 | x_t]. Here a model is a score, and by Tweedie's formula

    alpha_t = scale(t),   sigma_t = std(t),   E[x_0 | x_t] = (x_t + std^2 score(x_t, t)) / scale.

Every sampler and every guidance of azula (>= 0.11) then works with a model of this package; it is
installed by ``pip install 'cizsl-sde[azula]'``. Times have the same meaning on both sides.
"""

from functools import cache
from typing import Any

from torch import Tensor, nn

from repro.errors import InputError
from sde import build
from sde.conditional.classes import label_of
from sde.networks.label import with_label
from sde.processes import SDE
from sde.reverse import ScoreFn
from sde.samplers.base import denoise
from sde.trained_model import TrainedModel


def azula_schedule(sde: SDE) -> Any:
    """Return the noise schedule of a process, an ``azula.noise.Schedule``.

    Called with t of any shape it returns scale(t) and std(t), each of that shape. Raises InputError
    where azula is not installed.
    """
    return _classes()["schedule"](sde)


def azula_denoiser(sde: SDE, score_fn: ScoreFn, network: nn.Module | None = None) -> Any:
    """Return a score as an ``azula.denoise.Denoiser``.

    Called with x_t (B, *event) and t, () or (B,), it returns a posterior whose ``mean`` (B, *event)
    is E[x_0 | x_t].

    Args:
        sde: the forward process.
        score_fn: the score, (x, t (B,)) -> the shape of x.
        network: the module that ``score_fn`` calls, whose parameters become those of the denoiser.

    Raises InputError where azula is not installed.
    """
    return _classes()["denoiser"](sde, lambda _: score_fn, network)


def azula_denoiser_of(trained: TrainedModel) -> Any:
    """Return a trained model, with its averaged weights in float32, as an ``azula`` denoiser.

    A model with labels takes one, or one for each x_t, as the keyword ``label``: a class by name or
    number, or a vector; without it the score is the unconditional one.

    Raises InputError for a model of a discrete table, whose score exists at its timesteps only, and
    where azula is not installed.
    """
    config, sde, network = trained.config, trained.sde, trained.network
    if config.loss.num_timesteps is not None:
        raise InputError(
            f"{trained.folder}: trained on {config.loss.num_timesteps} timesteps, between which it "
            "has no score; azula asks for it at any time"
        )

    def score_of(label: Any) -> ScoreFn:
        parsed = label_of(trained, label)
        inner = network if parsed is None else with_label(network, parsed)
        return build.score(config, sde, inner)

    return _classes()["denoiser"](sde, score_of, network)


@cache
def _classes() -> dict[str, type]:
    """Classes that derive from those of azula, which is imported when one is asked for."""
    try:
        from azula.denoise import (  # pyright: ignore[reportMissingImports]
            Denoiser,
            DiracPosterior,
        )
        from azula.noise import Schedule  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            f"azula is not installed ({error}): pip install 'cizsl-sde[azula]'"
        ) from None

    class ProcessSchedule(Schedule):
        def __init__(self, sde: SDE):
            self.sde = sde

        def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
            return self.sde.scale(t), self.sde.std(t)

    class ScoreDenoiser(Denoiser):
        def __init__(self, sde: SDE, score_of, network: nn.Module | None):
            super().__init__()
            self.schedule, self.score_of = ProcessSchedule(sde), score_of
            self.network = network  # its parameters and its device are those of the denoiser

        def forward(self, x_t: Tensor, t: Tensor, label: Any = None, **_) -> Any:
            score = self.score_of(label)
            return DiracPosterior(denoise(self.schedule.sde, score, x_t, t.reshape(-1)))

    return {"schedule": ProcessSchedule, "denoiser": ScoreDenoiser}
