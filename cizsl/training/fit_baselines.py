"""Fitting a baseline: a choice on validation classes, a fit on all seen classes, one look.

This is the strict protocol, with penalties in the place of iterations: every point of the grid is
fitted on the validation problem, the one with the best ``evaluation.select_by`` is fitted again on
all seen classes (less the held-out images that measure seen accuracy), and the test classes are
looked at once. It takes seconds and has no random number in it.
"""

import time
from pathlib import Path

import numpy as np
import torch

from cizsl import build
from cizsl.baselines import BASELINES, ESZSL, Ridge
from cizsl.config import Baseline, Choice, CIZSLConfig
from cizsl.evaluate import Evaluation, assess
from cizsl.protocols import ZSLTask
from cizsl.training import results
from repro.device import precision
from repro.environment import environment
from repro.run import RunFolder
from repro.run_names import default_folder

TITLES = {"ridge": "ridge regression", "eszsl": "ESZSL"}
NAMED_BY = ("data.", *(f"evaluation.{key}=" for key in Choice.model_fields if key != "protocol"))


def fit_all(
    config: CIZSLConfig, source: str, overrides: list[str], runs: Path, device: torch.device
) -> list[RunFolder]:
    """Every baseline on the data of ``config``, which is the file ``source`` with ``overrides``,
    each in a run folder of ``runs``; what is complete is left as it is. The folders."""
    shared = [text for text in overrides if text.startswith(NAMED_BY)]
    folders = []
    for name in BASELINES:
        path = default_folder(f"{Path(source).stem}_{name}.yaml", shared, 0, runs).parent
        with RunFolder(path, build.baseline(config, name), resume=True) as folder:
            if not folder.complete:
                fit(folder.settings, folder, device)
        folders.append(folder)
    return folders


def fit(config: Baseline, folder: RunFolder, device: torch.device) -> dict:
    """Choose, fit and look once; returns what ``results.json`` holds."""
    data = build.data(config)
    began = time.monotonic()
    criterion = config.evaluation.select_by
    problem = build.problem(config, data, "selection", device)
    folder.record_environment(environment(device, data.files))
    model = BASELINES[config.baseline](problem)
    tried = [(point, measure(model, point, problem)) for point in model.grid]
    chosen, validation = max(tried, key=lambda look: getattr(look[1], criterion))
    problem = build.problem(config, data, "test", device)
    test = measure(BASELINES[config.baseline](problem), chosen, problem)
    summary = results.outline(config, data, device, time.monotonic() - began) | {
        "method": TITLES[config.baseline],
        "seed": 0,
        "deterministic": True,
        "iterations": 0,
        "chosen": chosen,
        "search": {
            "select_by": criterion,
            "candidates": [{**point, **look.scores()} for point, look in tried],
        },
        "metrics": {"final": test.scores(), "selected": test.scores()},
    }
    looks = {"selection": validation.curve, "final": test.curve}
    curves = {name: torch.from_numpy(np.stack([c.seen, c.unseen])) for name, c in looks.items()}
    results.write(folder, summary, curves)
    return summary


def measure(model: Ridge | ESZSL, point: dict, problem: ZSLTask) -> Evaluation:
    """Every metric of a fitted baseline at one point of its grid."""
    penalties = {key: value for key, value in point.items() if key != "similarity"}
    device = problem.seen_text.device
    with precision("float32", device):
        vectors = model.vectors(**penalties).to(problem.train_features.dtype)
        return assess(vectors, problem, similarity=point.get("similarity", "product"))
