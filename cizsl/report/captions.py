"""What a reader must know of the numbers: the words around the tables.

Among them the one comparison that the tables never leave to the reader: whether a classifier in
closed form, fitted in seconds, has the better accuracy than a trained GAN.
"""

from collections.abc import Iterable
from statistics import fmean

from cizsl.report.grouping import Row, Section, group
from cizsl.report.published_numbers import BENCHMARKS, CELLS, FEATURE_DIM
from cizsl.report.runs import Run

KIND_TITLES = {
    "published": "Data of the published size",
    "other": "NOT THE PUBLISHED DATA",
    "own": "DATA OF ONE'S OWN",
    "toy": "TOY DATA",
}
PROTOCOL_NOTES = {
    "reference": "Best on test: the best top-1 and the best AUSUC, each on its own, among all "
    "evaluations on the test classes (per-class top-1 and retrieval are from the first of the two, "
    "seen, unseen and H from the second). So all of these are optimistic.",
    "strict": "Selected: validation classes, carved from the seen ones, decided how long to train "
    "(or a baseline's penalties); then came one training on all seen classes and one look at the "
    "test classes. Seen accuracy is on held-out images.",
}
PUBLISHED_NOTES = {
    "reference": "The published numbers were selected on the test classes too.",
    "strict": "The published numbers are not shown here, because they were selected on the test "
    "classes and measure seen accuracy on training images: they are not comparable.",
}
KIND_NOTES = {
    "published": f"These data have the published size, {FEATURE_DIM} features. That does not prove "
    "them to be the published files, whose checksums are unknown for features and text.",
    "other": "Real classes and labels may stand behind these runs, but not the published visual "
    f"features: another number of them than {FEATURE_DIM} (see the column), or other labels or "
    "class splits, or converted files. No number here can be compared with a published one.",
    "own": "Neither CUB nor NAB: no published number belongs beside these.",
    "toy": "TOY DATA: invented birds. CUB and NAB only name the file layout; no number here says "
    "anything about real birds or compares with a published number.",
}
GBU_PROTOCOL_NOTES = {
    "reference": "Best on test: the best T1 and the best H, each on its own, among all evaluations "
    "on the test classes (u and s are from the second). So all of these are optimistic.",
    "strict": "Selected: validation classes, those of the split file where it has some, decided "
    "how long to train (or a baseline's penalties); then came one training on all seen classes and "
    "one look at the test classes.",
}
GBU_PUBLISHED_NOTES = {
    "reference": "The published numbers were selected on the test classes too.",
    "strict": "The published numbers are not shown here, because they were selected on the test "
    "classes.",
}
GBU_KIND_NOTES = {
    "published": "These data have 2048 features, and no split file that we know to be another. "
    "That does not prove them to be the published files: we know the checksums of three only.",
    "other": "Another number of features than 2048 (see the column), or another split file. No "
    "number here can be compared with a published one.",
    "own": "None of the published datasets: no published number belongs beside these.",
    "toy": "TOY DATA: invented features. A dataset's name tells at most whose attributes they were "
    "made from; no number here says anything about real images or compares with a published one.",
}
ATTRIBUTES = (
    "T1, zero-shot: only unseen classes are answered. u, s, H, generalised: all classes are."
)
FIRST_SCORES = {"top1": "top-1", "per_class_top1": "T1"}
SPREAD = "In %: the mean over seeds, ± the standard deviation where there are several."


def heading(section: Section) -> str:
    """The title of a section: kind of data and protocol."""
    what = ", attributes (GBU)" if section.benchmark == "gbu" else ""
    return f"{KIND_TITLES[section.kind]}: {section.protocol} protocol{what}"


def notes(section: Section) -> list[str]:
    """What a reader must know before reading the section's numbers."""
    if section.benchmark == "gbu":
        return _attribute_notes(section)
    protocol = [PROTOCOL_NOTES[section.protocol]]
    if section.cells == CELLS:
        protocol.append(PUBLISHED_NOTES[section.protocol])
    return [KIND_NOTES[section.kind], " ".join(protocol), SPREAD]


def _attribute_notes(section: Section) -> list[str]:
    protocol = [GBU_PROTOCOL_NOTES[section.protocol]]
    if set(section.cells) <= set(BENCHMARKS["gbu"].cells):
        protocol.append(GBU_PUBLISHED_NOTES[section.protocol])
    return [GBU_KIND_NOTES[section.kind], f"{ATTRIBUTES} {' '.join(protocol)}", SPREAD]


def meaning(runs: list[Run]) -> str:
    """One sentence that says what the numbers are."""
    sections, _ = group(runs)
    kinds, protocols = {s.kind for s in sections}, {s.protocol for s in sections}
    clauses = {
        "toy": "on toy data they show that the code works and say nothing about real data",
        "other": "on data other than the published they compare with no published number",
        "own": "on data of one's own they compare with no published number",
        "published": "on data of the published size the reference protocol compares with the "
        "published numbers",
        "reference": "the reference protocol reports the best on the test classes, so it is "
        "optimistic",
        "strict": "the strict protocol looked at the test classes once",
    }
    said = [text for name, text in clauses.items() if name in kinds | protocols]
    return f"What the numbers are: {'; '.join(said) or 'there are none yet'}."


def findings(letter: str, section: Section) -> list[str]:
    """One sentence for each baseline: which trained GANs it beats on the same data, in the first
    score of the overview."""
    trained = [(f"{letter}{i}", row) for i, row in enumerate(section.rows, 1) if row.is_trained]
    score = BENCHMARKS[section.benchmark].scores[0]
    sentences = []
    for baseline in section.baselines:
        every, some = [], []
        for cell, runs in baseline.cells.items():
            own, rivals = _mean(runs, score), _rivals(cell, runs[0].data_id, trained, score)
            beaten = {name: mean for name, mean in rivals.items() if round(own - mean, 6) > 0}
            if beaten:
                at_most = "at most " if len(beaten) > 1 else ""
                numbers = f"{100 * own:.2f} % against {at_most}{100 * max(beaten.values()):.2f} %"
                where = f"{' '.join(cell)} ({numbers})"
                if len(beaten) == len(rivals):
                    every.append(where)
                else:
                    some.append(f"{_listed(list(beaten))} on {where}")
        clauses = [f"every trained GAN on {_listed(every)}"] if every else []
        whom = "; ".join(clauses + some) or "no trained GAN"
        method = baseline.method[0].upper() + baseline.method[1:]
        sentences.append(f"{method} beats {whom} in {FIRST_SCORES[score]}.")
    if sentences and section.protocol == "reference":
        sentences.append(
            "The GANs' numbers are their best on the test classes, the baselines' not."
        )
    return sentences


def _rivals(
    cell: tuple[str, str], data_id: str, trained: list[tuple[str, Row]], score: str
) -> dict[str, float]:
    """Mean score of the trained rows on the very data of a baseline."""
    found = {name: row.cells.get(cell, ()) for name, row in trained}
    same = {name: runs for name, runs in found.items() if runs and runs[0].data_id == data_id}
    return {name: _mean(runs, score) for name, runs in same.items()}


def _mean(runs: Iterable[Run], score: str) -> float:
    return fmean(getattr(run.scores, score) for run in runs)


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
