"""The page of a run, `page.html` in its folder, written anew while the run trains.

It shows how far the run is, the time left, the scores so far and the loss terms; a browser loads it
again every 30 seconds until the run is complete.
"""

from dataclasses import dataclass

import numpy as np

from cizsl.config import CIZSLConfig
from cizsl.training.records import CALIBRATED, DISCRIMINATOR, EVERY, SCORES
from repro import config as configuration
from repro.pages.charts import Chart, line_chart
from repro.pages.html import render
from repro.pages.tables import Column, Line, Table
from repro.run import RunFolder

STAGES = {"validation": "validation classes", "test": "test classes"}
NAMES = {"top1": "top-1", "per_class_top1": "per-class top-1", "ausuc": "AUSUC", "harmonic": "H"}
NOT_TERMS = {"iteration", "stage", "candidate", "offset", *EVERY}
CAPTIONS = NAMES | {
    "calibrated_seen": "seen, at the offset chosen on validation classes",
    "calibrated_unseen": "unseen, at this offset",
    "calibrated_harmonic": "H, at this offset",
}


@dataclass(frozen=True)
class Moment:
    """How far a run is: ``iteration`` of ``iterations`` in ``stage``, after ``seconds`` in it."""

    stage: str
    iteration: int
    iterations: int
    seconds: float

    @property
    def seconds_left(self) -> float:
        """The rest of the stage, at the mean speed so far."""
        return self.seconds / max(1, self.iteration) * (self.iterations - self.iteration)


def write(
    folder: RunFolder,
    config: CIZSLConfig,
    records: list[dict],
    moment: Moment | None,
    curve: np.ndarray | None = None,
) -> None:
    """Write `page.html`.

    Args:
        folder: the run folder.
        config: of the run.
        records: the evaluations so far, as `metrics.jsonl` has them.
        moment: how far the run is; None where it is complete.
        curve: seen and unseen accuracy (2, P) of the last evaluation, fractions.
    """
    chosen = {stage: [r for r in records if r.get("stage") == stage] for stage in STAGES}
    content = render(
        "cizsl.training",
        "live.html",
        title=f"{'/'.join(folder.path.parts[-2:])}: {config.method}",
        running=moment is not None,
        lead=_lead(records, moment),
        about=f"{config.data.dataset} {config.data.split}, {config.evaluation.protocol} protocol, "
        f"seed {config.seed}.",
        stages=[_stage(stage, found) for stage, found in chosen.items() if found],
        curve=None if curve is None else _curve_chart(curve),
        settings=_settings(config),
    )
    folder.write("page.html", content)


def _lead(records: list[dict], moment: Moment | None) -> str:
    scores = "No evaluation yet."
    if records:
        last = records[-1]
        said = ", ".join(f"{NAMES[name]} {100 * last[name]:.2f} %" for name in NAMES)
        scores = f"Last evaluation, on {STAGES.get(last['stage'], last['stage'])}: {said}."
    if moment is None:
        return f"Complete. {scores}"
    return (
        f"Training: iteration {moment.iteration} of {moment.iterations} of the stage "
        f"{moment.stage}, {_duration(moment.seconds)} so far, about "
        f"{_duration(moment.seconds_left)} left in it. {scores}"
    )


def _stage(stage: str, records: list[dict]) -> dict:
    last = records[-1].get("candidate")
    shown = [record for record in records if record.get("candidate") == last]
    of = ", ".join(f"{key} {value}" for key, value in (last or {}).items())
    title = f"Stage {stage}: scores on {STAGES[stage]}"
    return {
        "title": f"{title}, with {of}" if of else title,
        "scores": _scores(shown),
        "charts": [drawn for drawn in (_score_chart(shown), *_term_charts(shown)) if drawn],
    }


def _scores(records: list[dict]) -> Table:
    """Return the last and the best value of every score."""
    lines = []
    for name in (*SCORES, *(name for name in CALIBRATED if name in records[-1])):
        best = max(records, key=lambda record, name=name: record.get(name, 0.0))
        values = f"{100 * records[-1][name]:.2f}", f"{100 * best[name]:.2f}"
        lines.append(Line("run", (CAPTIONS.get(name, name), *values, str(best["iteration"]))))
    numbers = ("last, %", "best, %", "best at iteration")
    return Table(
        "Scores", (Column("score"), *(Column(n, kind="number") for n in numbers)), tuple(lines)
    )


def _score_chart(records: list[dict]) -> Chart | None:
    at = [record["iteration"] for record in records]
    series = {NAMES.get(s, s): (at, [100 * record[s] for record in records]) for s in SCORES}
    return line_chart("Scores", "iteration", "accuracy, %", series)


def _term_charts(records: list[dict]) -> list[Chart | None]:
    """Return one chart for each loss term."""
    at = [record["iteration"] for record in records]
    names = [
        name
        for name, value in records[-1].items()
        if name not in NOT_TERMS
        and isinstance(value, int | float)
        and not name.startswith(DISCRIMINATOR)
    ]
    return [
        line_chart(
            name.replace("_", " "),
            "iteration",
            "loss term",
            {name.replace("_", " "): (at, [record.get(name, float("nan")) for record in records])},
        )
        for name in names
    ]


def _curve_chart(curve: np.ndarray) -> Chart | None:
    seen, unseen = 100 * np.asarray(curve, float)
    return line_chart(
        "Seen-unseen curve of the last evaluation",
        "accuracy on unseen classes, %",
        "accuracy on seen classes, %",
        {"seen accuracy at its end": (unseen.tolist(), seen.tolist())},
    )


def _settings(config: CIZSLConfig) -> Table:
    values = configuration.leaves(config.model_dump(mode="json"))
    lines = (Line("run", (key, str(value))) for key, value in values.items())
    return Table("Settings", (Column("setting"), Column("value", kind="wide")), tuple(lines))


def _duration(seconds: float) -> str:
    """Return seconds below two minutes, else minutes, else hours and minutes."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
