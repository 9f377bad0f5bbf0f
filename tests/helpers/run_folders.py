"""Run folders made by hand, for the tests of the table and the page."""

import json
from pathlib import Path

import numpy as np
import yaml

from cizsl.training.records import RETRIEVAL, SCORES

LEARNED = {"divergence": "sharma_mittal", "form": "published", "alpha": "learned"}
LEARNED |= {"beta": "learned", "weight": 0.1}


def write_run(
    folder: Path, top1=0.1, *, config=None, files=None, curve=True, retrieval=None, **changes
) -> Path:
    """A finished run; two of them differ in what is said here only. The other scores are
    ``top1`` plus 0.01, 0.02, ... in the order of SCORES; the final ones are half of them.
    ``retrieval``: mAP at 25, 50 and 100 %, which older runs do not have."""
    folder.mkdir(parents=True)
    summary = {"dataset": "CUB", "split": "easy", "toy": False, "protocol": "reference"}
    summary |= {"method": "CIZSL", "creativity": LEARNED, "seed": 0, "iterations": 3001}
    summary |= {"seconds": 1.5, "device": "cpu", "feature_dim": 3584, "model": {}} | changes
    chosen = "best_on_test" if summary["protocol"] == "reference" else "selected"
    scores = {key: top1 + place / 100 for place, key in enumerate(SCORES)}
    scores |= dict(zip(RETRIEVAL, retrieval or (), strict=False))
    summary["metrics"] = {"final": {key: v / 2 for key, v in scores.items()}, chosen: scores}
    settings = {"seed": summary["seed"], "creativity": summary["creativity"] or {}}
    settings |= {"model": {"hidden_dim": 4086, "text_embed_dim": 1000}} | (config or {})
    environment = {"git_commit": "0123456789abcdef", "data_files": files or {"a.mat": "0" * 64}}
    (folder / "results.json").write_text(json.dumps(summary))
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    (folder / "environment.json").write_text(json.dumps(environment))
    if curve:
        line = np.array([np.linspace(0.9, 0, 9000), np.linspace(0, 0.4, 9000)])
        np.savez(folder / "curves.npz", final=line, best_on_test=line)
    return folder


def write_baseline(folder: Path, top1=0.1, **changes) -> Path:
    """A fitted ridge regression."""
    summary = {"protocol": "strict", "method": "ridge regression", "creativity": None}
    summary |= {"deterministic": True, "chosen": {"penalty": 0.5}, "iterations": 0}
    folder = write_run(folder, top1, **(summary | changes))
    settings = {"baseline": "ridge", "evaluation": {"select_by": "ausuc"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return folder
