"""The page of a training that goes on: loss curve, newest samples, time left.

It is ``page.html`` in the run folder and reloads itself every 30 seconds until the training ends.
`sde.training.callbacks` writes it, at most once in 30 seconds and at the end; ``sde evaluate``
replaces it.
"""

import base64
from dataclasses import dataclass
from pathlib import Path

from repro.files.atomic import write_atomically
from repro.pages.html import render
from sde import figures
from sde.config.records import Record

RELOAD = 30  # seconds


@dataclass(frozen=True)
class Status:
    """How far a training is."""

    name: str  # of the run
    iterations: int  # of the whole training
    records: list[Record]
    seconds_left: float | None  # None: not known yet
    finished: bool


def write(folder: Path, status: Status) -> Path:
    """Write the page into a run folder and return its path.

    Raises InputError where it cannot be written.
    """
    said = "The loss, weighted as trained; the held-out loss is that of the averaged weights."
    page = render(
        "sde.training",
        "live.html",
        title=status.name,
        lead=_lead(status),
        reload=None if status.finished else RELOAD,
        curve=figures.shown(figures.training(status.records), "training", said),
        samples=_newest_samples(folder),
    )
    content = page.encode(errors="backslashreplace")
    write_atomically(folder / "page.html", lambda file: file.write(content))
    return folder / "page.html"


def _lead(status: Status) -> str:
    if not status.records:
        return f"Trained for {status.iterations} iterations; no record was written."
    last = status.records[-1]
    losses = f"held-out loss {last['heldout_loss']:.4g}, training loss {last['loss']:.4g}"
    if status.finished:
        return f"Training ended after {status.iterations} iterations: {losses}."
    share = 100 * last["iteration"] / status.iterations
    left = "" if status.seconds_left is None else f"; about {_duration(status.seconds_left)} left"
    return f"Iteration {last['iteration']} of {status.iterations} ({share:.0f} %): {losses}{left}."


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _newest_samples(folder: Path) -> dict[str, str] | None:
    """The newest figure of samples, as base64, and its name; None where there is none."""
    found = sorted((folder / "training").glob("samples_*.png"))
    if not found:
        return None
    return {"png": base64.b64encode(found[-1].read_bytes()).decode(), "name": found[-1].stem}
