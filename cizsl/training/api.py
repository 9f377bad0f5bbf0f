"""Training from Python.

import cizsl
result = cizsl.train("toy_cub_easy", {"optimiser.iterations": 50}, out="runs/mine")
result.metrics["final"]["top1"]
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cizsl.config import CIZSLConfig
from cizsl.training import records
from repro import locate
from repro.run import RunFolder
from repro.run_names import default_folder
from repro.signals import StopRequest


@dataclass(frozen=True, repr=False)
class Result:
    """A finished run.

    Attributes:
        folder: the run folder.
        config: the resolved configuration.
        metrics: scores by name, fractions in [0, 1], for "final" (the last evaluation) and for
            "selected" (strict protocol) or "best_on_test" (reference protocol).
        summary: the whole content of ``results.json``.
    """

    folder: Path
    config: CIZSLConfig
    metrics: dict[str, dict[str, float]]
    summary: dict[str, Any]

    def __repr__(self) -> str:
        name = records.CHOSEN[self.config.evaluation.protocol]
        scores = ", ".join(f"{key}={self.metrics[name][key]:.3f}" for key in ("top1", "ausuc"))
        where = f"{self.summary['dataset']} {self.summary['split']}"
        return f"Result({self.summary['method']} on {where}, {name}: {scores}, {self.folder})"


def train(
    config: str | Path,
    settings: Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    device: str | None = None,
) -> Result:
    """Train and evaluate one configuration in a run folder.

    Args:
        config: the name of a shipped configuration, or the path of a YAML file.
        settings: values that replace those of the configuration, by dotted key.
        out: the run folder; by default as for ``cizsl train``, below ``runs``.
        resume: continue the run in the folder; a complete one is read and returned.
        device: "cpu" or "cuda"; by default CUDA where there is a GPU.

    Raises :class:`InputError` for bad settings or data, and for a folder that is in use or holds
    another run.
    """
    from cizsl.training.run import train
    from repro.device import resolve

    overrides = [f"{key}={_yaml(value)}" for key, value in (settings or {}).items()]
    loaded = locate.load(config, "cizsl", CIZSLConfig, overrides)
    place = Path(out) if out else default_folder(str(config), overrides, loaded.seed)
    with RunFolder(place, loaded, resume) as folder, StopRequest() as stop:
        if folder.complete:
            summary = records.read_results(folder.path)
        else:
            summary = train(loaded, folder, resolve(device), stop)
    return Result(place, loaded, summary["metrics"], summary)


def _yaml(value: Any) -> str:
    """Return ``value`` as YAML on one line."""
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=10**6)
    return text.removesuffix("...\n").strip()
