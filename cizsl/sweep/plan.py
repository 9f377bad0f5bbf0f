"""Plans a sweep: every configuration with every seed, variant and combination of values.

    cizsl sweep CONFIG... --seeds 0-4 creativity.weight=0.01,0.1 creativity.mixing=[0,1],[0.2,0.8]

Every run has the folder, and the result, that ``cizsl train CONFIG creativity.weight=0.01 ...
seed=0`` gives it. Seeds are the outermost loop: every setting runs once before any runs twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path

import yaml

from cizsl.config import CIZSLConfig
from cizsl.training.records import latest_record
from repro import config as configuration
from repro import locate
from repro.errors import InputError
from repro.run import RunFolder
from repro.run_names import RUNS, default_folder
from repro.wording import shown

MOST_RUNS = 10_000
DIGITS = 18  # of a seed, which is below 2^63


@dataclass(frozen=True)
class PlannedRun:
    """One run: ``cizsl train <file> <overrides>`` in ``folder``, which knows the settings.

    ``file`` is the path of a configuration, or the name of a shipped one.
    """

    file: str
    overrides: tuple[str, ...]
    folder: RunFolder[CIZSLConfig]
    device: str | None = None

    @property
    def name(self) -> str:
        """The last two parts of the folder's path: configuration and seed."""
        return "/".join(self.folder.path.parts[-2:])

    @property
    def arguments(self) -> list[str]:
        """The arguments of ``cizsl`` that start the run or continue it."""
        where = ["--out", str(self.folder.path), "--resume"]
        device = ["--device", self.device] if self.device else []
        return ["train", self.file, *self.overrides, *where, *device]

    @property
    def state(self) -> str:
        """``complete``, ``half done`` or ``new``."""
        if self.folder.complete:
            return "complete"
        return "half done" if self.folder.started else "new"

    @property
    def progress(self) -> str:
        """How far the run is, by its last evaluation."""
        if (last := latest_record(self.folder.path)) is None:
            return "begins"
        values = "".join(f" {value}" for value in (last.candidate or {}).values())
        return (
            f"{last.stage}{values} {last.iteration + 1}/{self.folder.settings.optimiser.iterations}"
        )


def plan(
    files: Iterable[str],
    seeds: Iterable[int],
    overrides: Iterable[str] = (),
    variants: dict[str, list[str]] | None = None,
    root: Path = RUNS,
    device: str | None = None,
) -> list[PlannedRun]:
    """Return every run of a sweep, validated.

    Args:
        files: paths of configurations, or names of shipped ones.
        seeds: of every setting.
        overrides: each ``key=value`` or ``key=value,value``.
        variants: sets of overrides by name, see :func:`read_variants`.
        root: the folder of all run folders.
        device: passed on to every run.

    Raises :class:`InputError` for more than 10,000 runs, for a bad value of any run, for two runs
    with one folder, and for a folder that holds a run with other settings.
    """
    files, seeds, variants = list(files), list(seeds), variants or {"": []}
    choices = [alternatives(text) for text in overrides]
    _check_number(len(files) * len(seeds) * len(variants) * prod(map(len, choices)))
    runs: dict[Path, PlannedRun] = {}
    for seed, file, variant in product(seeds, files, variants):
        for values in product(*choices):
            named = [variant, *values] if variant else list(values)
            path = default_folder(file, named, seed, root)
            if path in runs:
                raise InputError(f"{path}: two runs of this sweep would share this folder")
            changes = (*variants[variant], *values, f"seed={seed}")
            runs[path] = _planned(file, changes, path, device)
    return list(runs.values())


def alternatives(text: str) -> list[str]:
    """Return ``key=a,b`` as ``key=a`` and ``key=b``; brackets or quotes enclose one value."""
    key, separator, values = text.partition("=")
    if not separator or key.split(".")[0] == "seed":
        expected = "key=value or key=value,value" if not separator else "seeds with --seeds"
        raise InputError(f"{shown(text)}: expected {expected}")
    whole = f"[{values}]"
    try:
        found = yaml.compose(whole, Loader=yaml.SafeLoader).value
    except (yaml.YAMLError, RecursionError):
        found = []
    if not found or values.rstrip().endswith(","):
        raise InputError(f"{shown(text)}: expected one value, or several with commas between them")
    _check_number(len(found))
    return [f"{key}={whole[node.start_mark.index : node.end_mark.index]}" for node in found]


def seed_list(text: str) -> list[int]:
    """Return ``0-2,7`` as [0, 1, 2, 7].

    Raises :class:`InputError` for anything else, for a seed that is there twice, and for more than
    10,000 seeds.
    """
    ranges = [_seed_range(text, part) for part in text.split(",")]
    if (count := sum(last - first + 1 for first, last in ranges)) > MOST_RUNS:
        raise InputError(f"--seeds {shown(text)}: expected at most {MOST_RUNS} seeds, got {count}")
    seeds = [seed for first, last in ranges for seed in range(first, last + 1)]
    if len(set(seeds)) < len(seeds):
        raise InputError(f"--seeds {shown(text)}: expected each seed once")
    return seeds


def read_variants(path: Path) -> dict[str, list[str]]:
    """Return variants by name: for each, its ``key=value`` overrides, with its name among them.

    The file has one line for each, as a configuration would say it: ``name: {section: {key: 1}}``.
    """
    variants = {}
    for name, values in configuration.read(path).items():
        if not isinstance(values, dict):
            raise InputError(f"{path}: {name}: expected settings, such as {{creativity: ...}}")
        changes = {"name": name, **configuration.leaves(values)}
        variants[name] = [f"{key}={_as_yaml(value)}" for key, value in changes.items()]
    if not variants:
        raise InputError(f"{path}: holds no variants")
    return variants


def _planned(file: str, changes: tuple[str, ...], path: Path, device: str | None) -> PlannedRun:
    """Return a run whose settings are valid and, where its folder holds a run, the same there."""
    settings = locate.load(file, "cizsl", CIZSLConfig, list(changes))
    run = PlannedRun(file, changes, RunFolder(path, settings, resume=True), device)
    if run.state != "new":
        run.folder.compare()
    return run


def _seed_range(text: str, part: str) -> tuple[int, int]:
    first, dash, last = part.partition("-")
    numbers = (first, last) if dash else (first, first)
    if not all(number.isdecimal() and len(number) <= DIGITS for number in numbers):
        raise InputError(
            f"--seeds {shown(text)}: expected numbers and ranges, such as 0-4 or 0,1,7"
        )
    low, high = map(int, numbers)
    if high < low:
        raise InputError(f"--seeds {shown(text)}: expected ranges from low to high")
    return low, high


def _check_number(runs: int) -> None:
    if runs > MOST_RUNS:
        raise InputError(f"the sweep would have {runs} runs or more, expected at most {MOST_RUNS}")


def _as_yaml(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("...\n").strip()
