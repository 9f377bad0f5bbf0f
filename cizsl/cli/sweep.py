"""``cizsl sweep``: configurations x seeds x values."""

from collections.abc import Callable
from pathlib import Path

from cizsl.cli import table
from cizsl.sweep.launch import gpus, here
from cizsl.sweep.plan import dry_run, plan, read_variants, run_sweep, seed_list
from repro import config as configuration
from repro.device import resolve
from repro.errors import InputError
from repro.run_names import RUNS


def command(options) -> int:
    """``cizsl sweep``: check everything, then train. The exit code."""
    given = [*options.configs, *options.overrides]
    files = [text for text in given if "=" not in text or text.endswith((".yaml", ".yml"))]
    if not files:
        raise InputError("sweep: expected at least one configuration file")
    if options.resources and not options.cluster:
        raise InputError("--resources: of --cluster, which is not given")
    if not options.cluster:
        resolve(options.device)
    overrides = [text for text in given if text not in files]
    variants = read_variants(options.variants) if options.variants else None
    root = options.out or RUNS
    runs = plan(files, seed_list(options.seeds), overrides, variants, root, options.device)
    if options.dry_run:
        return dry_run(runs)
    code = run_sweep(runs, *_launcher(options, root))
    finished = [run.folder.path for run in runs if run.state == "complete"]
    if options.html and finished:
        print()
        table.show(finished, {"html": options.html})
    return code


def _launcher(options, root: Path) -> tuple[Callable, dict]:
    """What trains the runs, and its own arguments."""
    if not options.cluster:
        return here, {"jobs": options.jobs or max(1, len(gpus(options.device)))}
    from cizsl.sweep.slurm import Resources, on_cluster

    parallel = [f"parallel={options.jobs}"] if options.jobs else []
    file = options.resources
    values = configuration.read(file) if file else {}
    resources = configuration.override(values, Resources, str(file or "--jobs"), parallel)
    return on_cluster, {"cluster": options.cluster, "resources": resources, "root": root}
