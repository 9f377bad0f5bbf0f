"""The figures of a run folder, as PNG: the seen-unseen curves and the course of training.

The file's format follows its name, so the same functions draw PDF or SVG.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cizsl.metrics import Curve, ausuc
from repro.files.checkpoint import write_atomically

# the curves of results.write: label, colour and line style
CURVES = {
    "validation": ("selected, on validation classes", "#8a8a8a", ":"),
    "final": ("final, on test classes", "#0b6fa4", "-"),
    "best_on_test": ("best on test classes", "#d1600f", "--"),
}
# the panels of `training`: term or score, label and colour
CRITIC = {
    "wasserstein": ("Wasserstein estimate, real − fake", "#0b6fa4"),
    "gradient_penalty": ("gradient penalty (unweighted)", "#d1600f"),
    "adversarial": ("generator: adversarial, −E[D(fake)]", "#2a8c5b"),
    "hallucinated_adversarial": ("generator: same, hallucinated", "#b0408a"),
}
GENERATOR = {
    "classification": ("classification", "#d1600f"),
    "pivot": ("pivot", "#2a8c5b"),
    "creativity": ("creativity", "#b0408a"),
    "l2": ("L2", "#8a8a8a"),
    "l21": ("L21", "#4d4d4d"),
}
SCORES = {
    "top1": ("top-1, unseen classes only", "#0b6fa4"),
    "ausuc": ("AUSUC", "#d1600f"),
    "harmonic": ("harmonic mean H", "#2a8c5b"),
    "seen": ("seen, all classes compete", "#8a8a8a"),
    "unseen": ("unseen, all classes compete", "#4d4d4d"),
}
COLUMN = (6.2, 9.0)  # inches: the panels of a stage with their legends
STAGES = {"validation": "validation classes", "test": "test classes"}


def seen_unseen(path: Path, arrays: dict[str, np.ndarray], summary: dict) -> None:
    """Draw the curves of one run.

    Args: ``arrays``, by name (a key of :data:`CURVES`) the seen and unseen accuracies (2, P),
    fractions; ``summary``, the content of ``results.json``.
    """
    figure = Figure(figsize=(6, 5.2))
    axes = figure.add_axes((0.1, 0.18, 0.88, 0.73))
    for name in CURVES:
        if name in arrays:
            label, colour, style = CURVES[name]
            seen, unseen = arrays[name]
            label += f": area {100 * ausuc(Curve(seen, unseen)):.2f} %"
            # both stay visible where the last evaluation is the best one
            width = 1.6 if name == "best_on_test" else 2.2
            axes.plot(100 * unseen, 100 * seen, style, color=colour, label=label, lw=width)
    axes.set(xlabel="accuracy on unseen classes, %", ylabel="accuracy on seen classes, %")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 100)
    axes.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    axes.set_title(title(summary), fontsize=11)
    _tidy(axes)
    _save(figure, path, dpi=150)


def training(path: Path, records: list[dict]) -> None:
    """Draw losses and scores over iterations, in one column of panels for each stage.

    Args: ``records``, the lines of ``metrics.jsonl``: one for each evaluation, with the latest
    loss terms by name (the generator's are weighted) and the scores, fractions.
    """
    stages = [name for name in STAGES if any(r["stage"] == name for r in records)]
    figure = Figure(figsize=(COLUMN[0] * max(1, len(stages)), COLUMN[1]))
    for column, stage in enumerate(stages):
        chosen = [_derived(record) for record in records if record["stage"] == stage]
        panels = _panels(figure, column)
        panels[0].set_title(f"stage {stage}, scores on {STAGES[stage]}", fontsize=11)
        _panel(panels[0], chosen, CRITIC, "critic's scale")
        _panel(panels[1], chosen, GENERATOR, "generator's other terms,\nweighted, absolute")
        panels[1].set_yscale("log")
        _panel(panels[2], chosen, SCORES, "accuracy, %", scale=100)
        panels[2].set_ylim(0, 100)
        if len(chosen) > 1:
            panels[2].set_xlabel("iteration")
    _save(figure, path, dpi=130)


def _panels(figure: Figure, column: int) -> list[Axes]:
    """Return three panels below each other, with room for labels to the left and a legend to the
    right: an automatic layout would draw everything twice."""
    width, height = figure.get_size_inches()
    left, panel = column * COLUMN[0] + 1.05, (COLUMN[0] - 3.5, 2.5)
    bottoms = (6.15, 3.35, 0.55)
    places = [(left / width, y / height, panel[0] / width, panel[1] / height) for y in bottoms]
    return [figure.add_axes(place) for place in places]


def title(summary: dict) -> str:
    """Return dataset, split, method and protocol, and "TOY DATA" for toy data."""
    toy = "   TOY DATA" if summary["toy"] else ""
    where = f"{summary['dataset']} {summary['split']}{toy}"
    return f"{where}\n{summary['method']}, {summary['protocol']} protocol, seed {summary['seed']}"


def _derived(record: dict) -> dict:
    """Add the Wasserstein estimate, and take magnitudes of the terms on a logarithmic axis.

    The published form of some divergences is negative.
    """
    magnitudes = {name: abs(record[name]) for name in GENERATOR if name in record}
    both = {"real", "fake"} <= record.keys()
    derived = {"wasserstein": record["real"] - record["fake"]} if both else {}
    return {**record, **magnitudes, **derived}


def _panel(axes: Axes, records: list[dict], lines: dict, label: str, scale: float = 1) -> None:
    """Draw a line for each name that the records hold; a labelled point for a single record."""
    held = [name for name in lines if any(name in record for record in records)]
    for place, name in enumerate(held):
        text, colour = lines[name]
        x = [record["iteration"] for record in records if name in record]
        y = [scale * record[name] for record in records if name in record]
        if len(records) > 1:
            axes.plot(x, y, color=colour, label=text, lw=1.4)
            continue
        axes.plot(place, y, "o", color=colour, label=text)
        axes.annotate(f"{y[0]:.3g}", (place, y[0]), (7, 0), textcoords="offset points", va="center")
    if len(records) == 1:
        axes.set_xticks([])
        axes.set_xlim(-0.5, len(held))
        axes.set_xlabel(f"iteration {records[0]['iteration']}")
        axes.margins(y=0.15)
    axes.set_ylabel(label)
    if held:  # a score model has no terms of a critic
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    _tidy(axes)


def _save(figure: Figure, path: Path, dpi: int) -> None:
    """Write the figure, whole or not at all; raise :class:`InputError` on a full disk."""
    kind = path.suffix.removeprefix(".")
    write_atomically(path, lambda file: figure.savefig(file, dpi=dpi, format=kind))


def _tidy(axes: Axes) -> None:
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
