"""``cizsl sweep``: plan the runs, train what is not complete, print what became of them."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from cizsl.cli import table
from cizsl.data.birds import find_birds
from cizsl.sweep.launch import LocalLauncher, Outcome, gpus
from cizsl.sweep.plan import PlannedRun, plan, read_variants, seed_list
from cizsl.training import toy_data
from repro import config as configuration
from repro.cli.progress import Bar
from repro.errors import InputError
from repro.run_names import RUNS
from repro.signals import Interrupted, StopRequest

SHOWN = 40  # characters behind the progress bar


class Launcher(Protocol):
    """Trains runs and yields their outcomes."""

    def launch(self, runs: list[PlannedRun]) -> Iterable[Outcome]: ...


def command(options) -> int:
    """Run ``cizsl sweep``: check everything, then train; return the exit code."""
    if options.resources and not options.cluster:
        raise InputError("--resources: of --cluster, which is not given")
    if not options.cluster:
        from repro.device import resolve  # torch takes seconds to load: only for this machine

        resolve(options.device)
    root = options.out or RUNS
    runs = _planned(options, root)
    if options.dry_run:
        return _print_states(runs)
    code = _train(runs, root, _launcher(options, root))
    finished = [run.folder.path for run in runs if run.state == "complete"]
    if options.html and finished:
        print()
        table.show(finished, {"html": options.html})
    return code


def configs_and_overrides(options) -> tuple[list[str], list[str]]:
    """Return the configurations and the ``key=value`` overrides of a command that takes several.

    Raises :class:`InputError` where no configuration is among them.
    """
    given = [*options.configs, *options.overrides]
    files = [text for text in given if "=" not in text or text.endswith((".yaml", ".yml"))]
    if not files:
        raise InputError("expected at least one configuration: a YAML file, or a name")
    return files, [text for text in given if text not in files]


def _planned(options, root: Path) -> list[PlannedRun]:
    files, overrides = configs_and_overrides(options)
    variants = read_variants(options.variants) if options.variants else None
    return plan(files, seed_list(options.seeds), overrides, variants, root, options.device)


def _launcher(options, root: Path) -> Callable[[StopRequest, Callable], Launcher]:
    """Return what makes the launcher, given a stop request and a function that shows progress."""
    if not options.cluster:
        jobs = options.jobs or max(1, len(gpus(options.device)))
        return lambda stop, show: LocalLauncher(jobs, stop, show)
    from cizsl.sweep.slurm import ClusterLauncher, Resources

    parallel = [f"parallel={options.jobs}"] if options.jobs else []
    file = options.resources
    values = configuration.read(file) if file else {}
    resources = configuration.override(values, Resources, str(file or "--jobs"), parallel)
    return lambda stop, show: ClusterLauncher(options.cluster, resources, root, stop, show)


def _train(runs: list[PlannedRun], root: Path, launcher: Callable) -> int:
    """Train what is not complete and print the result; return 1 if any run failed, else 0.

    Raises :class:`Interrupted` after Ctrl-C or SIGTERM, with all runs saved.
    """
    todo = [run for run in runs if run.state != "complete"]
    _check_data(todo)
    _make_folder(root)
    done, failed = len(runs) - len(todo), []
    with (
        StopRequest() as stop,
        Bar(name="sweep", total=len(runs), initial=done, unit="run") as bar,
    ):
        running = launcher(stop, lambda progress: bar.show(_shortened(progress, len(failed))))
        for outcome in running.launch(todo) if todo else ():
            if not outcome.failure:
                bar.update()
            elif not outcome.stopped:
                failed.append(outcome)
    _print_outcomes(runs, failed)
    if stop.requested:
        raise Interrupted("every run is saved; the same command continues the sweep")
    _print_folders(runs, root)
    return int(bool(failed))


def _check_data(runs: Iterable[PlannedRun]) -> None:
    """Raise :class:`InputError` unless the published files are there, before any run starts."""
    every = (run.folder.settings.data for run in runs)
    for data in {data.model_dump_json(): data for data in every}.values():
        toy_data.make_if_missing(data)
        if data.layout == "published":
            find_birds(data.root, data.dataset, data.split)


def _make_folder(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{root}: cannot be written: {reason}") from None


def _shortened(progress: dict[str, str], failed: int) -> dict[str, str]:
    """Return what fits behind a bar: how many runs failed and run, and how far the first is."""
    shown = {"failed": str(failed)} if failed else {}
    if progress:
        name, text = next(iter(progress.items()))
        more = f" (+{len(progress) - 1})" if len(progress) > 1 else ""
        length = max(8, SHOWN - len(text) - len(more))
        shown[name[-length:]] = f"{text}{more}"
    return shown


def _print_states(runs: list[PlannedRun]) -> int:
    for run in runs:
        note = f"  {run.progress}" if run.state == "half done" else ""
        print(f"{run.state:<10} {run.folder.path}{note}")
    print(f"{len(runs)} runs: {_count(runs)}")
    return 0


def _print_outcomes(runs: list[PlannedRun], failed: list[Outcome]) -> None:
    print(f"{len(runs)} runs: {_count(runs)}")
    for outcome in failed:
        print(f"failed: {outcome.run.folder.path}: {outcome.failure}")
        print(f"        retry: cizsl {shlex.join(outcome.run.arguments)}")


def _print_folders(runs: list[PlannedRun], root: Path) -> None:
    folders = {run.folder.path.parent for run in runs}
    everything = {path for path in root.iterdir() if path.is_dir() and path.name[0] != "."}
    paths = [root] if folders == everything else sorted(folders)
    print(f"runs are in {root}; their table: cizsl table {shlex.join(map(str, paths))}")


def _count(runs: list[PlannedRun]) -> str:
    states = Counter(run.state for run in runs)
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
