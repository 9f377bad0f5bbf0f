"""Tables of evaluated runs: likelihood, FID, distances.

Numbers are comparable only under one protocol: the same data to the byte, the same part of it, as
many samples, the same extractor. Each protocol has a table of its own, whose title states it.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from repro.errors import InputError
from repro.files.atomic import write_atomically
from repro.pages import html, tables
from repro.pages.tables import Column, Line, Table
from sde.config.run import Sampling
from sde.evaluation.results import (
    DISTANCES,
    EvaluatedRun,
    Evaluation,
    StoredClasses,
    evaluated,
    read_json,
)

RUN = (Column("run"), Column("process"), Column("network"))
KEYS = {"evaluation", "process", "network"}  # of the results.json of an evaluated run of sde


class Numbers(NamedTuple):
    """Numbers of one run under one protocol."""

    protocol: str
    columns: tuple[Column, ...]
    cells: tuple[str, ...]


def find(paths: list[Path]) -> dict[Path, EvaluatedRun]:
    """Return every evaluated run in these folders, by its folder.

    Raises InputError where a path holds none, and for results that are not as ``sde evaluate``
    writes them.
    """
    found = {}
    for path in paths:
        if not path.is_dir():
            raise InputError(f"{path}: no such folder; expected a run of sde, or a folder of runs")
        own = path / "results.json"
        files = [own] if own.exists() else sorted(path.rglob("results.json"))
        here = {}
        for file in files:
            try:
                content = read_json(file)
            except InputError as error:
                if file == own:
                    raise
                print(f"warning: {error}, left out", file=sys.stderr)
                continue
            if content.keys() >= KEYS:
                here[file.parent] = evaluated(content, file)
        if not here:
            raise InputError(f"{path}: no evaluated run of sde in it; run sde evaluate first")
        found |= here
    return found


def make_tables(runs: dict[Path, EvaluatedRun]) -> list[Table]:
    """Return one table for each kind of number and protocol, without empty columns."""
    groups: dict[tuple, list[tuple[str, ...]]] = {}
    for folder, run in runs.items():
        for protocol, columns, cells in _numbers(run.evaluation):
            line = (str(folder), run.process, run.network, *cells)
            groups.setdefault((protocol, columns), []).append(line)
    made = [
        Table(protocol, (*RUN, *columns), tuple(Line("run", line) for line in sorted(lines)))
        for (protocol, columns), lines in sorted(groups.items())
    ]
    return [table.without_empty_columns() for table in made]


def text(found: list[Table], form: str) -> str:
    """Return the tables as "markdown", "csv", "latex" or "html"."""
    if form == "csv":
        return tables.csv_text(found)
    if form == "latex":
        return "\n".join(tables.latex(table) for table in found)
    if form == "html":
        return html.render("sde.evaluation", "tables.html", tables=found, said=_said(found))
    return "\n".join(f"{table.title}\n\n{tables.markdown(table)}" for table in found)


def write(found: list[Table], form: str, file: Path) -> None:
    """Write the tables in one form. Raises InputError where that is not possible."""
    content = text(found, form)
    write_atomically(file, lambda out: out.write(content), mode="w")


def _said(found: list[Table]) -> str:
    """The sentence that a page of tables begins with."""
    runs = {line.cells[0] for table in found for line in table.lines}
    numbers = [
        (float(line.cells[place].partition(tables.SPREAD)[0]), line.cells[0])
        for table in found
        for place, column in enumerate(table.columns)
        if column.name == "bits per dimension"
        for line in table.lines
    ]
    best = min(numbers, default=None)
    said = f"{len(runs)} evaluated run{'s' if len(runs) != 1 else ''}."
    if best:
        said += f" The best likelihood has {best[0]:.4f} bits per dimension ({best[1]})."
    return said


def _numbers(found: Evaluation) -> Iterator[Numbers]:
    """Yield each kind of number that was measured."""
    sums = ", ".join(f"{name.split()[-1]} {sha[:12]}" for name, sha in found.data_sha256.items())
    data = "; ".join([f"{found.data} (sha256 {sums})", *found.warnings])
    sampling = (found.weights, _sampler(found))
    yield from _likelihood(found, data)
    if fid := found.fid:
        protocol = (
            f"FID of {fid.samples} samples against {fid.reference_images} images, the "
            f"{fid.reference} part of {data}, {fid.extractor}, with final denoising"
        )
        score = f"{fid.inception_score:.2f} ± {fid.inception_score_std:.2f}"
        columns = _columns("evaluations", "FID", "inception score", sampled=True)
        yield Numbers(protocol, columns, (*sampling, str(fid.nfe), f"{fid.value:.3f}", score))
    if found.classes:
        yield from _classes(found.classes, sampling, data)
    counts = found.distances["energy_distance"]
    protocol = (
        f"Distances of {counts.num_fake} samples to {counts.num_real} held-out examples of {data}"
    )
    columns = _columns("evaluations", *(n.replace("_", " ") for n in DISTANCES), sampled=True)
    values = (f"{found.distances[name].value:.4g}" for name in DISTANCES)
    yield Numbers(protocol, columns, (*sampling, str(found.nfe), *values))


def _likelihood(found: Evaluation, data: str) -> Iterator[Numbers]:
    flow = found.likelihood
    if flow.bits_per_dim is None:
        return
    probes = f"{flow.probes} probes" if flow.probes else "exact divergence"
    protocol = f"Likelihood of {flow.examples} held-out examples of {data}, {probes}"
    if flow.rtol is not None:
        protocol += f", {flow.method} to rtol {flow.rtol:g} and atol {flow.atol or 0:g}"
    spread = flow.standard_error
    bits = f"{flow.bits_per_dim:.4f}" + ("" if spread is None else f" ± {spread:.4f}")
    columns = (Column("weights"), *_columns("bits per dimension", "evaluations"))
    yield Numbers(protocol, columns, (found.weights, bits, str(flow.nfe)))


def _classes(found: StoredClasses, sampling: tuple[str, str], data: str) -> Iterator[Numbers]:
    """Yield the numbers of each weight of guidance."""
    names = ("guidance", "class accuracy", "energy distance", "precision", "recall")
    for row in found.rows:
        protocol = (
            f"Class accuracy of {row.samples} samples of {data}, by a {found.classifier} of "
            f"{found.fitted} training examples; {found.heldout} held-out examples: "
            f"{found.heldout_accuracy:.3f}"
        )
        if found.interval:
            protocol += f"; guided at noise levels {found.interval[0]:g} to {found.interval[1]:g}"
        if found.negative:
            protocol += f"; guided away from {found.negative}"
        shares = (f"{share:.3f}" for share in (row.precision, row.recall))
        values = (f"{row.guidance:g}", f"{row.accuracy:.3f}", f"{row.energy_distance:.4g}", *shares)
        columns = _columns("evaluations", *names, sampled=True)
        yield Numbers(protocol, columns, (*sampling, str(row.nfe), *values))


def _columns(*names: str, sampled: bool = False) -> tuple[Column, ...]:
    first = (Column("weights"), Column("sampler")) if sampled else ()
    return (*first, *(Column(name, kind="number") for name in names))


def _sampler(found: Evaluation) -> str:
    """The sampler, with every setting that is not the default."""
    usual = Sampling().model_dump(mode="json")
    said = [found.sampler]
    said += [f"in {found.precision}"] if found.precision != "float32" else []
    changed = {name: v for name, v in found.sampling.items() if v != usual.get(name)}
    return ", ".join(said + [f"{name} {value}" for name, value in changed.items()])
