"""What run folders say: reading them, and what two of them must share to be averaged."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import ConfigDict, Field, ValidationError, model_validator

from cizsl.config import Baseline, CIZSLConfig, Name
from cizsl.data.birds_layout import LAYOUTS
from cizsl.data.gbu import SPLITS
from cizsl.data.gbu_validate import SHA256 as GBU_SHA256
from cizsl.data.verify import SHA256
from cizsl.report.published_numbers import BENCHMARKS
from repro.config import Settings, validate
from repro.errors import InputError
from repro.run import RunFolder

Fraction = Annotated[float, Field(ge=0, le=1)]
CHOSEN = {"reference": "best_on_test", "strict": "selected"}
# "published": as far as their size and the known checksums tell
KINDS = ("published", "other", "own", "toy")
# settings that do not change what is measured, or that name the cell or the seed
IGNORED = {"seed", "compute.compile", "compute.checkpoint_seconds"}
IGNORED |= {"data.root", "data.layout", "data.dataset", "data.split"}


class _Record(Settings):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Scores(_Record):
    """Fractions in [0, 1], see :class:`cizsl.evaluate.Evaluation`; older runs lack retrieval."""

    top1: Fraction
    per_class_top1: Fraction
    ausuc: Fraction
    seen: Fraction
    unseen: Fraction
    harmonic: Fraction
    map25: Fraction | None = None
    map50: Fraction | None = None
    map100: Fraction | None = None


class Summary(_Record):
    """The part of ``results.json`` that the tables read. A ``deterministic`` run is a baseline in
    closed form: it is the same for every seed, and ``chosen`` are its penalties."""

    dataset: Name
    split: Name
    protocol: Literal["reference", "strict"]
    method: str
    seed: int
    iterations: int
    seconds: float
    device: str
    metrics: dict[str, Scores]
    toy: bool = False
    feature_dim: int | None = None
    creativity: dict | None = None
    model: dict | None = None
    deterministic: bool = False
    chosen: dict | None = None

    @model_validator(mode="after")
    def _has_scores(self):
        missing = {"final", CHOSEN[self.protocol]} - set(self.metrics)
        if missing:
            raise ValueError(f"metrics: {' and '.join(sorted(missing))} missing")
        return self


@dataclass(frozen=True)
class Run:
    """A run folder. ``summary`` is None where the run has no results; ``note`` then says why."""

    folder: Path
    summary: Summary | None
    config: dict = field(default_factory=dict)
    environment: dict = field(default_factory=dict)
    note: str = ""

    @property
    def cell(self) -> tuple[str, str]:
        return self.summary.dataset, self.summary.split

    @property
    def scores(self) -> Scores:
        """What the protocol reports: ``best_on_test`` or ``selected``."""
        return self.summary.metrics[CHOSEN[self.summary.protocol]]

    @property
    def data_files(self) -> dict[str, str]:
        return self.environment.get("data_files") or {}

    @property
    def data_id(self) -> str:
        """12 digits that stand for the checksums of all data files; empty if none are recorded."""
        lines = "\n".join(f"{name} {digest}" for name, digest in sorted(self.data_files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()[:12] if lines else ""

    @property
    def layout(self) -> str:
        """`data.layout`, which older runs do not have."""
        return (self.config.get("data") or {}).get("layout", "published")

    @property
    def benchmark(self) -> str:
        """One of :data:`BENCHMARKS`."""
        return "gbu" if self.layout == "gbu" else "text"

    @property
    def kind(self) -> str:
        """One of :data:`KINDS`."""
        if self.summary.toy:
            return "toy"
        benchmark = BENCHMARKS[self.benchmark]
        if self.cell not in benchmark.cells:
            return "own"
        if self.layout == "npz":  # which has no checksum of a published file
            return "other"
        known = self._known_checksums()
        differs = any(known.get(name) not in (None, d) for name, d in self.data_files.items())
        right_size = self.summary.feature_dim == benchmark.feature_dim
        return "published" if right_size and not differs else "other"

    def _known_checksums(self) -> dict[str, str | None]:
        """By file name. No copy of the features was to be had, of the birds none of the text."""
        dataset, split = self.cell
        if self.benchmark == "gbu":
            return {SPLITS: GBU_SHA256.get(dataset)}
        roles = LAYOUTS[dataset][split].items()
        return {name: SHA256.get(f"{dataset} {split} {role}") for role, name in roles}

    def settings(self) -> dict[str, object]:
        """What runs that are averaged have in common, by dotted key."""
        summary = self.summary
        flat = {key: value for key, value in _flatten(self._config) if key not in IGNORED}
        if summary.method == "GAZSL":  # which hallucinates nothing
            flat = {k: v for k, v in flat.items() if not k.startswith("creativity.")}
        return {"method": summary.method, "feature_dim": summary.feature_dim, **flat}

    @cached_property
    def _config(self) -> dict:
        """The whole configuration: what is newer than the run has its default."""
        if not self.config:
            return {"creativity": self.summary.creativity or {}, "model": self.summary.model or {}}
        kind = Baseline if "baseline" in self.config else CIZSLConfig
        try:
            return kind.model_validate(self.config).model_dump(mode="json")
        except ValidationError:  # of a version that knew other settings
            return self.config


def collect(paths: Iterable[Path]) -> list[Run]:
    """The runs at ``paths``, each a run folder or a folder that is searched for them.

    Runs without results, with damaged files and of other programs are in the list too, with a note.
    Raises :class:`InputError` for a path without any run.
    """
    found: dict[Path, Run] = {}
    for path in map(Path, paths):
        folders = list(_run_folders(path))
        if not folders:
            what = "no run folder in here" if path.is_dir() else "no such folder"
            raise InputError(f"{path}: {what} (a run folder holds config.yaml, results.json)")
        for folder in folders:
            found.setdefault(folder.resolve(), folder)
    return [_read_run(folder) for folder in sorted(found.values())]


def _flatten(config: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _run_folders(path: Path) -> Iterator[Path]:
    """Folders of runs, also inside one another and behind links, each once."""
    known = set()
    for folder, inside, files in os.walk(path, followlinks=True):
        if (real := os.path.realpath(folder)) in known:  # a link back up
            inside.clear()
            continue
        known.add(real)
        inside[:] = sorted(n for n in inside if not n.startswith(".") and n != "checkpoints")
        if "config.yaml" in files or "results.json" in files:
            yield Path(folder)


def _read_run(folder: Path) -> Run:
    try:
        return _whole_run(folder)
    except InputError as error:
        return Run(folder, None, note=str(error))


def _whole_run(folder: Path) -> Run:
    config = _read(folder / "config.yaml", yaml.safe_load)
    known = {*CIZSLConfig.model_fields, *Baseline.model_fields}
    if foreign := sorted(set(map(str, config)) - known):
        return Run(folder, None, config, note=f"not a run of cizsl: it sets {', '.join(foreign)}")
    environment = _read(folder / "environment.json", json.loads)
    file = folder / "results.json"
    if not file.exists():
        return Run(folder, None, config, environment, f"unfinished: {_progress(folder, config)}")
    return Run(folder, validate(_read(file, json.loads), Summary, str(file)), config, environment)


def _progress(folder: Path, config: dict) -> str:
    records = RunFolder(folder, Settings()).read_log("metrics")
    total = (config.get("optimiser") or {}).get("iterations", "?")
    if not records:
        return f"no evaluation yet of {total} iterations"
    return f"phase {records[-1].get('phase')}, iteration {records[-1].get('iteration')} of {total}"


def _read(file: Path, parse) -> dict:
    """A file that holds one mapping; empty where there is no file."""
    if not file.exists():
        return {}
    try:
        content = parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{file}: cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{file}: expected a mapping of names to values")
    return content
