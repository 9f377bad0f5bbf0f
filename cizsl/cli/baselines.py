"""``cizsl baselines``: fit the classifiers in closed form on the data of configurations."""

from cizsl.cli.sweep import configs_and_overrides
from cizsl.config import CIZSLConfig
from cizsl.training.fit_baselines import fit_all
from cizsl.training.records import Summary
from repro import locate
from repro.device import resolve
from repro.files.json_file import read_model
from repro.run import RunFolder
from repro.run_names import RUNS


def command(options) -> int:
    """Run ``cizsl baselines``: every baseline for every configuration; return the exit code."""
    files, overrides = configs_and_overrides(options)
    configs = {file: locate.load(file, "cizsl", CIZSLConfig, overrides) for file in files}
    device = resolve(options.device)
    for file, config in configs.items():
        for folder in fit_all(config, file, overrides, options.out or RUNS, device):
            print(_result(folder))
    return 0


def _result(folder: RunFolder) -> str:
    """Return one line on a finished baseline."""
    summary = read_model(folder.path / "results.json", Summary)
    chosen = ", ".join(f"{key.replace('_', ' ')} {v}" for key, v in (summary.chosen or {}).items())
    toy = " (toy)" if summary.toy else ""
    scores = summary.scores
    calibrated = scores.calibrated_harmonic
    at_offset = "" if calibrated is None else f", H at offset {100 * calibrated:.2f} %"
    return (
        f"{folder.path}: {summary.method} ({chosen}, by validation classes) on {summary.dataset} "
        f"{summary.split}{toy}: top-1 {100 * scores.top1:.2f} %, AUSUC {100 * scores.ausuc:.2f} %, "
        f"H {100 * scores.harmonic:.2f} %{at_offset} in {summary.seconds:.1f} s"
    )
