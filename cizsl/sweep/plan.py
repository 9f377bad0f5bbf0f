"""Sweeps: every configuration with every seed, variant and combination of values.

    cizsl sweep CONFIG... --seeds 0-4 creativity.weight=0.01,0.1 creativity.mixing=[0,1],[0.2,0.8]

Every run has the folder, and the result, that ``cizsl train CONFIG creativity.weight=0.01 ...
seed=0`` gives it. What is complete is skipped and what is half done resumed, so the same command
goes on with a sweep, whatever ended it. Seeds are the outermost loop: every setting has been seen
once before any is seen twice.
"""

import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
from pathlib import Path

import yaml
from tqdm import tqdm

from cizsl.config import CIZSLConfig
from cizsl.data.birds import find_birds
from cizsl.sweep.launch import Planned, here
from repro import config as configuration
from repro import locate
from repro.errors import InputError
from repro.run import RunFolder
from repro.run_names import RUNS, default_folder
from repro.signals import Interrupted, StopRequest


def plan(
    files: Iterable[str],
    seeds: Iterable[int],
    overrides: Iterable[str] = (),
    variants: dict[str, list[str]] | None = None,
    root: Path = RUNS,
    device: str | None = None,
) -> list[Planned]:
    """Every run of a sweep, validated.

    Args: ``overrides``, each ``key=value`` or ``key=value,value``; ``variants``, of
    :func:`read_variants`; ``root``, the folder of all run folders.
    Raises :class:`InputError` for a bad value of any run, for two runs with one folder, and for a
    folder that holds a run with other settings.
    """
    choices = [alternatives(text) for text in overrides]
    runs: dict[Path, Planned] = {}
    for seed, file, variant in product(seeds, files, variants or {"": []}):
        for values in product(*choices):
            changes = [*(variants or {}).get(variant, []), *values, f"seed={seed}"]
            named = [variant, *values] if variant else values
            path = default_folder(file, list(named), seed, root)
            settings = locate.load(file, "cizsl", CIZSLConfig, changes)
            run = Planned(file, tuple(changes), RunFolder(path, settings, resume=True), device)
            if path in runs:
                raise InputError(f"{path}: two runs of this sweep would share this folder")
            if run.state != "new":
                run.folder.compare()
            runs[path] = run
    return list(runs.values())


def alternatives(text: str) -> list[str]:
    """``key=a,b`` as ``key=a`` and ``key=b``; what stands in brackets or quotes is one value."""
    key, separator, values = text.partition("=")
    if not separator or key.split(".")[0] == "seed":
        expected = "key=value or key=value,value" if not separator else "seeds with --seeds"
        raise InputError(f"'{text}': expected {expected}")
    whole = f"[{values}]"
    try:
        found = yaml.compose(whole, Loader=yaml.SafeLoader).value
    except (yaml.YAMLError, RecursionError):
        found = []
    if not found or values.rstrip().endswith(","):
        raise InputError(f"'{text}': expected one value, or several with commas between them")
    return [f"{key}={whole[node.start_mark.index : node.end_mark.index]}" for node in found]


def seed_list(text: str) -> list[int]:
    """``0-2,7`` as [0, 1, 2, 7]."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or not (last.isdecimal() if dash else True):
            raise InputError(f"--seeds {text}: expected numbers and ranges, such as 0-4 or 0,1,7")
        seeds += range(int(first), int(last or first) + 1)
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"--seeds {text}: expected each seed once, ranges from low to high")
    return seeds


def read_variants(path: Path) -> dict[str, list[str]]:
    """Variants by name: for each, the ``key=value`` overrides it stands for, its name included.

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


def _as_yaml(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("...\n").strip()


def run_sweep(runs: list[Planned], launch: Callable, how: dict) -> int:
    """Train what is not complete through ``launch(runs, stop, show, **how)`` and report. The exit
    code: 1 if any failed.

    Raises :class:`Interrupted` after Ctrl-C or SIGTERM, with all runs saved.
    """
    todo = [run for run in runs if run.state != "complete"]
    root, failed = runs[0].folder.path.parents[1], []
    where = {run.folder.settings.data for run in todo} if launch is here else set()
    for data in where:
        if data.layout == "published":
            find_birds(data.root, data.dataset, data.split)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{root}: cannot be written: {error.strerror}") from None
    with StopRequest() as stop, _bar(len(runs), len(runs) - len(todo)) as bar:
        for outcome in launch(todo, stop, partial(_show, bar), **how) if todo else ():
            if not outcome.failure:
                bar.update()
            elif not outcome.stopped:
                failed.append(outcome)
                bar.set_description(f"sweep, {len(failed)} failed")
    print(f"{len(runs)} runs: {_count(runs)}")
    for outcome in failed:
        print(f"failed: {outcome.run.folder.path}: {outcome.failure}")
        print(f"        retry: cizsl {shlex.join(outcome.run.arguments)}")
    if stop.requested:
        raise Interrupted("every run is saved; the same command goes on")
    folders = {run.folder.path.parent for run in runs}
    everything = {path for path in root.iterdir() if path.is_dir() and path.name[0] != "."}
    paths = [root] if folders == everything else sorted(folders)
    print(f"runs are in {root}; their table: cizsl table {shlex.join(map(str, paths))}")
    return int(bool(failed))


def dry_run(runs: list[Planned]) -> int:
    """Print the runs and their states; nothing is run. The exit code."""
    for run in runs:
        note = f"  {run.progress}" if run.state == "half done" else ""
        print(f"{run.state:<10} {run.folder.path}{note}")
    print(f"{len(runs)} runs: {_count(runs)}")
    return 0


def _count(runs: list[Planned]) -> str:
    states = Counter(run.state for run in runs)
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))


def _bar(total: int, done: int) -> tqdm:
    slow = 0.1 if sys.stderr.isatty() else 30
    return tqdm(
        desc="sweep", total=total, initial=done, unit="run", mininterval=slow, dynamic_ncols=True
    )


def _show(bar: tqdm, text: str) -> None:
    bar.set_postfix_str(text, refresh=sys.stderr.isatty())
