"""Completion of held-out images: a part of each is hidden and drawn anew by the model.

The hidden part is a half, the centre, half of the pixels, or the colour. It is drawn in one of two
ways (sde/conditional/guidance.py): "guided" follows the gradient of the known part, with any
sampler; "replacement" overwrites the known part after every step, as the published code does, with
any sampler except ode.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from repro.errors import InputError
from repro.files.atomic import write_arrays
from sde import figures
from sde.conditional import guidance
from sde.conditional.guidance import Observation
from sde.sample import draw_batch
from sde.samplers.loop import Constraint
from sde.samplers.spec import parse_sampler
from sde.trained_model import TrainedModel

WAYS = ("guided", "replacement")
HIDDEN = ("left", "right", "top", "bottom", "centre", "random", "colour")
DATA_STD = 0.5  # of images on [-1, 1], about


def known_pixels(hide: str, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Return a mask (1, 1, H, W): 1 where a pixel is known, 0 where it is hidden."""
    mask = torch.ones(1, 1, height, width, device=generator.device)
    if hide == "random":
        drawn = torch.rand(mask.shape, generator=generator, device=generator.device)
        return (drawn < 0.5).float()
    rows, columns = slice(None), slice(None)
    if hide == "centre":
        rows = slice(height // 4, height - height // 4)
        columns = slice(width // 4, width - width // 4)
    if hide in ("left", "right"):
        columns = slice(None, width // 2) if hide == "left" else slice(width // 2, None)
    if hide in ("top", "bottom"):
        rows = slice(None, height // 2) if hide == "top" else slice(height // 2, None)
    mask[..., rows, columns] = 0
    return mask


def observe(truth: Tensor, hide: str, generator: torch.Generator) -> Observation:
    """Return what stays known of images (B, C, H, W). Raises InputError for an unknown part."""
    if hide not in HIDDEN:
        raise InputError(f"--hide {hide}: choose from {', '.join(HIDDEN)}")
    if hide == "colour" and truth.shape[1] != 3:
        raise InputError(f"--hide colour: needs images of three channels; got {truth.shape[1]}")
    if hide == "colour":
        return guidance.colourisation(truth.mean(1, keepdim=True))
    height, width = truth.shape[2:]
    return guidance.inpainting(truth, known_pixels(hide, height, width, generator))


def complete(
    trained: TrainedModel,
    *,
    hide: str,
    way: str = "guided",
    count: int = 8,
    draws: int = 4,
    sampler: str | None = None,
    steps: int | None = None,
    out: Path | None = None,
) -> Path:
    """Complete the first ``count`` held-out images ``draws`` times each.

    Writes ``completed_HIDE_WAY.png`` (a row of truths, one of what is known, then the draws) and
    ``.npz`` (arrays truth, known, and completed (draws, count, C, H, W)); returns the figure's
    path. Raises InputError for data that is no images, or an unknown name.
    """
    _require_images(trained, way)
    if count < 1 or draws < 1:
        raise InputError(f"counts must be at least 1; got {count} images and {draws} draws")
    rng = trained.sampling_stream(0, 1)
    truth = trained.data.heldout.first(count).points(rng)
    how: dict[str, Any] = dict(hide=hide, way=way, sampler=sampler, steps=steps, draws=draws)
    known, drawn = draw_completions(trained, truth, rng=rng, progress=True, **how)
    folder = trained.folder if out is None else Path(out)
    return _write(trained, folder / f"completed_{hide}_{way}.png", truth, known, drawn)


def draw_completions(
    trained: TrainedModel,
    truth: Tensor,
    *,
    hide: str,
    way: str = "guided",
    draws: int = 1,
    sampler: str | None = None,
    steps: int | None = None,
    rng: torch.Generator,
    progress: bool = False,
) -> tuple[Tensor, list[Tensor]]:
    """Hide a part of images and draw it anew.

    Args:
        truth: images (B, C, H, W); what is hidden of them is not used.
        hide: what is hidden, one of ``HIDDEN``.
        way: how the rest conditions the samples, one of ``WAYS``.
        draws: completions of each image.
        sampler, steps: default to those of the configuration.

    Returns what stays known (B, C, H, W), and the completed images (B, C, H, W) of each draw.
    Raises InputError for data that are no images, and for an unknown name.
    """
    _require_images(trained, way)
    settings = trained.config.sampling
    spec = parse_sampler(sampler or settings.sampler)
    steps = settings.steps if steps is None else steps
    observation = observe(truth, hide, rng)
    model, constraint = _conditioned(trained, observation, way)
    # each image has its own known part, so all of them are one batch
    how: dict[str, Any] = dict(progress=progress, constraint=constraint, batch_size=len(truth))
    drawn = [draw_batch(model, spec, steps, len(truth), rng, **how).x for _ in range(draws)]
    return observation.combine(torch.zeros_like(truth), observation.of_batch(truth)), drawn


def _require_images(trained: TrainedModel, way: str) -> None:
    if not trained.data.spec.is_image:
        raise InputError(f"{trained.data.spec.name}: only images can be completed")
    if way not in WAYS:
        raise InputError(f"--way {way}: choose from {', '.join(WAYS)}")


def _conditioned(
    trained: TrainedModel, observation: Observation, way: str
) -> tuple[TrainedModel, Constraint | None]:
    """The model with a guided score, or the model itself and what overwrites its samples."""
    if way == "replacement":
        return trained, guidance.replacement(trained.sde, observation)
    guided = guidance.guided(trained.sde, trained.score_fn, observation, data_std=DATA_STD)
    return replace(trained, score_fn=guided), None


def _write(
    trained: TrainedModel, path: Path, truth: Tensor, known: Tensor, drawn: list[Tensor]
) -> Path:
    arrays = dict(truth=truth, known=known, completed=torch.stack(drawn))
    arrays = {name: array.cpu().numpy() for name, array in arrays.items()}
    try:
        write_arrays(path.with_suffix(".npz"), arrays)
        rows = [torch.from_numpy(arrays["truth"]), torch.from_numpy(arrays["known"])]
        rows += list(torch.from_numpy(arrays["completed"]))
        figures.save(figures.completions(rows, trained.data), path)
    except OSError as error:
        raise InputError(f"{path.parent}: cannot be written: {error.strerror}") from None
    return path
