"""What the tables show, in sentences: the best row of each cell, and whom the baselines beat.

The comparison with the baselines is never left to the reader: a classifier in closed form is fitted
in seconds, so a GAN that it beats has gained nothing.
"""

from collections.abc import Iterable
from statistics import fmean

from cizsl.report import compare_text
from cizsl.report.compare import Comparison
from cizsl.report.grouping import Cell, Row, Section
from cizsl.report.labels import method
from cizsl.report.published_numbers import BENCHMARKS
from cizsl.report.runs import KINDS, Run
from cizsl.report.tables import chance, statistics

FIRST_SCORES = {"top1": "top-1", "per_class_top1": "T1"}
OF_KINDS = {
    "toy": "On toy data, which are invented",
    "other": "On other data than the published",
    "compact": "On CUB, compact features",
}
MEANINGS = {
    "toy": "on toy data they show that the code works and say nothing about real data",
    "other": "on data other than the published they compare with no published number",
    "own": "on data of your own they compare with no published number",
    "published": "on data of the published size the reference protocol compares with the published "
    "numbers",
    "reference": "the reference protocol reports the best on the test classes, so it is optimistic",
    "strict": "the strict protocol evaluated on the test classes once",
}


def lead(sections: list[Section], comparison: Comparison | None = None) -> str:
    """Return what was found: the result of a comparison, else the best method of every cell.

    Of several sections it is the one whose data are nearest to the published, and of those the one
    of the strict protocol.
    """
    if comparison:
        return compare_text.lead(comparison)
    if not sections:
        return "No finished runs."
    section = min(sections, key=_prominence)
    best = "; ".join(_best(section, cell) for cell in section.cells)
    where = OF_KINDS.get(section.kind)
    score = FIRST_SCORES[section.benchmark.scores[0]]
    begin = f"{where}, the highest" if where else "The highest"
    return f"{begin} {score} ({section.protocol} protocol): {best}."


def meaning(sections: list[Section]) -> str:
    """Return one sentence that says what the numbers can and cannot show."""
    present = {s.kind for s in sections} | {s.protocol for s in sections}
    said = [text for name, text in MEANINGS.items() if name in present]
    return f"What the numbers are: {'; '.join(said) or 'there are none yet'}."


def beaten_by_baselines(section: Section) -> list[str]:
    """Return one sentence for each baseline: which generators it beats on the same data, in the
    first score of the overview."""
    said = [_beaten_by(baseline, section) for baseline in section.baselines]
    if said and section.protocol == "reference":
        said.append(
            "The numbers of the GANs are their best on the test classes; those of the baselines "
            "are not."
        )
    return said


def _prominence(section: Section) -> tuple:
    benchmarks = list(BENCHMARKS)
    return (
        KINDS.index(section.kind),
        benchmarks.index(section.benchmark_name),
        section.protocol != "strict",
    )


def _best(section: Section, cell: Cell) -> str:
    """Return the row with the best first score of a cell, with its score and the chance level."""
    score = section.benchmark.scores[0]
    rows = [(name, row) for name, row in section.named_rows if cell in row.cells]
    name, row = max(rows, key=lambda named: _mean(named[1].cells[cell], score))
    value = statistics([getattr(run.scores, score) for run in row.cells[cell]])
    blind = chance(section, cell)
    beside = f" (chance {blind} %)" if blind else ""
    return f"{' '.join(cell)} {value} % by {method(row)} ({name}){beside}"


def _beaten_by(baseline: Row, section: Section) -> str:
    every, some = [], []
    score = section.benchmark.scores[0]
    for cell, runs in baseline.cells.items():
        own, rivals = _mean(runs, score), _rivals(section, cell, runs[0].data_id, score)
        beaten = {name: mean for name, mean in rivals.items() if round(own - mean, 6) > 0}
        if not beaten:
            continue
        where = f"{' '.join(cell)} ({_against(own, beaten)})"
        if len(beaten) == len(rivals):
            every.append(where)
        else:
            some.append(f"{_listed(list(beaten))} on {where}")
    clauses = [f"every generator on {_listed(every)}"] if every else []
    whom = "; ".join(clauses + some) or "no generator"
    name = method(baseline)
    return f"{name[0].upper()}{name[1:]} beats {whom} in {FIRST_SCORES[score]}."


def _against(own: float, beaten: dict[str, float]) -> str:
    at_most = "at most " if len(beaten) > 1 else ""
    return f"{100 * own:.2f} % against {at_most}{100 * max(beaten.values()):.2f} %"


def _rivals(section: Section, cell: Cell, data_id: str, score: str) -> dict[str, float]:
    """Return the mean score of each trained row on the very data of a baseline."""
    found = {name: row.cells.get(cell, ()) for name, row in section.named_rows if row.is_trained}
    same = {name: runs for name, runs in found.items() if runs and runs[0].data_id == data_id}
    return {name: _mean(runs, score) for name, runs in same.items()}


def _mean(runs: Iterable[Run], score: str) -> float:
    return fmean(getattr(run.scores, score) for run in runs)


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
