"""The data and the task that a configuration names."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from cizsl import protocols
from cizsl.config import Baseline, CIZSLConfig
from cizsl.data.dataset import ZSLData
from cizsl.data.layouts import load
from cizsl.data.text_whitening import whiten_texts
from cizsl.protocols import ZSLTask


def data(config: CIZSLConfig | Baseline) -> ZSLData:
    """Read the dataset, not yet normalised."""
    where = config.data
    return load(where.root, where.dataset, where.split, where.layout, where.texts)


def task(
    config: CIZSLConfig | Baseline,
    data: ZSLData,
    stage: str,
    device: torch.device,
    number: int = 0,
) -> ZSLTask:
    """Return the task of a stage: "test", or "validation" (strict protocol only).

    ``number``: of the draw of validation classes.
    """
    made = _task(config, data, stage, device, number)
    texts = made.seen_text, made.unseen_text, made.text_blocks
    seen_text, unseen_text = whiten_texts(*texts, config.data.text_whitening)
    return replace(made, seen_text=seen_text, unseen_text=unseen_text)


def _task(config: CIZSLConfig | Baseline, data: ZSLData, stage: str, device, number: int):
    settings, normalisation = config.evaluation, config.data.normalisation
    if settings.protocol == "reference":
        return protocols.reference_task(data, normalisation, device)
    held_out = (data, normalisation, device, settings.heldout_share, settings.validation_seed)
    if stage == "validation":
        return protocols.validation_task(
            *held_out, settings.validation_share, settings.validation_by, number
        )
    return protocols.strict_test_task(*held_out)


def normaliser(
    config: CIZSLConfig | Baseline, data: ZSLData, device: torch.device
) -> Callable[[Tensor], Tensor]:
    """Return the normalisation of features (N, D) in the task of the stage "test"."""
    asked = config.evaluation
    heldout = asked.heldout_share if asked.protocol == "strict" else None
    how = config.data.normalisation, device, heldout, asked.validation_seed
    return protocols.final_normaliser(data, *how)
