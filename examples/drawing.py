"""Style of the figures: one width, PNG without a date, and eight colours that colour-blind readers
can distinguish (Okabe and Ito 2008)."""

import io
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
YELLOW, SKY, GREY, BLACK = "#E69F00", "#56B4E9", "#767676", "#000000"
matplotlib.rcParams.update({"axes.titlesize": 9.5, "axes.labelsize": 9})
WIDTH, DPI = 7.4, 120  # inches and pixels to each: the width of a page on GitHub


def panels(rows: int, columns: int, height: float, **how):
    """Return a figure ``height`` inches high, and its axes as ``Figure.subplots`` returns them."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(rows, columns, **how)
    for panel in figure.axes:
        tidy(panel)
    return figure, axes


def tidy(axes: Axes) -> None:
    """Draw a light grid and no box."""
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def plain_ticks(axis, ticks) -> None:
    """Label these ticks of a logarithmic axis with plain numbers, and no others."""
    axis.set_major_locator(matplotlib.ticker.FixedLocator(ticks))
    axis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    axis.set_minor_formatter(matplotlib.ticker.NullFormatter())


def shared_legend(figure: Figure, axes: Axes, columns: int) -> None:
    """Draw one legend of the lines of ``axes`` below all panels."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=8.5
    )


def save(figure: Figure, out: Path, name: str) -> None:
    """Write ``out/name.png`` in 256 colours, which need a third of the space."""
    out.mkdir(parents=True, exist_ok=True)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    Image.open(drawn).convert("RGB").quantize(256).save(out / f"{name}.png", optimize=True)
