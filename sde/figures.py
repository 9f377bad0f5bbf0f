"""Figures of a model: samples, completions, loss curve, comparison of samplers.

Each function returns a figure; ``save`` writes it as a file, ``svg`` as a piece of HTML that takes
its colours from the page, so that it follows the reader's light or dark setting.
"""

import functools
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import torch
from markupsafe import Markup
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from repro.files.atomic import write_atomically
from sde.data.dataset import Dataset

PALETTE = ("#0b6fa4", "#c2540a", "#24825a", "#a2367f", "#7d6200", "#5a57c0")  # --c0 to --c5
MARKERS = "os^vD*PX"
REAL, FAKE, SOFT, GRID = "#8a94a3", PALETTE[0], "#5b6675", "#d9dee5"
THEME = {colour: f"var(--c{i})" for i, colour in enumerate(PALETTE)}
THEME |= {SOFT: "var(--soft)", GRID: "var(--line)", "#000000": "var(--ink)"}
PANEL = 3.6  # inches
POINTS = 3000  # at most in one cloud
BLOCK = 4096  # images compared at once


class Shown(NamedTuple):
    """A figure on a page."""

    svg: Markup  # drawn from numbers, or with text that Matplotlib escapes
    caption: str


def shown(figure: Figure, name: str, caption: str) -> Shown:
    """Return a figure for a template; ``name`` makes the ids in it unique on the page."""
    return Shown(Markup(svg(figure, name)), caption)


