"""Fitting of the baselines: penalties selected on validation classes, one evaluation at the end.

This is the strict protocol, with penalties in the place of iterations: every point of the grid is
fitted on the validation task, the one with the best ``evaluation.select_by`` is fitted again on
all seen classes (without the held-out images that measure seen accuracy) and evaluated once on the
test classes. This takes seconds and involves no random number.
"""

import time
from pathlib import Path

import numpy as np
import torch

from cizsl import build
from cizsl.closed_form.baselines import ESZSL, Ridge
from cizsl.closed_form.gaussian_classifier import Gaussian
from cizsl.closed_form.registry import BASELINES, TITLES
from cizsl.config import Baseline, BaselineEvaluation, CIZSLConfig
from cizsl.evaluate import Evaluation, assess
from cizsl.protocols import ZSLTask
from cizsl.training import results, toy_data
from repro.device import precision
from repro.environment import environment
from repro.run import RunFolder
from repro.run_names import default_folder

# the overrides that name a baseline's folder: those of settings that it has
KEYS = [key for key in BaselineEvaluation.model_fields if key != "protocol"]
NAMED_BY = ("data.", *(f"evaluation.{key}=" for key in KEYS))


def fit_all(
    config: CIZSLConfig, source: str, overrides: list[str], runs: Path, device: torch.device
) -> list[RunFolder]:
    """Fit every baseline on the data of a configuration; return their run folders.

    Args:
        config: the file ``source`` with ``overrides``.
        source, overrides: name the run folders.
        runs: the folder of the run folders; complete ones are left as they are.
        device: where to fit.
    """
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
    """Select, fit and evaluate once; return the content of ``results.json``."""
    toy_data.make_if_missing(config.data)
    data = build.data(config)
    began = time.monotonic()
    criterion = config.evaluation.select_by
    task = build.task(config, data, "validation", device)
    folder.record_environment(environment(device, data.files))
    model = BASELINES[config.baseline](task)
    tried = [(point, measure(model, point, task)) for point in model.grid]
    chosen, validation = max(tried, key=lambda one: getattr(one[1], criterion))
    task = build.task(config, data, "test", device)
    test = measure(BASELINES[config.baseline](task), chosen, task)
    summary = results.outline(config, data, device, time.monotonic() - began) | {
        "method": TITLES[config.baseline],
        "seed": 0,
        "deterministic": True,
        "iterations": 0,
        "chosen": chosen,
        "search": {
            "select_by": criterion,
            "candidates": [{**point, **found.scores()} for point, found in tried],
        },
        "metrics": {"final": test.scores(), "selected": test.scores()},
    }
    drawn = {"validation": validation.curve, "final": test.curve}
    curves = {name: torch.from_numpy(np.stack([c.seen, c.unseen])) for name, c in drawn.items()}
    results.write(folder, summary, curves)
    return summary


def measure(model: Ridge | ESZSL | Gaussian, point: dict, task: ZSLTask) -> Evaluation:
    """Return every metric of a baseline at one point of its grid."""
    with precision("float32", task.seen_text.device):
        fitted, num_seen = model.fit(**point), len(task.seen_text)
        predicted = None
        if fitted.score is not None:
            predicted = fitted.score(task.unseen_features)[:, num_seen:].argmax(1)
        return assess(
            fitted.vectors.to(task.train_features.dtype),
            task,
            similarity=fitted.similarity,
            score=fitted.score,
            predicted_N=predicted,
        )
