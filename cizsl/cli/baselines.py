"""``cizsl baselines``: the classifiers in closed form on the data of configurations."""

import json

from cizsl.config import CIZSLConfig
from cizsl.training.fit_baselines import fit_all
from repro import locate
from repro.device import resolve
from repro.errors import InputError
from repro.run import RunFolder
from repro.run_names import RUNS


def command(options) -> int:
    """``cizsl baselines``: every baseline for every configuration. The exit code."""
    given = [*options.configs, *options.overrides]
    files = [text for text in given if "=" not in text or text.endswith((".yaml", ".yml"))]
    overrides = [text for text in given if text not in files]
    if not files:
        raise InputError("baselines: expected at least one configuration file")
    configs = {file: locate.load(file, "cizsl", CIZSLConfig, overrides) for file in files}
    device = resolve(options.device)
    for file, config in configs.items():
        for folder in fit_all(config, file, overrides, options.out or RUNS, device):
            print(_said(folder))
    return 0


def _said(folder: RunFolder) -> str:
    """One line on a finished baseline."""
    summary = json.loads((folder.path / "results.json").read_text())
    scores = summary["metrics"]["selected"]
    chosen = ", ".join(f"{key.replace('_', ' ')} {v}" for key, v in summary["chosen"].items())
    return (
        f"{folder.path}: {summary['method']} ({chosen}, by validation classes) on "
        f"{summary['dataset']} {summary['split']}{' (toy)' if summary['toy'] else ''}: top-1 "
        f"{100 * scores['top1']:.2f} %, AUSUC {100 * scores['ausuc']:.2f} %, "
        f"H {100 * scores['harmonic']:.2f} % in {summary['seconds']:.1f} s"
    )