def samples(x: Tensor, data: Dataset, title: str = "") -> Figure:
    """Draw samples x (N, *event), on the CPU: a grid of images, or points beside held-out ones."""
    if data.spec.is_image:
        figure = Figure(figsize=(4.4, 4.7), layout="constrained")
        axes = figure.add_subplot()
        _grid(axes, x, data)
        axes.set_title(title, fontsize=10)
        return figure
    figure = Figure(figsize=(2 * PANEL, PANEL + 0.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    _cloud(left, data.heldout.values.cpu(), REAL, "held out")
    _cloud(right, x, FAKE, title)
    reach = 1.25 * data.train.values.abs().max().item()
    left.set(xlim=(-reach, reach), ylim=(-reach, reach))
    return figure


def neighbours(x: Tensor, data: Dataset, count: int = 10) -> Figure:
    """Draw image samples (N, C, H, W) above their nearest training images, to reveal copies."""
    x, values = x[:count], data.train.values.cpu()
    cells = data.spec.quantisation
    assert cells is not None  # images have grey levels
    middle = functools.partial(cells.dequantise, u=torch.tensor(0.5))
    far = [torch.cdist(x.flatten(1), middle(part).flatten(1)) for part in values.split(BLOCK)]
    nearest = middle(values[torch.cat(far, 1).argmin(1)])
    figure = Figure(figsize=(4.4, 1.35), layout="constrained")
    axes = figure.add_subplot()
    _grid(axes, torch.cat([x, nearest]), data, columns=len(x))
    axes.set_title("samples, and below each the nearest training image", fontsize=10)
    return figure


def image_rows(x: Tensor, data: Dataset, columns: int) -> Figure:
    """Draw images (N, C, H, W), on the CPU, in rows of so many."""
    size = (0.3 + 0.41 * columns, 0.3 + 0.41 * -(-len(x) // columns))
    figure = Figure(figsize=size, layout="constrained")
    _grid(figure.add_subplot(), x, data, columns=columns)
    return figure


def completions(rows: list[Tensor], data: Dataset) -> Figure:
    """Draw rows of images (B, C, H, W), on the CPU: the truth, its known part, completions."""
    labels = ["truth", "known", *(f"draw {i}" for i in range(1, len(rows) - 1))]
    size = (0.9 + 0.55 * len(rows[0]), 0.2 + 0.55 * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    for i, (row, label) in enumerate(zip(rows, labels, strict=True)):
        axes = figure.add_subplot(len(rows), 1, i + 1)
        _grid(axes, row, data, columns=len(row))
        axes.axis("on")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
    return figure


def training(records: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the loss over iterations, from the lines of ``metrics.jsonl``."""
    figure = Figure(figsize=(4.6, 3.4), layout="constrained")
    axes = figure.add_subplot()
    at = [record["iteration"] for record in records]
    lines = {"loss": "training, mean between records", "heldout_loss": "held out, averaged weights"}
    for (name, label), colour in zip(lines.items(), PALETTE, strict=False):
        values = [record[name] for record in records]
        axes.plot(at, values, "o-", ms=3, lw=1.4, color=colour, label=label)
    axes.set(xlabel="iterations", ylabel="loss", xlim=(0, max(at, default=1)))
    if records:  # none of a run shorter than evaluation.every
        axes.set_yscale("log")
        _plain_numbers(axes.yaxis)
    axes.legend(frameon=False, fontsize=9)
    _tidy(axes)
    return figure


def comparison(rows: list[dict], floors: list[float]) -> Figure:
    """Draw the sliced Wasserstein distance over evaluations, one line for each sampler.

    rows: dicts with "sampler", "nfe" and "distance"; floors: the same of parts of the training
    data, of as many examples: what no sampler can be told from.
    """
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axes = figure.add_subplot()
    rows = [row for row in rows if row["distance"] is not None]
    for i, sampler in enumerate(dict.fromkeys(row["sampler"] for row in rows)):
        line = [row for row in rows if row["sampler"] == sampler]
        style: dict[str, Any] = dict(
            color=PALETTE[i % len(PALETTE)], marker=MARKERS[i % len(MARKERS)]
        )
        style |= dict(ms=5, lw=1.3, linestyle="-" if i < len(PALETTE) else "--")
        nfe, distance = ([row[key] for row in line] for key in ("nfe", "distance"))
        axes.plot(nfe, distance, label=sampler, **style)
    axes.axhspan(min(floors), max(floors), color=REAL, alpha=0.35, lw=0, label="training data")
    axes.set(xscale="log", yscale="log", xlabel="evaluations of the score")
    axes.set_ylabel("sliced Wasserstein distance\nto held-out examples")
    for axis in (axes.xaxis, axes.yaxis):
        _plain_numbers(axis)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2,
                  frameon=False, fontsize=8)  # fmt: skip
    _tidy(axes)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure atomically, in the format of the file name's suffix.

    Raises InputError where it cannot be written.
    """
    content = _rendered(figure, path.suffix[1:])
    write_atomically(path, lambda file: file.write(content))


def png(figure: Figure) -> bytes:
    """The figure as the content of a PNG file."""
    return _rendered(figure, "png")


def _rendered(figure: Figure, kind: str) -> bytes:
    image = io.BytesIO()
    figure.savefig(image, format=kind, dpi=150)
    return image.getvalue()


def svg(figure: Figure, name: str) -> str:
    """The figure as inline SVG in the colours of the page; ``name`` makes its ids unique."""
    image = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(image, format="svg", transparent=True, dpi=150, metadata={"Date": None})
    text = image.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'(id="|"#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(
        r'(<svg[^>]*?) height="[^"]*"', rf'\1 role="img" aria-label="{name}"', text, count=1
    )
    for colour, variable in THEME.items():
        text = text.replace(colour, variable)
    return text


def _grid(axes: Axes, x: Tensor, data: Dataset, columns: int | None = None) -> None:
    """Draw images (N, C, H, W) in rows, separated by dark lines."""
    cells = data.spec.quantisation
    assert cells is not None  # images have grey levels
    columns = columns or max(1, round(len(x) ** 0.5))
    rows = -(-len(x) // columns)
    channels, height, width = x.shape[1:]
    board = torch.full((rows * (height + 1) + 1, columns * (width + 1) + 1, channels), cells.low)
    for i, image in enumerate(x):
        top, left = (i // columns) * (height + 1) + 1, (i % columns) * (width + 1) + 1
        board[top : top + height, left : left + width] = image.permute(1, 2, 0)
    shown = ((board - cells.low) / (cells.high - cells.low)).clamp(0, 1).squeeze(2).numpy()
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="none")
    axes.set_axis_off()


def _cloud(axes: Axes, x: Tensor, colour: str, title: str) -> None:
    x = x[:POINTS]
    size = 3 if len(x) > 500 else 8
    axes.scatter(x[:, 0], x[:, 1], s=size, color=colour, alpha=0.6, lw=0, rasterized=True)
    axes.set_title(title, fontsize=10)
    axes.set_aspect("equal")
    _tidy(axes)


def _plain_numbers(axis) -> None:
    """Label a logarithmic axis by plain numbers, also between the powers of ten."""
    axis.set_minor_locator(ticker.LogLocator(subs=(1.5, 2, 3, 5, 7)))
    axis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axis.set_minor_formatter(ticker.FormatStrFormatter("%g"))
    axis.set_tick_params(which="both", labelsize=8)


def _tidy(axes: Axes) -> None:
    axes.grid(True, color=GRID, lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
