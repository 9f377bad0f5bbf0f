"""Results of a finished run: ``results.json``, the curves and the figures."""

import torch

from cizsl.config import Baseline, CIZSLConfig
from cizsl.data.dataset import ZSLData
from cizsl.training import live_page
from cizsl.training.records import DISCRIMINATOR, EVERY, RETRIEVAL, SCORES, read_log
from repro.files.atomic import write_arrays
from repro.run import RunFolder


def best(records: list[dict], criterion: str) -> dict:
    """Return the first record with the highest ``criterion``."""
    return max(records, key=lambda record: record[criterion])


def best_on_test(records: list[dict], reported: tuple[str, str] = ("top1", "ausuc")) -> dict:
    """Return what the published code reports: the best accuracy and the best AUSUC (GBU: the best
    T1 and the best H), each on its own.

    Accuracies and retrieval belong to the first of the two evaluations, ``ausuc``, ``seen``,
    ``unseen`` and ``harmonic`` to the second; both iterations are named.
    """
    accuracy, area = (best(records, criterion) for criterion in reported)
    return {
        **scores(accuracy, ("top1", "per_class_top1")),
        **scores(area, ("ausuc", "seen", "unseen", "harmonic")),
        **scores(accuracy, RETRIEVAL),
        f"{reported[0]}_iteration": accuracy["iteration"],
        f"{reported[1]}_iteration": area["iteration"],
        "evaluations": len(records),
    }


def scores(record: dict, names: tuple[str, ...] = EVERY) -> dict:
    """Return those of ``names`` that the record holds; some records lack some."""
    return {name: record[name] for name in names if name in record}


def summarise(
    config: CIZSLConfig,
    data: ZSLData,
    records: list[dict],
    iterations: int,
    seconds: float,
    device: torch.device,
    offset: float | None = None,
) -> dict:
    """Return the content of ``results.json``; every metric is a fraction in [0, 1].

    ``metrics.final`` is the last evaluation. The reference protocol adds ``best_on_test``; the
    strict one ``selected``: the one evaluation on the test classes, after a training with the
    number of iterations and the searched values that validation selected. With a semantic
    classifier, ``discriminator`` holds the scores of that classifier at the last evaluation.
    ``offset`` is the one that validation classes chose, for the calibrated accuracies.
    """
    final = scores(records[-1])
    reference = config.evaluation.protocol == "reference"
    best_each = best_on_test(records, config.evaluation.reported) if reference else None
    chosen = {"best_on_test": best_each} if reference else {"selected": final}
    own = {name: records[-1].get(f"{DISCRIMINATOR}_{name}") for name in SCORES + RETRIEVAL}
    if own["top1"] is not None:
        chosen[DISCRIMINATOR] = own
    trained, creativity = config.generator == "gan", config.creativity.model_dump(mode="json")
    model = config.model if trained else getattr(config, config.generator)
    return outline(config, data, device, seconds) | {
        "method": config.method,
        "creativity": creativity if trained and config.method != "GAZSL" else None,
        "seed": config.seed,
        "iterations": iterations,
        "model": model.model_dump(mode="json"),
        **({} if offset is None else {"offset": offset}),
        "metrics": {"final": final, **chosen},
    }


def outline(
    config: CIZSLConfig | Baseline, data: ZSLData, device: torch.device, seconds: float
) -> dict:
    """Return the first entries of every ``results.json``."""
    return {
        "dataset": data.dataset,
        "split": data.split,
        "toy": data.toy,
        "protocol": config.evaluation.protocol,
        "feature_dim": data.feature_dim,
        "unseen_classes": data.num_unseen,
        "seconds": round(seconds, 3),
        "device": device.type,
    }


def write(folder: RunFolder, summary: dict, curves: dict[str, torch.Tensor]) -> None:
    """Write curves, figures, the page, and last ``results.json``, which marks a complete run."""
    from cizsl.training import figures  # matplotlib takes a second to import

    arrays = {name: curve.cpu().numpy() for name, curve in curves.items()}
    write_arrays(folder.path / "curves.npz", arrays, compress=True)
    figures.seen_unseen(folder.path / "seen_unseen.png", arrays, summary)
    if getattr(folder.settings, "generator", "gaussian") != "gaussian":  # which has no training
        draw_training(folder, summary.get("search", {}).get("chosen"))
        records = read_log(folder.path)
        live_page.write(folder, folder.settings, records, None, arrays["final"])
    folder.write("results.json", summary)


def draw_training(folder: RunFolder, candidate: dict | None = None) -> None:
    """Draw ``training.png`` from the records so far; of several trainings, of one ``candidate``."""
    from cizsl.training import figures

    log = read_log(folder.path)
    records = [record for record in log if record.get("candidate", candidate) == candidate]
    figures.training(folder.path / "training.png", records)


def is_of(record: dict, label: dict) -> bool:
    """Return whether a line of ``metrics.jsonl`` is of the training with this label."""
    return {key: record[key] for key in ("stage", "candidate") if key in record} == label
