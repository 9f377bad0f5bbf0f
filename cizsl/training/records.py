"""The files that a run leaves in its folder, as typed models, and their readers.

    results.json       Summary
    environment.json   Environment
    metrics.jsonl      Record, one line for each evaluation
    search.jsonl       SearchLine, one line for each finished training of a search
    curves.npz         seen-unseen curves, arrays (2, P) by name

A file of other content is refused in one line.
"""

import zipfile
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Field, ValidationError, model_validator

from cizsl.config.sections import Name
from repro.config import Settings
from repro.errors import InputError
from repro.files import json_file
from repro.files.regular_file import open_regular
from repro.run import RunFolder

SCORES = ("top1", "per_class_top1", "ausuc", "seen", "unseen", "harmonic")
RETRIEVAL = ("map25", "map50", "map100")  # see cizsl.retrieval
CALIBRATED = ("calibrated_seen", "calibrated_unseen", "calibrated_harmonic")
EVERY = SCORES + CALIBRATED + RETRIEVAL
DISCRIMINATOR = "discriminator"  # the evaluation of its own classifier (CIZSL-v2)
CHOSEN = {"reference": "best_on_test", "strict": "selected"}  # what each protocol reports
CURVE_BYTES = 64 * 2**20  # the largest array that is read from curves.npz
TAIL_BYTES = 64 * 2**10  # the end of metrics.jsonl that is searched for its last record

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Text = Annotated[str, Field(max_length=1000)]
Term = Annotated[float, Field(allow_inf_nan=True)]  # a training that diverges logs infinite terms
Seconds = Annotated[float, Field(ge=0, le=1e10)]


class _Record(Settings):
    """Parent of the models: keys that a newer version added are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Scores(_Record):
    """Fractions in [0, 1], see :class:`cizsl.evaluate.Evaluation`.

    Older runs lack retrieval; only tests of the strict protocol have calibrated accuracies, at the
    offset that validation classes chose.
    """

    top1: Fraction
    per_class_top1: Fraction
    ausuc: Fraction
    seen: Fraction
    unseen: Fraction
    harmonic: Fraction
    calibrated_seen: Fraction | None = None
    calibrated_unseen: Fraction | None = None
    calibrated_harmonic: Fraction | None = None
    map25: Fraction | None = None
    map50: Fraction | None = None
    map100: Fraction | None = None


class ChosenCreativity(_Record):
    """The creativity weight of the final training, also where validation classes chose it."""

    weight: float | None = None


class Search(_Record):
    """The outcome of a search on validation classes.

    ``chosen``: the selected values by dotted key; those of a baseline stand in the summary.
    """

    select_by: Text
    chosen: dict[Text, Any] | None = None
    candidates: list[dict[Text, Any]]


class ByClass(_Record):
    """Top-1 accuracy and AUSUC of each unseen class that has images, see
    :mod:`cizsl.training.by_class`."""

    top1: list[Fraction]
    ausuc: list[Fraction]

    @model_validator(mode="after")
    def _of_the_same_classes(self):
        if not 0 < len(self.top1) == len(self.ausuc):
            raise ValueError("by_class: expected as many values of top1 as of ausuc")
        return self


class Summary(_Record):
    """The part of ``results.json`` that the tables read.

    A ``deterministic`` run is a baseline in closed form: it is the same for every seed, and
    ``chosen`` holds its penalties. ``offset`` is that of the calibrated accuracies, added to the
    scores of unseen classes.
    """

    dataset: Name
    split: Name
    protocol: Literal["reference", "strict"]
    method: Text
    seed: Count
    iterations: Count
    seconds: Seconds
    device: Text
    metrics: dict[str, Scores]
    toy: bool = False
    feature_dim: Count | None = None
    unseen_classes: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    creativity: ChosenCreativity | None = None
    deterministic: bool = False
    chosen: dict[str, float | Text | list[float] | None] | None = None
    search: Search | None = None
    offset: float | None = None
    by_class: ByClass | None = None

    @model_validator(mode="after")
    def _has_scores(self):
        missing = {"final", CHOSEN[self.protocol]} - set(self.metrics)
        if missing:
            raise ValueError(f"metrics: {' and '.join(sorted(missing))} missing")
        return self

    @property
    def scores(self) -> Scores:
        """What the protocol reports: ``best_on_test`` or ``selected``."""
        return self.metrics[CHOSEN[self.protocol]]


class Environment(_Record):
    """The part of ``environment.json`` that the tables read; ``data_files``: SHA-256 by name."""

    data_files: dict[Text, Text] = Field(default_factory=dict)
    git_commit: Text | None = None


class Record(_Record):
    """The place in the training of one line of ``metrics.jsonl``.

    ``candidate``: the searched values by dotted key, where several trainings differ in them.
    """

    stage: Text
    iteration: Count
    candidate: dict[Text, Any] | None = None


class TrainingRecord(Record, Scores):
    """One line of ``metrics.jsonl``: where, the scores, and the latest loss terms by name.

    ``offset``: the best one on the validation classes, where the evaluation is on those.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Term]

    offset: float | None = None
    real: Term | None = None  # a generator in closed form has no critic
    fake: Term | None = None


class SearchLine(_Record):
    """A finished training of a search; score and iteration are None if training diverged."""

    candidate: dict[Text, Any]
    score: Fraction | None
    iteration: Count | None
    evaluations: Count
    seconds: Seconds


def read_results(folder: Path) -> dict:
    """Return the whole ``results.json``; raise :class:`InputError` for other content."""
    content = json_file.read_object(folder / "results.json")
    json_file.as_model(content, Summary, str(folder / "results.json"))
    return content


def latest_record(folder: Path) -> Record | None:
    """Return the last whole record of ``metrics.jsonl``, or None where there is none."""
    try:
        with open_regular(folder / "metrics.jsonl") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read().splitlines()
    except (OSError, InputError):
        return None
    for line in reversed(lines):
        try:
            return Record.model_validate_json(line)
        except ValidationError:
            continue
    return None


def read_log(folder: Path) -> list[dict]:
    """Return the whole lines of ``metrics.jsonl``.

    Raises :class:`InputError`, which names the line, for other content.
    """
    lines = RunFolder(folder, Settings()).read_log("metrics")
    for number, line in enumerate(lines, 1):
        json_file.as_model(line, TrainingRecord, f"{folder / 'metrics.jsonl'}, line {number}")
    return lines


def read_curve(file: Path, name: str) -> np.ndarray:
    """Return the array ``name`` of ``curves.npz``: seen and unseen accuracy (2, P), fractions.

    Raises :class:`InputError` for a damaged file, a missing array and values outside [0, 1].
    """
    try:
        with open_regular(file) as stream:
            with zipfile.ZipFile(stream) as archive:
                size = archive.getinfo(f"{name}.npy").file_size
            if size > CURVE_BYTES:
                raise ValueError(f"{name}: {size} bytes, expected at most {CURVE_BYTES}")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as arrays:
                curve = arrays[name]
    except Exception as error:  # a damaged archive can fail anywhere in zipfile and numpy
        raise InputError(f"{file}: cannot be read: {_short(error)}") from None
    if curve.ndim != 2 or len(curve) != 2 or not curve.size or curve.dtype.kind != "f":
        found = f"{curve.dtype} {curve.shape}"
        raise InputError(f"{file}: {name}: expected numbers of shape (2, P), got {found}")
    curve = curve.astype(float)
    if not ((curve >= 0) & (curve <= 1)).all():
        raise InputError(f"{file}: {name}: expected fractions in [0, 1]")
    return curve


def _short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:120]
