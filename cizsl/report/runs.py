"""Finding run folders and reading them; what two runs must share to be averaged."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cizsl.config import Baseline, CIZSLConfig
from cizsl.data.birds_layout import LAYOUTS
from cizsl.data.gbu import SPLITS
from cizsl.data.gbu_validate import SHA256 as GBU_SHA256
from cizsl.data.verify import SHA256
from cizsl.report.published_numbers import BENCHMARKS, Benchmark
from cizsl.training.records import Environment, Scores, Summary, latest_record
from repro import config as configuration
from repro.errors import InputError
from repro.files.json_file import read_model

# "published": as far as their size and the known checksums tell
KINDS = ("published", "compact", "other", "own", "toy")
# settings that do not change what is measured, or that name the cell or the seed
IGNORED = {"seed", "compute.compile", "compute.checkpoint_seconds"}
# sections that a method does not use, by their first letters; GAZSL hallucinates nothing
UNUSED: dict[str, tuple[str, ...]] = {"GAZSL": ("creativity.", "walk."), "GRaWD": ()}
IGNORED |= {"data.root", "data.layout", "data.dataset", "data.split"}


@dataclass(frozen=True)
class Run:
    """A run folder. ``results`` is None where the run has no results; ``note`` then says why."""

    folder: Path
    results: Summary | None
    config: CIZSLConfig | Baseline | None = None
    environment: Environment = field(default_factory=Environment)
    note: str = ""

    @property
    def summary(self) -> Summary:
        """The results of a finished run; to be read only where there are any."""
        assert self.results is not None
        return self.results

    @property
    def cell(self) -> tuple[str, str]:
        """Dataset and split."""
        return self.summary.dataset, self.summary.split

    @property
    def scores(self) -> Scores:
        """The scores that the protocol of the run reports."""
        return self.summary.scores

    @property
    def data_files(self) -> dict[str, str]:
        """SHA-256 of each data file, by file name."""
        return self.environment.data_files

    @property
    def data_id(self) -> str:
        """12 digits that stand for the checksums of all data files; empty if none are recorded."""
        lines = "\n".join(f"{name} {digest}" for name, digest in sorted(self.data_files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()[:12] if lines else ""

    @property
    def layout(self) -> str:
        """The setting `data.layout`."""
        return self.config.data.layout if self.config else "published"

    @property
    def benchmark_name(self) -> str:
        """A key of :data:`BENCHMARKS`."""
        return "gbu" if self.layout == "gbu" else "text"

    @property
    def benchmark(self) -> Benchmark:
        """The scores and published numbers of this kind of problem."""
        return BENCHMARKS[self.benchmark_name]

    @property
    def kind(self) -> str:
        """One of :data:`KINDS`."""
        if self.summary.toy:
            return "toy"
        if self.layout == "compact" and self.summary.dataset.startswith("CUB-compact"):
            return "compact"
        if self.cell not in self.benchmark.cells:
            return "own"
        if self.layout not in ("published", "gbu"):  # without checksums of published files
            return "other"
        known = self._known_checksums()
        differs = any(known.get(name) not in (None, d) for name, d in self.data_files.items())
        right_size = self.summary.feature_dim == self.benchmark.feature_dim
        return "published" if right_size and not differs else "other"

    @property
    def unseen_classes(self) -> int | None:
        """The number of unseen classes; None for a run that does not say."""
        if self.summary.unseen_classes is None and self.kind == "published":
            return self.benchmark.unseen_classes[self.benchmark.cells.index(self.cell)]
        return self.summary.unseen_classes

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings that runs must share to be averaged, by dotted key.

        A setting that is newer than the run has its default.
        """
        values = configuration.leaves(self.config.model_dump(mode="json")) if self.config else {}
        kept = {key: value for key, value in values.items() if key not in IGNORED}
        if not kept.get("search", True):
            del kept["search"]
        if (weights := kept.pop("search.creativity.weight", None)) is not None:
            kept["creativity.weight"] = weights  # of which each run selected one
        unused = self._unused_sections()
        kept = {k: v for k, v in kept.items() if not k.startswith(unused)}
        return {"method": self.summary.method, "feature_dim": self.summary.feature_dim, **kept}

    def _unused_sections(self) -> tuple[str, ...]:
        """Beginnings of the keys that have no effect on a run of this method."""
        generator = getattr(self.config, "generator", "gan")
        if generator != "gan":
            gan = ("model.", "loss.", "creativity.", "head.", "walk.")
            return gan if generator == "score" else (*gan, "optimiser.", "score.")
        return ("gaussian.", "score.", *UNUSED.get(self.summary.method, ("walk.",)))

    def _known_checksums(self) -> dict[str, str | None]:
        """Known checksums by file name: none of the features, of the birds none of the text."""
        dataset, split = self.cell
        if self.benchmark_name == "gbu":
            return {SPLITS: GBU_SHA256.get(dataset)}
        roles = LAYOUTS[dataset][split].items()
        return {name: SHA256.get(f"{dataset} {split} {role}") for role, name in roles}


def collect(paths: Iterable[Path]) -> list[Run]:
    """Return the runs at ``paths``, each a run folder or a folder that is searched for them.

    Runs without results, with damaged files and of other programs are in the list too, with a note.
    Raises :class:`InputError` for a path without any run.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        folders = list(_run_folders(path))
        if not folders:
            what = "no run folder in here" if exists(path) else "no such folder"
            raise InputError(f"{path}: {what} (a run folder holds config.yaml, results.json)")
        for folder in folders:
            found.setdefault(folder.resolve(), folder)
    return [_read_run(folder) for folder in sorted(found.values())]


def exists(path: Path) -> bool:
    """Return whether there is such a file or folder; names that no file system takes are absent."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _run_folders(path: Path) -> Iterator[Path]:
    """Yield the run folders below ``path``, also inside one another and behind links, each once."""
    if not exists(path):
        return
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
    file = folder / "config.yaml"
    config = _read_config(file) if file.exists() else None
    file = folder / "results.json"
    if not file.exists():
        return Run(folder, None, config, note=f"unfinished: {_progress(folder, config)}")
    summary, file = read_model(file, Summary), folder / "environment.json"
    environment = read_model(file, Environment) if file.exists() else Environment()
    return Run(folder, summary, config, environment)


def _read_config(file: Path) -> CIZSLConfig | Baseline:
    content = configuration.read(file)
    if foreign := sorted(content.keys() - {*CIZSLConfig.model_fields, *Baseline.model_fields}):
        raise InputError(f"not a run of cizsl: it sets {', '.join(foreign)}")
    return configuration.validate(
        content, Baseline if "baseline" in content else CIZSLConfig, str(file)
    )


def _progress(folder: Path, config: CIZSLConfig | Baseline | None) -> str:
    total = config.optimiser.iterations if isinstance(config, CIZSLConfig) else "?"
    if (record := latest_record(folder)) is None:
        return f"no evaluation yet of {total} iterations"
    return f"stage {record.stage}, iteration {record.iteration} of {total}"
