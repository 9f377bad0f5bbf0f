"""The part of a page about samples of each class; what was measured is `sde.evaluation.classes`."""

from typing import Any

import torch
from torch import Tensor

from repro.pages.tables import Column, Line, Table
from sde import figures
from sde.trained_model import TrainedModel

EACH = 10  # samples of a class in a figure
CLASSES = 10  # classes in a figure
NAMES = ("guidance", "class accuracy", "squared energy distance", "precision", "recall", "samples")


def part(
    trained: TrainedModel, found: dict | None, of_classes: dict[float, Tensor]
) -> dict[str, Any] | None:
    """Return sentence, table and figures for the template; None where nothing was measured."""
    if found is None:
        return None
    shown = []
    if trained.data.spec.is_image:
        shown = [_figure(trained, weight, x) for weight, x in of_classes.items()]
    return {"said": f"{in_words(found)}.", "table": _table(found), "figures": shown}


def in_words(found: dict) -> str:
    """Return the accuracies in a sentence without a full stop."""
    each = ", ".join(
        f"{100 * row['accuracy']:.1f} % at guidance {row['guidance']:g}" for row in found["rows"]
    )
    where = ""
    if interval := found["interval"]:
        where = f" (at noise levels {interval[0]:g} to {interval[1]:g})"
    if found["negative"]:
        where += f" (away from {found['negative']})"
    return (
        f"samples classified as the class asked for: {each or 'no weight was asked for'}{where}; "
        f"held-out examples: {100 * found['heldout_accuracy']:.1f} % of {found['heldout']}, by a "
        f"{found['classifier']} of {found['fitted']} training examples"
    )


def _table(found: dict) -> Table:
    columns = (*(Column(name, kind="number") for name in NAMES), Column("nfe", kind="number"))
    lines = []
    for row in found["rows"]:
        shares = (f"{row[key]:.3f}" for key in ("precision", "recall"))
        numbers = (f"{row['accuracy']:.3f}", f"{row['energy_distance']:.3g}", *shares)
        counts = (str(row["samples"]), str(row["nfe"]))
        lines.append(Line("guidance", (f"{row['guidance']:g}", *numbers, *counts)))
    return Table("Samples of each class by weight of guidance", columns, tuple(lines))


def _figure(trained: TrainedModel, weight: float, x: Tensor) -> figures.Shown:
    """The first samples of each class, a row for each; x is in the order of the labels."""
    heldout = trained.data.heldout.some(len(x))
    assert heldout.labels is not None  # of a class each
    labels = heldout.labels.cpu().sort().values
    classes = labels.unique()[:CLASSES]
    fewest = min(EACH, *(int((labels == each).sum()) for each in classes))
    chosen = torch.cat([x[labels == each][:fewest] for each in classes])
    figure = figures.image_rows(chosen, trained.data, fewest)
    said = f"Guidance {weight:g}: {fewest} samples of each class, a row for each."
    return figures.shown(figure, f"classes-{weight:g}".replace(".", "-"), said)
