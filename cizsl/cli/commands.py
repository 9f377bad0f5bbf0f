"""What each command of ``cizsl`` does and prints; ``options`` are the parsed arguments.

Imports stand inside the functions, so that ``--help`` does not wait for PyTorch.
"""

from typing import TYPE_CHECKING

from repro import locate
from repro.run_names import default_folder

if TYPE_CHECKING:
    from cizsl.config import CIZSLConfig


def model() -> type["CIZSLConfig"]:
    """Return the configuration model."""
    from cizsl.config import CIZSLConfig

    return CIZSLConfig


def train(options) -> int:
    """Train and evaluate one configuration, and print its scores."""
    from cizsl.training.records import read_results
    from cizsl.training.run import tidy, train
    from repro.device import resolve
    from repro.run import RunFolder
    from repro.signals import StopRequest

    config = locate.load(options.config, "cizsl", model(), options.overrides)
    device = resolve(options.device)
    out = options.out or default_folder(options.config, options.overrides, config.seed)
    run = RunFolder(out, config, options.resume, accept_data=options.accept_data)
    with run as folder, StopRequest() as stop:
        if folder.complete:
            read_results(folder.path)  # refuses a file of other content
            tidy(folder)
            print(f"{folder.path}: complete already")
            return 0
        summary = train(config, folder, device, stop)
    for line in _scores(summary, config):
        print(f"{folder.path}: {line}")
    return 0


def _scores(summary: dict, config: "CIZSLConfig") -> list[str]:
    """The lines on a finished training."""
    from cizsl.report.tables import HEADINGS

    scores = summary["metrics"].get("selected") or summary["metrics"]["best_on_test"]
    names = dict.fromkeys((*config.evaluation.reported, "harmonic"))
    names |= dict.fromkeys(name for name in ("calibrated_harmonic",) if name in scores)
    shown = ", ".join(f"{HEADINGS[name]} {100 * scores[name]:.2f} %" for name in names)
    lines = []
    if "search" in summary:
        search = summary["search"]
        chosen = ", ".join(f"{key} {value}" for key, value in search["chosen"].items())
        count = len(search["candidates"])
        lines.append(f"{chosen}: selected among {count} candidates on validation classes")
    return [
        *lines,
        f"{summary['method']} on {summary['dataset']} {summary['split']}"
        f"{' (toy)' if summary['toy'] else ''}, {summary['protocol']} protocol: "
        f"{shown} in {summary['seconds']:.0f} s",
    ]


def evaluate(options) -> int:
    """Evaluate a finished run again, print its scores, and compare them with the recorded ones.

    Exit code 1 where they differ although the run was on the same kind of device.
    """
    from cizsl.training.evaluate_run import evaluate_again
    from repro.device import resolve

    device = resolve(options.device)
    found = evaluate_again(options.folder, options.split, device, options.data_root)
    print(f"{options.folder}: {found.where}")
    for name, value in found.scores.items():
        print(f"  {name:<15} {100 * value:7.3f} %")
    if not found.differing:
        return 0
    numbers = ", ".join(f"{name} {100 * found.recorded[name]:.3f} %" for name in found.differing)
    print(f"{options.folder}: the run itself recorded other numbers: {numbers}")
    return 0 if found.other_device else 1


def predict(options) -> int:
    """Name the classes of features or images by a finished run."""
    from cizsl.cli.predict import command

    return command(options)


def sweep(options) -> int:
    """Train configurations x seeds x settings."""
    from cizsl.cli.sweep import command

    return command(options)


def baselines(options) -> int:
    """Fit the closed-form baselines."""
    from cizsl.cli.baselines import command

    return command(options)


def table(options) -> int:
    """Print the tables of finished runs."""
    from cizsl.cli.table import command

    return command(options)
